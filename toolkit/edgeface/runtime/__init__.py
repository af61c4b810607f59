"""All that runs on a device: an artifact and an image go in, predictions come out.

In: `NAME.tflite` with `NAME.json` beside it (untrusted: parsed, never executed), and encoded images
or RGB arrays. Out: raw output tensors, attribute values, one `dict` a face, the boxes of faces,
annotated pictures, the problems of a self-test, latencies and memory. Nothing here prints but
`runner`, and nothing knows labels. Needs Python 3.9 with numpy, OpenCV and a TFLite runtime; never
imports TensorFlow unless it is the only runtime installed.
"""
