"""Room `compress`. In: a trained Keras model. Out: a smaller plain Keras model, and what was cut.

Pruning here removes channels: the result has no masks and no wrappers, and needs fine-tuning.
"""
