"""The last mile: an artifact to a device, tested there, switched to in one step, and back.

In: an artifact (`NAME.tflite` with `NAME.json`) and a `Transport`. Out: a bundle, one zip named by
its content, and the device that serves it under `~/.edgeface/deploy/current`. What runs there is in
`runtime` (`bundle_store`, `bundle_check`, `bundle_run`). Measures nothing (`bench` does).
"""
