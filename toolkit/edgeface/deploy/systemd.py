"""A systemd unit that runs the current bundle. In: a command line of a bundle. Out: the text.

Nothing is installed or started: the user reads the unit and puts it where it belongs.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgeface.deploy.install import DEPLOY
from edgeface.errors import ConfigError
from edgeface.runtime.bundle_files import LAUNCHER
from edgeface.runtime.bundle_run import COMMANDS


def unit_text(line: str) -> str:
    """Write a user unit.

    Args:
        line: of the bundle's program, as a shell would take it apart, e.g. "watch pictures". Paths
            are under the user's home; no variable and no pattern in it means anything.

    Returns:
        The unit. `edgeface.service` is what its comments call it.

    Raises:
        ConfigError: the line is none of a bundle.

    Source:
        systemd.service(5), "Command lines": quoting, "%%" and "$$"; systemd.unit(5): %h.
    """
    try:
        words = shlex.split(line)
    except ValueError as err:
        raise ConfigError("--systemd", [f"{line!r}: {err}"]) from err
    if not words or words[0] not in COMMANDS:
        raise ConfigError(
            "--systemd", [f"found {line!r}, expected a line that starts with {_any(COMMANDS)}"]
        )
    if any(not word.isprintable() for word in words):
        raise ConfigError("--systemd", [f"{line!r} has a character that cannot be in a unit"])
    program = f"%h/{DEPLOY}/current/{LAUNCHER}"
    return f"""# Put this on the device as ~/.config/systemd/user/edgeface.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now edgeface
#   sudo loginctl enable-linger "$USER"    so that it also runs while nobody is logged in
# After a deployment: systemctl --user restart edgeface
# edgeface's authors did not run it under systemd.
[Unit]
Description=edgeface: {words[0]} with the current bundle

[Service]
WorkingDirectory=%h
ExecStartPre={program} check
ExecStart={program} {" ".join(map(_quoted, words))}
Restart=on-failure
RestartSec=10

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$").replace("%", "%%")
    return f'"{escaped}"'


def _any(words: Sequence[str]) -> str:
    return " or ".join(words)
