"""In: a budget and labelled faces. Out: the cheapest model that meets it, and the whole front.

`budget` and `space` say what is asked, `study` keeps what was tried (Optuna, resumable, several
workers), `run` searches with any `Evaluator`, `evaluator` is the real one, `answer` writes it down.
"""
