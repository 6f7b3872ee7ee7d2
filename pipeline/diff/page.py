"""A comparison in sentences and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.diff.effects import in_words
from pipeline.diff.table import layer_rows, parameter_rows, parting_rows


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what a user should know, the conclusion first."""
    lines = [report["conclusion"]]
    lines += [f"Also: {cause['sentence']}" for cause in report["causes"][1:]]
    if report["first_parting"] is not None:
        lines += [_where(report), *_near(report), *_effects(report)]
    return [*lines, *_predictions(report), *map(_sentence, report["unpaired"])]


def _where(report: Mapping[str, Any]) -> str:
    found = report["first_parting"]
    place = found["place"]
    neuron = f"neuron {found['neuron']}"
    if len(place) == 3:
        neuron += f" (channel {place[0]}, row {place[1]}, column {place[2]})"
    below = "had read the same until then" if found["inputs_agree"] else "read other inputs"
    return (
        f"First parting: layer {found['layer']}, step {found['step']}, {neuron}, recording "
        f"{found['recording']} ({found['recording_name']}); {found['differing_there']} spikes of "
        f"that layer differ at that step, in {found['recordings_there']} recordings. Both sides "
        f"{below}."
    )


def _near(report: Mapping[str, Any]) -> list[str]:
    near = report["near_threshold"]
    if near is None:
        return []
    return [
        f"Of {near['neurons']:,} neurons that part there on equal inputs, {near['near']:,} had "
        f"both membranes within {100 * near['within']:g}% of the threshold (median distance "
        f"{100 * near['median']:.3g}%)."
    ]


def _effects(report: Mapping[str, Any]) -> list[str]:
    if report["effects"] is None and not report["first_parting"]["inputs_agree"]:
        return []
    return [
        "Spikes of that layer that change when one part alone comes from the other side: "
        f"{in_words(report['effects'])}."
    ]


def _predictions(report: Mapping[str, Any]) -> list[str]:
    found = report["predictions"]
    if found is None:
        return ["Predictions are not compared: the sides have other numbers of classes."]
    line = f"Predictions: {found['changed']} of {found['n']} changed"
    if "a" in found:
        line += (
            f" ({found['lost']} lost, {found['gained']} gained); accuracy "
            f"{100 * found['a']['accuracy']:.1f}% in A, {100 * found['b']['accuracy']:.1f}% in B"
        )
    return [f"{line}."]


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    a, b = report["a"], report["b"]
    lines = [
        f"# {a['given']} against {b['given']}",
        "",
        *(f"{line}\n" for line in sentences(report)),
        f"A is {_subject(a)}; B is {_subject(b)}. Both ran on {report['recordings']['what']}, "
        f"{report['recordings']['steps']} steps.",
        "",
        "![where spikes differ](diff.png)",
        "",
        "## Layers",
        "",
        *_table(layer_rows(report)),
        "",
        "Differ: share of (recording, step, neuron) whose spikes differ; lag: steps by which B's "
        "spikes come after A's, where that explains them.",
    ]
    if report["first_parting"] is not None:
        lines += ["", "## First parting", "", *_table(parting_rows(report))]
    lines += [
        "",
        "## Parameters",
        "",
        *_table(parameter_rows(report)),
        "",
        "A / B, once where they are the same. Thresholds are in the unit of A's weights; errors of "
        "weights and bias are ‖A − B‖ over the larger norm; steps are of the coarser grid.",
    ]
    if report["notes"]:
        lines += ["", *(f"- {_sentence(note)}" for note in report["notes"])]
    return "\n".join([*lines, ""])


def _subject(entry: Mapping[str, Any]) -> str:
    return f"`{entry['file']}` ({entry['kind']}) on {entry['target']} ({entry['version']})"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    header, *body = rows
    dashes = ["---", *("---:" for _ in header[1:])]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *body)]
    return ["| " + " | ".join(row) + " |" for row in (cells[0], dashes, *cells[1:])]
