"""What the pages say can be typed: commands parse, links lead somewhere, nothing has drifted."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import itertools
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.cli import app
from edgeface.config import Recipe
from edgeface.records import from_mapping
from support.documents import Block, anchors, blocks, commands, prose, targets

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "exported", "benchmarks", "calibration_data")
    for path in (ROOT / folder).glob("*.md")
    if path.name not in ("CHANGELOG.md", "LOG.md")  # they say what was so once
)
BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.is_shell]
UsageError: Any = typer.BadParameter.__base__


def name_of(thing: Path | Block) -> str:
    page, line = (thing.page, f":{thing.line}") if isinstance(thing, Block) else (thing, "")
    return f"{page.relative_to(ROOT)}{line}"


def parse(words: list[str]) -> None:
    """Parse a command line of edgeface as the real one would, without running it."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("edgeface", list(words))
    while hasattr(command, "commands"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not rest:
            return
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("block", SHELL, ids=name_of)
def test_a_shell_block_is_shell(block: Block) -> None:
    ended = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""


@pytest.mark.parametrize("block", SHELL, ids=name_of)
def test_every_command_of_a_shell_block_can_be_typed(block: Block) -> None:
    for words in commands(block.text):
        program = Path(words[0]).name
        if program == "edgeface":
            try:
                parse(words[1:])
            except UsageError as err:
                pytest.fail(f"{shlex.join(words)}: {err.format_message()}")
        elif program == "make":
            rules = (ROOT / "Makefile").read_text("utf-8")
            for target in words[1:]:
                assert re.search(rf"^{re.escape(target)}:", rules, re.MULTILINE), words
        elif program in ("python", "python3") and words[1:2] != ["-m"]:
            assert (ROOT / words[1]).is_file(), words
        elif program == "pip":
            _check_pip(words)


def _check_pip(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for word in words:
        if extras := re.search(r"\[(.*)\]$", word):
            assert set(extras[1].split(",")) <= set(project["optional-dependencies"]), words
    for option, file in itertools.pairwise(words):
        if option in ("-c", "-r"):
            assert (ROOT / file).is_file(), words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_named_in_a_sentence_exist(page: Path) -> None:
    for span in re.findall(r"`edgeface ([^`]+)`", prose(page)):
        command: Any = typer.main.get_command(app)
        words = shlex.split(span)
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            # `edgeface bench MODELS` is `edgeface bench run MODELS`
            is_run = words[0] not in command.commands and "run" in command.commands
            name = "run" if is_run else words.pop(0)
            assert name in command.commands, f"{page.name}: edgeface {span}"
            command = command.commands[name]
        known = {name for each in command.params for name in each.opts} | {"--help"}
        used = {word for word in words if word.startswith("--")}
        assert used <= known, f"{page.name}: edgeface {span}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        assert to.exists(), f"{page.name}: {target}"
        assert to.is_relative_to(ROOT), f"{page.name}: {target} leaves the repository"
        if anchor:
            assert anchor in anchors(to), f"{page.name}: {target}, expected one of {anchors(to)}"


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    script = ROOT / "docs" / "make_cli.py"
    spec = importlib.util.spec_from_file_location("make_cli", script)
    assert spec is not None
    assert spec.loader is not None
    make_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_cli)
    page = make_cli.cli_page()
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == page, (
        "write it anew with: python docs/make_cli.py"
    )
    command: Any = typer.main.get_command(app)
    for name, each in command.commands.items():
        assert (f"\n## edgeface {name}\n" in page) is not each.hidden
        for parameter in () if each.hidden else each.params:
            assert all(option in page for option in parameter.opts if option.startswith("--"))


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=name_of)
def test_a_recipe_or_a_device_in_a_page_is_one(block: Block) -> None:
    mapping = tomllib.loads(block.text)
    devices = [each for each in mapping.values() if isinstance(each, dict) and "kind" in each]
    if not devices:
        from_mapping(Recipe, mapping)
    for device in devices:
        from_mapping(DeviceSpec, device)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=name_of)
def test_python_in_a_page_imports_what_there_is(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edgeface"):
            module = importlib.import_module(str(node.module))
            for each in node.names:
                assert hasattr(module, each.name), f"{node.module} has no {each.name}"


def test_the_page_of_rooms_names_each_and_in_order() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = text.partition("## Rooms")[2].partition("## Rules")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert named == [layer.removeprefix("edgeface.") for layer in layers]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("edgeface bench --no-such-option", "No such option: --no-such-option"),
        ("edgeface predict", "Missing argument 'MODEL'"),
        ("edgeface inspect a.tflite b.tflite", "unexpected extra argument"),
        ("edgeface data prepare FACES --seed one", "Invalid value for '--seed'"),
        ("edgeface dance", "No such command 'dance'"),
        ("edgeface data dance", "No such command 'dance'"),
    ],
)
def test_a_wrong_command_line_would_be_noticed(line: str, found: str) -> None:
    ((_, *words),) = commands(line)
    with pytest.raises(UsageError) as info:
        parse(words)
    assert found in info.value.format_message()


def test_shell_blocks_are_found_where_they_are() -> None:
    found = {name: sum(b.page.name == name for b in SHELL) for name in ("README.md", "own-data.md")}
    assert found["README.md"] >= 3
    assert found["own-data.md"] >= 3


def test_a_shell_block_is_taken_apart_as_the_shell_does(tmp_path: Path) -> None:
    text = """for r in a b; do
  edgeface report --out $r \\
    --check ${r}1 $root > log
done  # all
make x && cd y"""
    assert commands(text) == [
        ["for", "r", "in", "a", "b"],
        ["edgeface", "report", "--out", "a", "--check", "a1", "$root"],
        ["make", "x"],
        ["cd", "y"],
    ]
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c\n## D-e\n## D-e\n[x](#d-e-1) `[y](#no)`\n```sh\n# F\n[z](#f)\n```\n"
    )
    assert anchors(page) == {"a-b-c", "d-e", "d-e-1"}
    assert targets(page) == ["#d-e-1"]
    assert [(b.line, b.is_shell) for b in blocks(page)] == [(5, True)]
