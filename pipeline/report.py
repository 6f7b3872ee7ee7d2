"""The report stage: one JSON with every figure, one page to read, and its pictures.

Axes: `B` recording, `T` time step, `N` neuron.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from export.errors import HardspikeError
from export.files import read_json, write_bytes, write_json
from export.network import Readout, decide
from export.netx_file import read_netx
from pipeline.accuracy_gain import accuracy_gain
from pipeline.beside import read_beside
from pipeline.config import Config
from pipeline.config_file import config_tree
from pipeline.convergence_page import draw_convergence
from pipeline.convert import LADDER
from pipeline.data.settings import step_ms
from pipeline.evaluate import ORACLE, OUTPUTS, RASTER, RESULTS
from pipeline.layer_facts import layer_facts
from pipeline.metrics import confusion
from pipeline.pictures import confusion_picture, ladder_picture, raster_picture
from pipeline.progress import Reporter
from pipeline.report_markdown import markdown
from pipeline.report_page.page import report_page
from pipeline.report_page.sections import read_sources
from pipeline.run_dir import StageFolder
from pipeline.train import COST
from pipeline.verdict import judge

SCHEMA = "hardspike.report/1"
JSON, PAGE, HTML = "report.json", "report.md", "report.html"
PICTURES = ("ladder.png", "confusion.png", "raster.png")
_COST_KEYS = (
    "method",
    "device",
    "seconds",
    "samples_per_second",
    "gradient_evaluations",
    "peak_memory_bytes",
)


def report_stage(config: Config, run: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write `report.json`, `report.html`, `report.md` and its pictures; return their names."""
    report = build_report(config, run)
    write_json(folder / JSON, report)
    ladder_picture(report["ladder"], folder / PICTURES[0])
    confusion_picture(np.array(report["confusion"]), report["classes"], folder / PICTURES[1])
    _raster(config, run, report, folder / PICTURES[2])
    pictures = [*PICTURES, *draw_convergence(run, report["training"], folder)]
    write_bytes(folder / PAGE, markdown(report).encode())
    write_bytes(folder / HTML, report_page(read_sources(config, run, report)))
    reporter.line(f"report    {folder / HTML}")
    return [JSON, HTML, PAGE, *pictures]


def build_report(config: Config, run: Path) -> dict[str, Any]:
    """Gather every figure of a run from its stages' files."""
    cost = read_json(run / "train" / COST)
    converted = read_json(run / "convert" / LADDER)
    evaluated = read_json(run / "evaluate" / RESULTS)
    deployed = StageFolder(run, "deploy").verify()["outputs"]
    measured = StageFolder(run, "evaluate").verify()
    targets = evaluated["targets"]
    rungs = [
        {"step": name, "accuracy": entry["accuracy"], "ci95": entry["ci95"], "n": entry["n"]}
        | ({"approximated": True} if entry["status"] == "approximated" else {})
        for name, entry in targets.items()
        if "accuracy" in entry
    ]
    report = {
        "schema": SCHEMA,
        "name": config.name,
        "config": config_tree(config),
        "versions": measured["versions"],
        "git_commit": measured["git_commit"],
        "training": {key: cost[key] for key in _COST_KEYS}
        | {key: value for key, value in cost.items() if key not in _COST_KEYS},
        "gain": accuracy_gain(targets[ORACLE]["accuracy"], len(converted["classes"]), cost),
        "ladder": converted["ladder"] + rungs,
        "changed": converted.get("changed"),
        "parting": converted["parting"],
        "scales": converted.get("scales", []),
        "calibration": converted.get("calibration"),
        "approximated": converted.get("approximated"),
        "targets": targets,
        "corruptions": evaluated["corruptions"],
        "synops_per_sample": evaluated["synops_per_sample"],
        "neurobench": evaluated.get("neurobench"),
        "readout": evaluated["readout"],
        "wrapped_currents": evaluated["wrapped_currents"],
        "readout_resets": evaluated["readout_resets"],
        "raster": evaluated["raster"],
        "classes": converted["classes"],
        "confusion": _confusion(run, evaluated["readout"], len(converted["classes"])).tolist(),
        "layers": layer_facts(read_netx(run / "deploy" / "model.net")),
        "artifacts": [entry | {"path": f"deploy/{entry['path']}"} for entry in deployed],
        **read_beside(run),
    }
    return report | {"verdict": judge(report).as_json()}


def _confusion(run: Path, readout: Readout, classes: int) -> NDArray[np.int64]:
    tensors = load_file(run / "evaluate" / OUTPUTS)
    predictions = decide(tensors[f"{ORACLE}.outputs"], readout)
    labels = tensors["labels"][tensors[f"{ORACLE}.index"]]
    return confusion(predictions, labels, classes)


def _raster(config: Config, run: Path, report: Mapping[str, Any], path: Path) -> None:
    tensors = load_file(run / "evaluate" / RASTER)
    input_TN = tensors.pop("input")
    grids = {
        target: {layer: tensors[f"{target}/{layer}"] for layer in report["raster"]["layers"]}
        for target in report["raster"]["targets"]
    }
    title = f"spikes of {report['raster']['recording']} by layer"
    raster_picture(grids, input_TN, step_ms(config.data) / 1000, title, path)


def read_report(run: Path) -> dict[str, Any]:
    """Read `report.json` of a run.

    Raises:
        HardspikeError: there is none, or it is not a report.
    """
    report = read_json(run / "report" / JSON)
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise HardspikeError(f"{run / 'report' / JSON}: is not a report of schema {SCHEMA}")
    return report
