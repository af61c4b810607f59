"""Room `bench`. In: artifacts, and a device to run them on. Out: one result record a run.

Latency and memory are measured in fresh processes of `edgeface.runtime.runner`, quality by running
the same `.tflite` files on held-out faces. Nothing is trained, converted or printed here.
"""
