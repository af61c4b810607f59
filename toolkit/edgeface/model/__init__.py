"""Room `model`. In: faces and a `ModelSpec`. Out: a trained multi-task Keras model, its profile.

Models are tf_keras (Keras 2) functional graphs with one float32 input `image` [B, side, side, 3],
RGB, 0 to 255 (normalisation is inside), and one output a head. Importing the room imports no
TensorFlow; importing its modules `networks`, `training` and `profile` does.
"""
