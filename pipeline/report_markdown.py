"""A report in Markdown, and the tables that the command line prints of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.accuracy_gain import gain_note
from pipeline.convergence_page import convergence_section
from pipeline.conversion_page import SCALE_NOTE, calibration_lines, scale_rows
from pipeline.cost_page import cost_note, cost_rows
from pipeline.energy.table import energy_section
from pipeline.neurobench_page import neurobench_note, neurobench_rows
from pipeline.robustness.section import robustness_section


def ladder_rows(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of the ladder, header first."""
    header = ("step", "accuracy", "95% interval", "n")
    return [
        header,
        *(
            (
                rung_name(rung),
                f"{100 * rung['accuracy']:.1f}%",
                f"{100 * rung['ci95'][0]:.1f}–{100 * rung['ci95'][1]:.1f}%",
                str(rung["n"]),
            )
            for rung in report["ladder"]
        ),
    ]


def rung_name(rung: Mapping[str, Any]) -> str:
    """Return a rung in words, marked where it is of an approximation and not of the network."""
    mark = " (approximated)" if rung.get("approximated") else ""
    return f"{rung['step'].replace('_', ' ')}{mark}"


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
        if entry["status"] not in ("ok", "approximated")
    ]


def approximated_targets(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return name and entry of every target that ran an approximation of the network."""
    entries = report["targets"].items()
    return [(name, entry) for name, entry in entries if entry["status"] == "approximated"]


def approximation_rows(entry: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of what stands in for each layer, header first."""
    return [("layer", "in its place", "spikes that differ", "in the worst recording")] + [
        (
            fact["layer"],
            fact["says"],
            f"{100 * fact['differing']:.3g}%",
            f"{100 * fact['worst']:.3g}%",
        )
        for fact in entry["approximated"]["layers"]
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
            *_approximation_section(report),
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


def _approximation_section(report: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, entry in approximated_targets(report):
        lines += [f"**Approximated**: `{name}` {entry['reason']}."]
        lines += [*_table(approximation_rows(entry)), ""]
    return lines


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
