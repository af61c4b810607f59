"""Room `export`. In: a trained Keras model. Out: artifacts, each a `.tflite` with its sidecar.

A model is converted once, to a float `.tflite`; int8 is made from those bytes.
"""
