"""All sections of the page in order. In: its content. Out: `Section` values."""

from __future__ import annotations

from edgeface.report.page.absent import absent_section
from edgeface.report.page.age import age_section
from edgeface.report.page.blocks import Section
from edgeface.report.page.classes import class_sections
from edgeface.report.page.content import PageContent
from edgeface.report.page.curves import curves_section
from edgeface.report.page.device import device_section
from edgeface.report.page.endurance import endurance_section
from edgeface.report.page.gallery import gallery_sections
from edgeface.report.page.groups import groups_section
from edgeface.report.page.headline import headline_section
from edgeface.report.page.history import trainings_of
from edgeface.report.page.latency import latency_section
from edgeface.report.page.layers import layers_section
from edgeface.report.page.making import making_section
from edgeface.report.page.models import Cast, cast_of
from edgeface.report.page.pareto import pareto_section
from edgeface.report.page.runs import runs_section
from edgeface.report.page.spoiled import spoiled_section
from edgeface.report.page.systems import systems_section


def all_sections(content: PageContent) -> tuple[Section, ...]:
    """Make every section of the page; those that would be empty are left out.

    Of an invalid result there are no figures, only what the machine did.

    Args:
        content: of the page.

    Raises:
        BenchmarkError: the content names a model that is not in its main result.
    """
    result = content.main.result
    cast = cast_of(result, content.candidate, content.reference)
    trainings = content.trainings
    if content.sidecars:
        trainings = trainings_of(trainings, content.sidecars)
    sections = (
        *(() if result.invalid_reasons else _figures(content, cast)),
        making_section(cast, content.sidecars),
        layers_section(content.pruned, content.sensitivity),
        curves_section(trainings),
        device_section(result, content.main.path.name),
        absent_section(
            result,
            cast,
            trainings=trainings,
            has_faces=content.shown is not None,
            has_layers=bool(content.pruned),
            has_sensitivity=content.sensitivity is not None,
        ),
        systems_section(content.systems),
        runs_section(content.others),
    )
    return tuple(section for section in sections if section is not None)


def _figures(content: PageContent, cast: Cast) -> tuple[Section | None, ...]:
    result = content.main.result
    comparisons = (*content.comparisons, *result.comparisons)
    return (
        headline_section(result, cast, comparisons),
        pareto_section(cast),
        *class_sections(result, cast),
        age_section(cast),
        groups_section(cast, comparisons),
        *gallery_sections(content.shown),
        spoiled_section(cast),
        latency_section(cast),
        endurance_section(cast),
    )
