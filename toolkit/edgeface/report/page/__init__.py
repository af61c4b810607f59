"""The web page of `edgeface report --html`: one file that asks for nothing from elsewhere.

In: result files, sidecars, histories of trainings, faces with predictions. Out: HTML. A module a
section gives `blocks`; `page` puts them in order, and the template only draws them.
"""
