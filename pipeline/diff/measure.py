"""`hardspike diff`: two subjects run on the same recordings, compared, and written to a folder."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.files import write_bytes, write_json
from hardware.targets import TargetOptions
from pipeline.diff.causes import Facts, find_causes
from pipeline.diff.compare import (
    Lag,
    Parting,
    differing,
    find_lag,
    find_parting,
    first_differences,
    inputs_agree,
    shares,
    spikes_of,
)
from pipeline.diff.effects import effects
from pipeline.diff.given import in_words
from pipeline.diff.loading import load_subjects
from pipeline.diff.page import markdown
from pipeline.diff.pairs import Pair, pair_layers
from pipeline.diff.parameters import LayerParameters, compare_parameters
from pipeline.diff.parting import departs, describe_parting, near_threshold
from pipeline.diff.picture import diff_picture
from pipeline.diff.recordings import (
    Recordings,
    check_inputs,
    check_seconds,
    load_recordings,
    words_of_data,
)
from pipeline.diff.sides import Side, run_side
from pipeline.diff.subject import Subject
from pipeline.diff.table import parameter_entry
from pipeline.metrics import score
from pipeline.progress import Reporter

SCHEMA = "hardspike.diff/1"
JSON, PAGE, PICTURE = "diff.json", "diff.md", "diff.png"
_ORACLE = "reference"


def diff(
    a: str,
    b: str,
    data: Path | None,
    rate: str | None,
    samples: int,
    seed: int,
    folder: Path | None,
    reporter: Reporter,
    said: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Path]:
    """Compare what `a` and `b` name; write page, picture and JSON; return the report and where.

    `said` are options of files of other toolkits, for each side that leaves them open.

    Raises:
        HardspikeError: a fault in an argument, a file or the recordings, or a target cannot run.
    """
    check_seconds(said or {}, rate)
    subjects = load_subjects((a, b), said or {}, words_of_data(data))
    check_inputs(*subjects)
    pairs, unpaired = pair_layers(subjects[0].network, subjects[1].network)
    recordings = load_recordings(*subjects, data, rate, samples, seed, reporter)
    options = TargetOptions(announce=reporter.line)
    sides = [run_side(one, recordings.spikes_BTCHW, options, reporter) for one in subjects]
    report = compare(sides[0], sides[1], pairs, unpaired, recordings)
    folder = folder or default_folder(*subjects)
    diff_picture(report, folder / PICTURE)
    write_bytes(folder / PAGE, markdown(report).encode())
    write_json(folder / JSON, report)
    return report, folder


def default_folder(a: Subject, b: Subject) -> Path:
    """Return `diff-A-B` in the working directory, from the names of files or runs and targets."""
    return Path(f"diff-{_short(a)}-{_short(b)}")


def _short(subject: Subject) -> str:
    name = subject.path.resolve().name
    if subject.run is not None and subject.run != subject.path:
        name = f"{subject.run.resolve().name}-{name}"
    if subject.foreign:
        name += "".join(f"@{part}" for part in subject.given.split("@")[1:] if "=" in part)
    target = "" if subject.target == _ORACLE else f"@{subject.target}"
    return re.sub(r"[^\w.@=,-]+", "_", name + target)


def compare(
    a: Side, b: Side, pairs: Sequence[Pair], unpaired: Sequence[str], recordings: Recordings
) -> dict[str, Any]:
    """Return the report of two sides that ran on the same recordings."""
    parting = find_parting(a, b, pairs)
    lags = tuple(find_lag(a, b, pair) for pair in pairs)
    parameters = [_parameters(a, b, pair) for pair in pairs]
    described, near, counts, departing, agree = None, None, None, {}, True
    if parting is not None:
        pair, compared = pairs[parting.pair], parameters[parting.pair]
        described = describe_parting(a, b, pair, compared, parting, recordings.names)
        near = near_threshold(a, b, pair, compared)
        chosen = _recordings_of(a, b, pair, parting)
        agree = bool(inputs_agree(a, b, pair)[:, parting.step].all())
        counts = effects(a, b, pair, compared, chosen) if agree else None
        departing = {
            name: side.subject.target
            for name, side, place in (("A", a, pair.a), ("B", b, pair.b))
            if departs(side, place, parting, chosen)
        }
    predictions = _predictions(a, b, recordings)
    facts = Facts(
        layers=tuple(pair.name for pair in pairs),
        steps=recordings.spikes_BTCHW.shape[1],
        recordings=len(recordings),
        parting=None if parting is None else (pairs[parting.pair].name, parting.step),
        lags=lags,
        departing=departing,
        stand_ins=_stand_ins(a, b),
        inputs_agree=agree,
        below=_below(pairs, parameters, parting),
        parameters=None if parting is None else parameters[parting.pair],
        effects=counts,
        gap_steps=_gap_steps(described),
        readouts=(a.subject.network.readout, b.subject.network.readout),
        changed_predictions=None if predictions is None else predictions["changed"],
        outputs_equal=_outputs_equal(a, b),
    )
    causes = find_causes(facts)
    return {
        "schema": SCHEMA,
        "a": _subject_entry(a),
        "b": _subject_entry(b),
        "recordings": {"what": recordings.what, "n": len(recordings), "steps": facts.steps},
        "equal": parting is None
        and not facts.changed_predictions
        and facts.outputs_equal is not False,
        "conclusion": causes[0].sentence,
        "causes": [{"kind": cause.kind, "sentence": cause.sentence} for cause in causes],
        "layers": _layers(a, b, pairs, lags),
        "first_parting": described,
        "near_threshold": near,
        "effects": counts,
        "predictions": predictions,
        "outputs_equal": facts.outputs_equal,
        "parameters": [parameter_entry(compared) for compared in parameters],
        "unpaired": list(unpaired),
        "notes": _notes(a, b),
    }


def _stand_ins(a: Side, b: Side) -> dict[str, tuple[str, ...]]:
    """Return the sides that run a stand-in, each with what it approximates."""
    found = {name: side.subject.approximates for name, side in (("A", a), ("B", b))}
    return {name: what for name, what in found.items() if what}


def _parameters(a: Side, b: Side, pair: Pair) -> LayerParameters:
    ends = [
        (side.subject.network, place, side.subject.has_scale)
        for side, place in ((a, pair.a), (b, pair.b))
    ]
    return compare_parameters(pair.name, ends[0], ends[1])


def _below(
    pairs: Sequence[Pair], parameters: Sequence[LayerParameters], parting: Parting | None
) -> LayerParameters | None:
    """Return the parameters of the pair right below the one that parts, if there is one."""
    if parting is None or parting.pair == 0:
        return None
    lower, upper = pairs[parting.pair - 1 : parting.pair + 1]
    direct = lower.a + 1 == upper.a and lower.b + 1 == upper.b
    return parameters[parting.pair - 1] if direct else None


def _recordings_of(a: Side, b: Side, pair: Pair, parting: Parting) -> list[int]:
    """Return the recordings in which the layer parts of itself, the first parting's first."""
    found = np.unique(first_differences(a, b, pair)[:, 0])
    return [parting.recording, *(int(at) for at in found if at != parting.recording)]


