"""The whole page. In: what is to be shown. Out: one HTML file that needs nothing else.

The page has no script and asks for nothing from elsewhere; a policy in it forbids both. All names
come from files and are not trusted: the template escapes every text.
"""

from __future__ import annotations

from importlib.resources import files

from edgeface import __version__
from edgeface.data.adapters.paths import printable
from edgeface.errors import BenchmarkError
from edgeface.report.page.content import PageContent

_LIBRARIES = ("jinja2", "matplotlib")


def report_page(content: PageContent) -> str:
    """Write the page as HTML.

    Args:
        content: what it shows.

    Raises:
        BenchmarkError: no such model, or a library that is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup

        from edgeface.report.page.device import loud_notes
        from edgeface.report.page.models import letter_of
        from edgeface.report.page.plots import SLOTS
        from edgeface.report.page.sections import all_sections
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] not in (*_LIBRARIES, "markupsafe"):
            raise
        raise BenchmarkError(
            f"{err.name} is not installed, the page of a report needs it; "
            "install with: pip install 'edgeface[train]'"
        ) from err
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = printable
    environment.filters["drawn"] = Markup  # of `Plot.svg` only, which `plots.drawing` makes
    environment.globals["kind"] = lambda block: type(block).__name__
    environment.globals |= {"letter_of": letter_of, "slots": SLOTS}
    sections = all_sections(content)
    result = content.main.result
    return environment.from_string(_template("page.html.jinja")).render(
        style=Markup(_template("page.css")),
        file=content.main,
        result=result,
        loud=loud_notes(result),
        sections=sections,
        version=__version__,
    )


def _template(name: str) -> str:
    return files("edgeface.report.page").joinpath("templates", name).read_text("utf-8")
