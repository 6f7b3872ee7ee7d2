"""The report stage: one JSON with every figure, one page to read, and its pictures.

Axes: `B` recording, `T` time step, `N` neuron.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from export.errors import HardspikeError
from export.files import read_json, write_bytes, write_json
from export.network import Readout, decide
from export.netx_file import read_netx
from pipeline.accuracy_gain import accuracy_gain, gain_note
from pipeline.beside import read_beside
from pipeline.config import Config
from pipeline.config_file import config_tree
from pipeline.convergence_page import convergence_section, draw_convergence
from pipeline.conversion_page import SCALE_NOTE, calibration_lines, scale_rows
from pipeline.convert import LADDER
from pipeline.cost_page import cost_note, cost_rows
from pipeline.data.settings import step_ms
from pipeline.energy.table import energy_section
from pipeline.evaluate import ORACLE, OUTPUTS, RASTER, RESULTS
from pipeline.layer_facts import layer_facts
from pipeline.metrics import confusion
from pipeline.neurobench_page import neurobench_note, neurobench_rows
from pipeline.pictures import confusion_picture, ladder_picture, raster_picture
from pipeline.progress import Reporter
from pipeline.report_page.page import report_page
from pipeline.report_page.sections import read_sources
from pipeline.robustness.section import robustness_section
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


def ladder_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of the ladder, header first."""
    return [("step", "accuracy", "95% interval", "n")] + [
        (
            rung["step"].replace("_", " "),
            f"{100 * rung['accuracy']:.1f}%",
            f"{100 * rung['ci95'][0]:.1f}–{100 * rung['ci95'][1]:.1f}%",
            str(rung["n"]),
        )
        for rung in report["ladder"]
    ]


def target_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of targets, header first."""
    rows: list[Sequence[str]] = [
        ("target", "accuracy", "95% interval", "n", "spikes =", "classes =", "samples/s")
    ]
    for name, entry in report["targets"].items():
        if "accuracy" not in entry:
            rows.append((name, entry["status"], "", "", "", "", ""))
            continue
        low, high = entry["ci95"]
        rows.append(
            (
                name if entry["status"] == "ok" else f"{name} ({entry['status']})",
                f"{100 * entry['accuracy']:.1f}%",
                f"{100 * low:.1f}–{100 * high:.1f}%",
                str(entry["n"]),
                _share(entry["spike_agreement"]),
                _share(entry["prediction_agreement"]),
                f"{entry['samples_per_second']:,.0f}",
            )
        )
    return rows


def corruption_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of corruptions, header first; the header alone where none was asked for."""
    return [("corruption", "accuracy", "95% interval", "n", "on")] + [
        (
            entry["name"],
            f"{100 * entry['accuracy']:.1f}%",
            f"{100 * entry['ci95'][0]:.1f}–{100 * entry['ci95'][1]:.1f}%",
            str(entry["n"]),
            entry["target"],
        )
        for entry in report["corruptions"]
    ]


def missing_targets(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and reason of every target that did not run or failed."""
    entries = report["targets"].items()
    return [
        (name, f"{entry['status']}: {entry['reason']}")
        for name, entry in entries
        if entry["status"] != "ok"
    ]


def _share(value: float) -> str:
    """A share that is not all never reads as all."""
    return "all" if value == 1 else f"{min(100 * value, 99.9999):.4f}%"


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    parting = report["parting"]["first"]
    where = (
        f"first in layer {parting['layer']} at step {parting['step']}, "
        f"in {100 * parting['recordings']:.0f}% of {report['parting']['n']} recordings"
        if parting
        else f"nowhere in {report['parting']['n']} recordings"
    )
    versions_line = ", ".join(f"{name} {value}" for name, value in report["versions"].items())
    return "\n".join(
        [
            f"# {report['name']}",
            "",
            f"**{report['verdict']['sentence']}**",
            "",
            "## Accuracy, step by step",
            *_table(ladder_rows(report)),
            "",
            f"Float and fixed-point spikes part {where}.",
            *calibration_lines(report["calibration"]),
            "",
            "![ladder](ladder.png)",
            *_scale_section(report["scales"]),
            "",
            "## Targets",
            *_table(target_rows(report)),
            "",
            *(f"- `{name}` {reason}" for name, reason in missing_targets(report)),
            "",
            "Spikes are compared at every step of every recording with the NumPy reference. "
            "Samples a second on `loihi` are those of a simulator, not of the chip.",
            "",
            f"Synaptic operations: {report['synops_per_sample']:,.0f} a recording. "
            f"Currents that wrapped around 24 bits: {report['wrapped_currents']:,}. "
            f"Membrane readouts that reached their register's end: {report['readout_resets']:,}.",
            *_neurobench_section(report["neurobench"]),
            "",
            "![confusion](confusion.png)",
            "",
            "![raster](raster.png)",
            *_corruption_section(report),
            *energy_section(report["energy"]),
            *robustness_section(report["robustness"]),
            "",
            "## Training",
            *_table(cost_rows(report["training"])),
            "",
            gain_note(report["gain"]),
            *cost_note(report["training"]),
            *convergence_section(report["training"]),
            "",
            "## Files",
            *_table(_file_rows(report)),
            "",
            f"{versions_line}; commit {report['git_commit'] or 'unknown'}.",
            "",
        ]
    )


def _corruption_section(report: Mapping[str, Any]) -> list[str]:
    if not report["corruptions"]:
        return []
    seed = report["config"]["evaluate"]["corruption_seed"]
    return [
        "",
        "## Corrupted recordings",
        *_table(corruption_rows(report)),
        "",
        "Every test recording was corrupted before binning and run through the deployed files; "
        f"corruption seed {seed}. Noise is in events a second for each pixel and polarity.",
    ]


def _scale_section(scales: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of scales; nothing where the conversion recorded none."""
    return ["", "## Integer weights", *_table(scale_rows(scales)), "", SCALE_NOTE] if scales else []


def _neurobench_section(measures: Mapping[str, Any] | None) -> list[str]:
    if measures is None:
        return []
    note = neurobench_note(measures)
    return ["", "## NeuroBench's measures", *_table(neurobench_rows(measures)), "", note]


def _file_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    return [("file", "bytes", "SHA-256")] + [
        (entry["path"], f"{entry['bytes']:,}", f"`{entry['sha256']}`")
        for entry in report["artifacts"]
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    header, *body = rows
    lines = [header, tuple("---" for _ in header), *body]
    return ["", *("| " + " | ".join(cells) + " |" for cells in lines)]


def read_report(run: Path) -> dict[str, Any]:
    """Read `report.json` of a run.

    Raises:
        HardspikeError: there is none, or it is not a report.
    """
    report = read_json(run / "report" / JSON)
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise HardspikeError(f"{run / 'report' / JSON}: is not a report of schema {SCHEMA}")
    return report
