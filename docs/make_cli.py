"""Writes `cli.md`: the help of every command. In: the Typer app. Out: Markdown.

    python docs/make_cli.py

The text is that of `--help` without its frames, so that it does not depend on the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from edgeface.cli import app

PAGE = Path(__file__).with_name("cli.md")
_COLUMNS = 96  # chosen: what fits beside the margins of a page

_TALK = """\
Data go to stdout, talk and progress to stderr. Exit status 0; 1 for an error, in one line; 2 for
usage and configuration; 130 where Ctrl-C ended it, 143 where SIGTERM did.

How it talks is said before the command. `edgeface --quiet compress` shows errors only.
`edgeface --log-json compress` writes one JSON object a line to stderr, each with `event` and
`time_utc`:

| event | besides |
| --- | --- |
| `say` | `text` |
| `start`, `progress`, `end` | `label`, `done`, `total`, `note`, `seconds_left` |
| `error` | `text`, `exit_status` |

`label` names a stage, `seconds_left` is null while unknown, and a stage has at most one `progress`
a second.

With either of them, what libraries write to stderr by themselves is dropped.

Ctrl-C and SIGTERM leave no half-written file and no process behind. `train`, `compress`,
`data fetch` and `bench` on a device by SSH keep what was finished: the same command again goes on.
For `live` Ctrl-C is the usual end: it prints its table, and the exit status is 0."""


def cli_page() -> str:
    """Write the help of every command as Markdown, ending in a newline."""
    commands = list(_commands(typer.main.get_command(app), "edgeface", None))
    links = [f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in commands]
    parts = [
        "# Commands",
        "Made from the commands themselves by `python docs/make_cli.py`; do not edit.",
        _TALK,
        "\n".join(links),
        *(f"## {name}\n\n```text\n{text}\n```" for name, text in commands),
    ]
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, name: str, above: Any) -> Iterator[tuple[str, str]]:
    command.rich_markup_mode = None  # plain text; this tree is built anew for each page
    context = command.context_class(
        command, info_name=name.rpartition(" ")[2], parent=above, terminal_width=_COLUMNS
    )
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    yield name, "\n".join(lines)
    for part, inner in sorted(getattr(command, "commands", {}).items()):
        if not inner.hidden:
            yield from _commands(inner, f"{name} {part}", context)


if __name__ == "__main__":
    PAGE.write_text(cli_page(), "utf-8")
