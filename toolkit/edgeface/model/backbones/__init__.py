"""Backbones: one small file a family, one registry. In: pixels, scaled. Out: features [B, F].

Every network is made of plain Keras layers with fixed names, so that it can be pruned, saved and
read back, and converted. Heads are not here: see `edgeface.model.networks`.
"""
