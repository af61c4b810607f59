"""The texts in a bundle: how it is started, and what a person should know who finds it."""

from __future__ import annotations

from edgeface.runtime.bundle_files import CODE, INTERPRETER, LAUNCHER, REFERENCE, RUN
from edgeface.types import Contract, Sidecar

RUN_TEXT = f'''"""Runs this bundle: `python3 {RUN} check`, `predict IMAGE...`, `watch FOLDER`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# in the place of this folder, so that no file that is put beside this one is taken for a module
sys.path[0] = str(HERE / "{CODE}")

from edgeface.runtime.bundle_run import main  # noqa: E402

sys.exit(main(HERE))
'''

# readlink: `current` is a link, and may lead elsewhere while a program runs
LAUNCHER_TEXT = f"""#!/bin/sh
# Runs this bundle with the Python that it was tested with here, or python3 where none was noted.
here=$(dirname -- "$(readlink -f -- "$0")") || exit 1
python=python3
[ ! -f "$here/{INTERPRETER}" ] || python=$(cat -- "$here/{INTERPRETER}") || exit 1
exec "$python" "$here/{RUN}" "$@"
"""


def readme(model: str, contract: Contract) -> str:
    """Explain a bundle to the person who carries it by hand.

    Args:
        model: name of the artifact in it.
        contract: of the model.
    """
    attributes = ", ".join(head.name for head in contract.heads)
    return f"""{model}: a bundle of edgeface

  python3 -m zipfile -e BUNDLE.zip FOLDER    unpack
  cd FOLDER
  python3 {RUN} check                        every file's digest, then the golden vectors
  python3 {RUN} predict photo.jpg            one JSON object a picture, box and attributes a face
  python3 {RUN} watch FOLDER                 the same for every picture that comes into a folder

The attributes of a face: {attributes}.

Believe no prediction before `check` has passed. It needs Python 3.9 or newer with numpy, OpenCV 4
and a TFLite runtime:

  64-bit    python3 -m venv venv
            venv/bin/pip install ai-edge-litert numpy 'opencv-python-headless<5'
  32-bit ARM (tflite-runtime has wheels for Python 3.9 to 3.11)
            sudo apt install python3-venv python3-numpy python3-opencv opencv-data
            python3 -m venv --system-site-packages venv
            venv/bin/pip install tflite-runtime 'numpy<2'
  without network, if the bundle has a folder wheels (for one kind of device and Python only)
            venv/bin/pip install --no-index wheels/*.whl

and then venv/bin/python in the place of python3. `{LAUNCHER}` does the same as `python3 {RUN}`; on
a device that edgeface deployed to, it takes the Python that was tested there.

{model}.json says what the model takes and gives, LABELS.json what its outputs mean, and
LICENCES.txt on which terms you have it. {REFERENCE}, if there is one, is for `check` with a
runtime that has no delegate: it rounds otherwise. The kinds in LABELS.json, of the real values
of an output:

  binary       the sigmoid of the one value is the probability of the second class
  classes      the softmax of the values is the probability of each class
  median       where half of the softmax lies below, but not beyond the first or the last bin; each
               bin's share is spread from half-way to the bin before to half-way to the next, at the
               ends as far as on their other side
  expectation  the mean of the bins, weighted by the softmax of the values
  decades      the bin of the largest value
  regression   the one value itself
"""


def licence_notes(sidecar: Sidecar) -> str:
    """Say on which terms the parts of a bundle are given."""
    return f"""{sidecar.name}.tflite, {sidecar.name}.json
  {sidecar.licence}
  Trained on: {sidecar.provenance.data}. Training started from: {sidecar.provenance.weights}.

{CODE}, {RUN}, {LAUNCHER}
  edgeface, Apache License 2.0: see LICENSE.

wheels/*.whl, if there are any
  As published on the package index; each has its own licence in it.
"""