def _gap_steps(described: dict[str, Any] | None) -> float | None:
    gap = None if described is None else described["membrane_gap"]["grid_steps"]
    return None if gap is None else abs(gap)


def _subject_entry(side: Side) -> dict[str, Any]:
    subject = side.subject
    return {
        "given": subject.given,
        "file": str(subject.source),
        "kind": subject.kind,
        "target": subject.target,
        "version": side.version,
        "layers": len(subject.network.layers),
        "readout": subject.network.readout,
        "read_with": {
            name: {"value": word.value, "of": word.of} for name, word in subject.words.items()
        },
    }


def _layers(
    a: Side, b: Side, pairs: Sequence[Pair], lags: Sequence[Lag | None]
) -> list[dict[str, Any]]:
    """Return, a pair, what it fired and how the disagreement grows over the steps."""
    entries = []
    for pair, share_T, lag in zip(pairs, shares(a, b, pairs), lags, strict=True):
        differs = differing(a, b, pair)
        steps_T = differs.any(axis=(0, 2))
        entries.append(
            {
                "layer": pair.name,
                "neurons": differs.shape[2],
                "spikes_a": int(spikes_of(a, pair, True).sum()),
                "spikes_b": int(spikes_of(b, pair, False).sum()),
                "differing": int(differs.sum()),
                "share": float(differs.mean()),
                "first_step": int(steps_T.argmax()) if steps_T.any() else None,
                "recordings": int(differs.any(axis=(1, 2)).sum()),
                "lag": None if lag is None or lag.steps == 0 else lag.steps,
                "share_by_step": [float(share) for share in share_T],
            }
        )
    return entries


def _predictions(a: Side, b: Side, recordings: Recordings) -> dict[str, Any] | None:
    """Return how many predictions changed and both accuracies; None where classes do not meet."""
    outputs = a.outputs_BTN.shape[2]
    if outputs != b.outputs_BTN.shape[2]:
        return None
    one, other = a.predictions_B, b.predictions_B
    found: dict[str, Any] = {"changed": int((one != other).sum()), "n": len(recordings)}
    labels_B = recordings.labels_B
    if labels_B is not None and labels_B.max() < outputs:
        found |= {"a": score(one, labels_B), "b": score(other, labels_B)}
        found["lost"] = int(((one == labels_B) & (other != labels_B)).sum())
        found["gained"] = int(((one != labels_B) & (other == labels_B)).sum())
    return found


def _outputs_equal(a: Side, b: Side) -> bool | None:
    """Whether the membranes that are read are equal; None where they are of different units."""
    networks = a.subject.network, b.subject.network
    if any(network.readout != "membrane" for network in networks):
        return None
    scales = {network.layers[-1].scale for network in networks}
    if a.subject.is_float or b.subject.is_float or len(scales) > 1:
        return None
    return bool(np.array_equal(a.outputs_BTN, b.outputs_BTN))


def _notes(a: Side, b: Side) -> list[str]:
    lines = []
    for name, side in (("A", a), ("B", b)):
        subject = side.subject
        lines += _reading(name, subject)
        if subject.approximates:
            lines.append(
                f"{name}: {subject.source} is a stand-in made on request; of its network it "
                f"approximates: {', '.join(subject.approximates)}"
            )
        if subject.target != _ORACLE:
            lines.append(
                f"{subject.target} gives no membranes: {name}'s are the reference's, run anew from "
                f"the spikes that {subject.target}'s layers took"
            )
        if not subject.runs_its_own_file:
            lines.append(
                f"{name}: {subject.target} ran a file that was written from {subject.path}"
            )
        if not subject.has_scale:
            lines.append(
                f"{name}: the file holds no scales; its numbers are compared as they stand"
            )
    return lines


def _reading(name: str, subject: Subject) -> list[str]:
    """Say what a file of another toolkit was read with that is not in it."""
    lines = []
    if subject.words:
        words = ", ".join(
            f"{in_words(key)} {_value(word.value)} ({word.of})"
            for key, word in subject.words.items()
        )
        lines.append(f"{name} was read with {words}")
    if subject.flattens:
        lines.append(f"{name} takes a vector: recordings are flattened to it, (C, H, W) in order")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
