"""Reads Markdown as the tests of the documentation need it. In: a page. Out: blocks, links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_SHELL_NAMES = ("sh", "bash", "shell", "console")
_COMMANDS = ("edgeface", "make", "python", "python3", "pip", "git", "for", "cd")
_ENDS = (";", "&", "&&", "|", "||")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        page: that it is in.
        line: of its fence, from 1.
        language: after the fence; empty if there is none.
        text: of the block.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        """Whether it says so, or says nothing and begins with a command."""
        lines = (line for line in self.text.splitlines() if line and not line.startswith("#"))
        first = next(lines, "").split(" ")[0]
        named = self.language in _SHELL_NAMES
        return named or (not self.language and Path(first).name in _COMMANDS)


def blocks(page: Path) -> list[Block]:
    """Fenced blocks of a page, in order; one that is not closed is an error."""
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if not line.startswith("```"):
            inside.append(line)
        elif opened is None:
            opened, inside = (number, line.removeprefix("```").strip()), []
        else:
            text = "\n".join(inside)
            found.append(Block(page=page, line=opened[0], language=opened[1], text=text))
            opened = None
    assert opened is None, f"{page}:{opened}: a block that is not closed"
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """Words of each simple command of a shell block, without redirections.

    `for` loops are taken apart into the commands in them, with the first value of the loop; other
    variables stand as they are written.
    """
    for name, first in re.findall(r"\bfor (\w+) in ([^\s;]+)", text):
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", first, text)
    found: list[list[str]] = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        words: list[str] = []
        tokens = list(lexer)
        skip = False
        for token in [*tokens, ";"]:
            if skip:
                skip = False
            elif token in _ENDS:
                found += [words] if words else []
                words = []
            elif token[0] in "<>":
                skip = True
            elif not (not words and token in ("do", "done", "then", "fi")):
                words.append(token)
    return found


def targets(page: Path) -> list[str]:
    """Where the links of a page lead that are not on the web."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "`x`", prose(page)))
    return [target for target in found if not target.startswith(("http://", "https://", "mailto:"))]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them.

    Source: GitHub's markup: lower case, punctuation but hyphens and underscores dropped, spaces to
    hyphens, "-1", "-2" for headings that come again.
    """
    made: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?)\s*#*$", prose(page), flags=re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := f"{anchor}-{number}" if number else anchor) in made:
            number += 1
        made.add(name)
    return made
