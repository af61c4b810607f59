"""edgeface: take a face-attribute model to phones and Raspberry Pis, and prove that it is as good.

The rooms, in the order the work flows, are `data`, `model`, `compress`, `export`, `runtime`,
`bench` and `report`; `pipeline.compress` calls them in order. Importing this package imports no
machine-learning framework.
"""

__version__ = "0.1.0"
