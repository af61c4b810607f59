"""All that runs on a device: an artifact and an image go in, predictions come out.

In: `NAME.tflite` with `NAME.json` beside it (untrusted: parsed, never executed), and encoded images
or RGB arrays. Out: raw output tensors, attribute values, one `dict` a face, the boxes of faces,
annotated pictures, live loops and recorded videos, the problems of a self-test, checked bundles;
who the device is, its temperature, clock and throttle bits; latencies, memory, where a frame's time
goes. Nothing here prints but `runner`, `partition_probe`, `bundle_store` and `bundle_run`, and
nothing knows labels. Needs Python 3.9 with numpy, OpenCV and a TFLite runtime; never imports
TensorFlow unless it is the only runtime installed.
"""
