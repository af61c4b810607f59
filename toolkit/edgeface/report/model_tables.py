"""An inspected model as text for a terminal of 100 columns. In: `ModelInspection`. Out: Rich.

Names of tensors, operators and files come from the model and are not trusted: they are shown as
plain text, on one line, with control characters escaped. Single tensors and operators stand in the
JSON form only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgeface.bench.inspect_model import ModelInspection
from edgeface.bench.model_graph import ModelTensor
from edgeface.bench.partitions import RuntimeView
from edgeface.data.adapters.paths import printable

NOT_KNOWN = "not known"
_SHOWN_OUTPUTS = 10  # chosen: more heads than any face model has; JSON has all
_SHOWN_KINDS = 40  # chosen: a screen; a network has some ten
_NAME_CHARACTERS = 200  # chosen: two lines; a converter may join many layers' names in one
_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def model_text(inspection: ModelInspection) -> Group:
    """Lay a whole inspection out: what is there, what runs where, and what is wrong."""
    return Group(
        summary_table(inspection),
        operator_table(inspection),
        tensor_table(inspection),
        finding_table(inspection),
    )


def summary_table(inspection: ModelInspection) -> Table:
    """Lay the main facts out, a line each."""
    table = _table(inspection.file)
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in summary_rows(inspection):
        table.add_row(Text(name), _plain(value))
    return table


def summary_rows(inspection: ModelInspection) -> list[tuple[str, str]]:
    """Write the main facts as (what, figures)."""
    graph = inspection.graph
    macs = NOT_KNOWN if inspection.macs is None else f"{inspection.macs:,}"
    tensors = [("input", index) for index in graph.inputs[:_SHOWN_OUTPUTS]]
    tensors += [("output", index) for index in graph.outputs[:_SHOWN_OUTPUTS]]
    rows = [
        (
            "size",
            f"{inspection.size_bytes / _MB:.3f} MB, weights {graph.weights_bytes / _MB:.3f} MB",
        ),
        ("sha256", inspection.sha256),
        *((kind, _described(graph.tensors[index])) for kind, index in tensors),
        ("MACs", macs),
    ]
    runtime = inspection.runtime
    rows.append(("runtime", _runtime(runtime, inspection.machine)))
    rows.append(("delegate", _delegated(runtime, len(graph.operators))))
    return rows


def operator_table(inspection: ModelInspection) -> Table:
    """Count the operators by kind: how many, how many the delegate took, and their MACs."""
    table = _table("operators")
    for name in ("kind", "operators", "delegated", "MACs"):
        table.add_column(name, justify="left" if name == "kind" else "right")
    operators = inspection.graph.operators
    parts = inspection.runtime.partitions
    taken = None if parts is None else {i for part in parts for i in part}
    for kind, count in Counter(operator.kind for operator in operators).most_common(_SHOWN_KINDS):
        own = [i for i, operator in enumerate(operators) if operator.kind == kind]
        delegated = NOT_KNOWN if taken is None else f"{sum(i in taken for i in own):,}"
        macs = _sum(inspection.operator_macs[i] for i in own)
        table.add_row(_plain(_cut(kind)), f"{count:,}", delegated, macs)
    return table


def tensor_table(inspection: ModelInspection) -> Table:
    """Count the tensors by type, and the bytes that the file stores of each."""
    table = _table("tensors")
    for name in ("type", "computed", "stored", "stored bytes", "per channel", "sparse"):
        table.add_column(name, justify="left" if name == "type" else "right")
    tensors = inspection.graph.tensors
    for dtype, count in Counter(tensor.dtype for tensor in tensors).most_common(_SHOWN_KINDS):
        stored = [t for t in tensors if t.dtype == dtype and t.constant_bytes is not None]
        table.add_row(
            _plain(dtype),
            f"{count - len(stored):,}",
            f"{len(stored):,}",
            f"{sum(t.constant_bytes or 0 for t in stored):,}",
            f"{sum(t.scales > 1 for t in stored):,}",
            f"{sum(t.is_sparse for t in stored):,}",
        )
    return table


def finding_table(inspection: ModelInspection) -> Table:
    """List the findings, each with the rule behind it and where that comes from."""
    table = _table("findings")
    table.add_column("")
    table.add_column("rule", overflow="fold")
    table.add_column("found, and why it matters", overflow="fold")
    if not inspection.findings:
        table.add_row("", "", Text("nothing found"))
    for each in inspection.findings:
        text = Text.assemble(
            _plain(each.text), "\n", _plain(each.because), "\n", (f"Source: {each.source}", "dim")
        )
        table.add_row(Text(each.severity, style=_STYLES[each.severity]), Text(each.rule), text)
    return table


def _described(tensor: ModelTensor) -> str:
    sizes = "×".join(map(str, tensor.shape)) or "scalar"
    quantized = ""
    if tensor.scale is not None:
        quantized = f", scale {tensor.scale:.6g}, zero point {tensor.zero_point}"
    return f"{_cut(tensor.name)}: {tensor.dtype} {sizes}{quantized}"


def _runtime(runtime: RuntimeView, machine: str) -> str:
    name = f"{runtime.runtime} {runtime.runtime_version}".strip()
    if runtime.state == "opened":
        return f"{name} on {machine} opens it"
    return " ".join(filter(None, (name, f"on {machine}: {runtime.state}: {runtime.reason}")))


def _delegated(runtime: RuntimeView, operators: int) -> str:
    if runtime.partitions is None:
        return NOT_KNOWN
    taken, parts = sum(map(len, runtime.partitions)), len(runtime.partitions)
    name = runtime.delegate or "the delegate"
    return f"{name} takes {taken} of {operators} operators in {parts} partition{_plural(parts)}"


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…"


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def _sum(counts: Iterable[int | None]) -> str:
    total = 0
    for count in counts:
        if count is None:
            return NOT_KNOWN
        total += count
    return f"{total:,}" if total else ""


def _plain(text: str) -> Text:
    # Text, because a name with [brackets] would be read as markup
    return Text(printable(text))


def _table(title: str) -> Table:
    return Table(title=_plain(title), title_justify="left", box=box.SIMPLE_HEAD)
