"""Every error that edgeface raises on purpose.

```
EdgefaceError            exit status 1
├── ConfigError          recipe or option wrong; `.problems` lists all of them (exit status 2)
├── DataError            image, label or folder missing, unreadable, or not what it was
├── ModelError           weights that do not fit, training that cannot go on
├── CompressionError     pruning or quantization cannot do what was asked
├── ExportError          conversion failed, or a file is not what its name says
├── ArtifactError        a .tflite or its sidecar is missing, damaged or does not match
├── DeviceError          a device or its runtime is not usable
└── BenchmarkError       a measurement failed, or a result file is unusable
```

A message is one line: what, where, found, expected, what to do next.
"""

from __future__ import annotations

from typing import Sequence


class EdgefaceError(Exception):
    """Base of every error raised on purpose; its text is one line for the user."""


class ConfigError(EdgefaceError):
    """A recipe or an option is wrong.

    Attributes:
        problems: every problem found, one line each.
    """

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        """Keep the problems and join them into one line after `where`."""
        self.problems = tuple(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


class DataError(EdgefaceError):
    """An image, a label or a folder is missing, unreadable, or not what it was."""


class ModelError(EdgefaceError):
    """Weights do not fit, or training cannot go on."""


class CompressionError(EdgefaceError):
    """Pruning or quantization cannot do what was asked."""


class ExportError(EdgefaceError):
    """Conversion failed, or a converted file is not what it should be."""


class ArtifactError(EdgefaceError):
    """A .tflite file or its sidecar is missing, damaged, or they do not match."""


class DeviceError(EdgefaceError):
    """A device, or the runtime on it, is not usable."""


class BenchmarkError(EdgefaceError):
    """A measurement failed, or a result file is unusable."""
