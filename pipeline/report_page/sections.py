"""What the page shows of a report: the charts, and which sections there is data for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from export.files import read_json
from pipeline.config import Config
from pipeline.data.settings import step_ms
from pipeline.report_page.dots import Dot, dot_chart
from pipeline.report_page.history import HistoryChart, history_charts
from pipeline.report_page.latency import kind_name
from pipeline.report_page.numbers import Numbers, Path
from pipeline.report_page.raster import raster_chart
from pipeline.report_page.svg import Chart
from pipeline.robustness.table import PARTS
from pipeline.training.history_files import HISTORY, History

_SMOOTH, _FIXED = "smooth", "fixed_point"


@dataclass(frozen=True)
class Sources:
    """What the page is made from: the report, and the two files that its charts need besides.

    `grids_TN` is target → layer → spikes of one recording, the input under the name `input`.
    """

    report: Mapping[str, Any]
    history: History
    grids_TN: Mapping[str, Mapping[str, NDArray[np.uint8]]]
    dt_ms: float


def read_sources(config: Config, run: FilePath, report: Mapping[str, Any]) -> Sources:
    """Read what a run's page is made from.

    Raises:
        HardspikeError: a file is absent or damaged.
    """
    tensors, raster = load_file(run / "evaluate" / "raster.safetensors"), report["raster"]
    grids = {
        target: {"input": tensors["input"]}
        | {layer: tensors[f"{target}/{layer}"] for layer in raster["layers"]}
        for target in raster["targets"]
    }
    history = read_json(run / "train" / HISTORY)
    return Sources(report, history, grids, step_ms(config.data))


def ladder_chart(numbers: Numbers) -> Chart:
    """Draw the accuracy after every step: trained, hard, in integers, and on each target."""
    rungs, targets = numbers.at("ladder"), numbers.at("targets")
    dots = [
        Dot(
            rung_name(rung["step"], rung["step"] in targets)
            + (" (approximated)" if rung.get("approximated") else ""),
            ("ladder", index),
            "s2" if rung["step"] in targets else "s1",
        )
        for index, rung in enumerate(rungs)
    ]
    return dot_chart(
        numbers, dots, "Accuracy after each step", "accuracy on the test recordings, %"
    )


def rung_name(step: str, target: bool) -> str:
    """Return a rung in words."""
    return f"on {step}" if target else step.replace("_", " ")


def corruption_chart(numbers: Numbers) -> Chart | None:
    """Draw the accuracies of the evaluation's own corruptions; None where there are none."""
    entries = numbers.at("corruptions")
    if not entries:
        return None
    dots = [Dot(entry["name"], ("corruptions", index)) for index, entry in enumerate(entries)]
    dots.insert(0, Dot("as recorded", ("targets", "reference"), "s2"))
    label = "Accuracy on corrupted recordings"
    return dot_chart(numbers, dots, label, "accuracy on the test recordings, %")


def rasters(sources: Sources) -> list[tuple[str, Chart]]:
    """Return a raster a target."""
    expected = next(iter(sources.grids_TN.values()))
    return [
        (target, raster_chart(target, grids, expected, sources.dt_ms))
        for target, grids in sources.grids_TN.items()
    ]


def training_charts(sources: Sources) -> Sequence[HistoryChart]:
    """Return the charts of the training's history."""
    return history_charts(sources.history, sources.report["training"])


def losses(report: Mapping[str, Any]) -> list[float | None]:
    """Return, a rung, the share lost since the rung before; None on targets and at the top."""
    rungs, targets = report["ladder"], report["targets"]
    found: list[float | None] = []
    for index, rung in enumerate(rungs):
        above = None if not index or rung["step"] in targets else rungs[index - 1]["accuracy"]
        found.append(None if above is None else above - rung["accuracy"])
    return found


class Section(NamedTuple):
    """A section that is there only where its measurement is."""

    id: str
    title: str
    template: str


class Tile(NamedTuple):
    """A figure at the top of the page: its place in the report and how it is written."""

    name: str
    path: Path
    form: str
    unit: str
    note: str


_MEASURED = (
    Section("robustness", "Robustness", "robustness.html"),
    Section("latency", "Latency", "latency.html"),
    Section("energy", "Energy", "energy.html"),
)


def measured(report: Mapping[str, Any]) -> list[Section]:
    """Return the sections of the measurements beside the stages that are there."""
    return [section for section in _MEASURED if report[section.id] is not None]


def tiles(report: Mapping[str, Any]) -> list[Tile]:
    """Return the figures at the top that come from measurements beside the stages."""
    found = []
    if robustness := report["robustness"]:
        for part, words in PARTS.items():
            if robustness["mean_retained"].get(part) is not None:
                note = f"in the mean over {len(robustness[part])} kinds of {words}"
                path: Path = ("robustness", "mean_retained", part)
                found.append(Tile("accuracy retained", path, "percent", "", note))
    if latency := report["latency"]:
        first = latency["results"][0]
        kind = "events_to_class" if "events_to_class" in first["times"] else "network"
        path = ("latency", "results", 0, "times", kind, "p50_ms")
        note = f"{kind_name(kind)}, median, {first['threads']} thread(s) of a processor"
        found.append(Tile("latency", path, "milliseconds", " ms", note))
    if energy := report["energy"]:
        path = ("energy", "simulated", "joules", "total", "mean")
        note = f"a recording, {energy['simulated']['label']}"
        found.append(Tile("energy", path, "micro", " µJ", note))
    return found
