"""The page itself: templates filled in, style and script written into it. Same inputs, same bytes.

The page may load nothing and run only its own script: its content security policy names the hashes
of both. All text from outside is escaped by the template engine or the XML writer.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report_page import sections
from pipeline.report_page.energy import energy_charts
from pipeline.report_page.latency import kind_name, latency_charts
from pipeline.report_page.numbers import FORMS, Numbers
from pipeline.report_page.robustness import robustness_rows
from pipeline.report_page.sections import Sources
from pipeline.robustness.table import PARTS

_REPORT = "report.html"


def report_page(sources: Sources) -> bytes:
    """Return the page of one run."""
    numbers = Numbers(sources.report)
    return render(
        _REPORT,
        {
            "report": sources.report,
            "num": numbers.show,
            "ladder": sections.ladder_chart(numbers),
            "losses": sections.losses(sources.report),
            "corruptions": sections.corruption_chart(numbers),
            "history": sections.training_charts(sources),
            "rasters": sections.rasters(sources),
            "measured": sections.measured(sources.report),
            "tiles": sections.tiles(sources.report),
            "robustness_rows": _if(sources.report, "robustness", robustness_rows, numbers),
            "latency_charts": _if(sources.report, "latency", latency_charts, numbers),
            "energy_charts": _if(sources.report, "energy", energy_charts, numbers),
            "kind_name": kind_name,
            "parts": PARTS,
        },
    )


def _if(
    report: Mapping[str, Any],
    name: str,
    charts: Callable[[Numbers], Sequence[Any]],
    numbers: Numbers,
) -> Sequence[Any]:
    """Return the charts of a measurement, none where it is not there."""
    return charts(numbers) if report[name] is not None else ()


def render(template: str, context: Mapping[str, Any]) -> bytes:
    """Fill in a template with style, script and their policy."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    page = _environment().get_template(template)
    text = page.render(style=Markup(style), script=Markup(script), policy=policy, **context)
    return text.encode()


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline.report_page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= dict(FORMS)
    environment.filters["pretty_json"] = _pretty_json
    return environment


def _pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _asset(name: str) -> str:
    loader, environment = _environment().loader, _environment()
    assert loader is not None
    return loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
