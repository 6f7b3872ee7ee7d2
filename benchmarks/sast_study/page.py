"""The study's page: what was run, its tables, and what they say, in words that follow the figures.

A sentence says "more" or "less" only where the 95% interval of the paired difference is on one
side of zero; otherwise it says that no difference is shown.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.sast_study.plan import (
    ARMS,
    FOLDS,
    NMNIST,
    RECOMMENDED,
    SACCADE,
    SACCADE_TRAIN,
    SWAPPED,
)
from benchmarks.sast_study.tables import (
    arm_table,
    best,
    comparison_table,
    grid_table,
    lost,
    smooth,
)
from benchmarks.statistics import plus_minus, summary, with_interval
from benchmarks.study.tables import (
    Figure,
    Records,
    Row,
    deployed,
    difference,
    markdown,
    synops,
    verdict,
)
from benchmarks.training_step import step_ratios

TUNED_ON = (0, 1)
"""Folds whose test recordings were looked at while slopes, ρ and the recipe were chosen."""
PICTURES = ("grid.png", "arms.png", "cost.png")


Headline = Mapping[str, Mapping[str, Any]]


def page(records: Records, found: Headline, untouched: Headline, steps: Mapping[str, Any]) -> str:
    """Return the study as Markdown. `untouched` is the headline without the folds tuned on."""
    parts = [
        _INTRODUCTION.format(train=SACCADE_TRAIN, folds=FOLDS),
        "## What it says\n\n" + "\n".join(f"- {line}" for line in conclusions(records)),
        "## Headline\n\n" + markdown(_headline_rows(records, found, untouched)),
        f"## Slope and ρ\n\n{_GRID}\n\n![Points lost by slope and ρ](sast/{PICTURES[0]})\n\n"
        + markdown(grid_table(records)),
        f"## N-MNIST-1k, five folds\n\n![Every arm](sast/{PICTURES[1]})\n\n"
        + markdown(arm_table(records, NMNIST))
        + "\n\n"
        + markdown(comparison_table(records, NMNIST)),
        f"![Deployed accuracy against training cost](sast/{PICTURES[2]})",
        "## saccade-mnist\n\n" + _saccade(records),
        "## The step\n\n" + _steps(steps),
        _METHOD,
    ]
    return "\n\n".join(parts) + "\n"


def _saccade(records: Records) -> str:
    if not records.arms(SACCADE, ARMS):
        return "Not run yet."
    return (
        markdown(arm_table(records, SACCADE))
        + "\n\n"
        + markdown(comparison_table(records, SACCADE))
    )


def conclusions(records: Records) -> list[str]:
    """Return what the paired differences say, a sentence each."""
    lines = []
    plain, sast = (_mean(records, arm, lost) for arm in ("plain", "sast"))
    picked = [_mean(records, arm, lost) for arm in SWAPPED]
    if plain and sast and all(picked):
        lines.append(
            f"**What the hard threshold costs.** The plain network loses {plain} points on "
            f"N-MNIST-1k; SAST at the same slope loses {sast}. Where the epoch is picked by the "
            f"hard network's validation accuracy, and not by the smooth one's, {picked[0]} and "
            f"{picked[1]}."
        )
    lines.append(
        f"**What we recommend:** {ARMS[RECOMMENDED][0]} (`configs/{ARMS[RECOMMENDED][1]}`)."
    )
    questions = (
        ("What SAST buys.", ("sast", "plain")),
        ("Is it the second gradient?", ("sast", "compute-matched")),
        ("Is it any perturbation?", ("sast", "random")),
        ("Would calibration do?", ("sast", "plain-calibrated")),
        ("What a slope schedule buys at half the cost.", ("slope", "sast")),
        ("What both together do.", ("slope-sast", "slope")),
        ("Both against the slope schedule at the same cost.", ("slope-sast", "slope-matched")),
        ("Hard forward against the slope schedule.", ("hard-forward", "slope")),
        ("Ten more epochs of fine-tuning at 4 bits.", ("low-bit", "slope-sast")),
        (
            "Epochs, shifts, all recordings, readout and pruning together.",
            ("recipe", "slope-sast"),
        ),
        ("What SAST does in it.", ("recipe", "recipe-without-sast")),
        ("What pruning a third of the weights costs.", ("recipe", "recipe-dense")),
        (
            "Hard forward in the recipe, a constant slope, two fifths of the weights pruned.",
            ("recipe-hard", "recipe"),
        ),
        ("What SAST does with hard spikes.", ("recipe-hard", "recipe-hard-without-sast")),
    )
    for title, pair in questions:
        said = _compared(records, pair)
        if said:
            lines.append(f"**{title}** {said}")
    fewer = difference(records, NMNIST, (RECOMMENDED, "plain"), synops)
    if fewer is not None:
        lines.append(
            "**Spikes.** Synaptic operations of the recommended recipe minus those of the plain "
            f"network: {with_interval(fewer, 0)} thousand a recording."
        )
    return lines


def _compared(records: Records, pair: tuple[str, str]) -> str:
    """Return a sentence on 8- and 4-bit deployed accuracy, on every set of recordings there is."""
    said = []
    for dataset in (NMNIST, SACCADE):
        found = {bits: difference(records, dataset, pair, deployed, bits) for bits in (8, 4)}
        words = [
            f"{bits} bits {verdict(value)}, {with_interval(value)}"
            for bits, value in found.items()
            if value is not None
        ]
        if words:
            said.append(f"{dataset}: {'; '.join(words)}")
    one, other = (ARMS[arm][0] for arm in pair)
    return f"Deployed, {one} minus {other}. {'. '.join(said)}." if said else ""


def _mean(records: Records, arm: str, figure: Figure) -> str:
    values = list(records.values(NMNIST, arm, figure).values())
    return plus_minus(summary(values)) if values else ""


_MEANING = {
    "gap_plain_points": "points that the plain network loses at the swap, epoch by hard accuracy",
    "gap_sast_points": "points that SAST loses at the swap, epoch by hard accuracy",
    "smooth_change_points": "smooth accuracy of this SAST minus that of this plain network, points",
    "int8_minus_best_smooth_points": "best deployed network at 8 bits minus best smooth network",
    "int4_minus_best_smooth_points": "the same at 4 bits",
    "step_ratio": "time of SAST's step over the plain step",
    "synops_ratio": "SynOps of the recommended recipe over those of the plain network",
}


def _headline_rows(records: Records, found: Headline, untouched: Headline) -> list[Row]:
    rows: list[Row] = [("figure", "mean ± sd", "n", "folds not tuned on", "n", "what it is")]
    for name, value in found.items():
        text, other = _MEANING[name], untouched[name]
        if name.startswith("int8"):
            text += f" ({ARMS[best(records, deployed)][0]}; {ARMS[best(records, smooth)][0]})"
        cells = (_short(value), str(value["n"]), _short(other), str(other["n"]))
        rows.append((f"`{name}`", *cells, text))
    return rows


def _short(value: Mapping[str, Any]) -> str:
    spread = "–" if value["sd"] is None else f"{value['sd']:.2f}"
    return f"{value['mean']:.2f} ± {spread}".replace("-", "−")


def _steps(steps: Mapping[str, Any]) -> str:
    plain, sharp = steps["plain_ms"], steps["sast_ms"]
    ratio = summary(step_ratios(steps))
    return (
        f"The network above, minibatches of {steps['batch_size']}, {steps['threads']} thread, "
        f"{ratio.n} pairs of {steps['steps']} steps each, in turn: the plain step takes "
        f"{plus_minus(summary(plain))} ms, SAST's {plus_minus(summary(sharp))} ms, the ratio is "
        f"{plus_minus(ratio, 3)}. `make bench-step` measures it."
    )


_INTRODUCTION = """\
# When does sharpness-aware surrogate training help?

<!-- Written by `make study-sast` from the records in docs/studies/sast; edits are lost. -->

SAST (arXiv 2603.18039) trains on smooth spikes and looks for weights whose neighbours are good too,
so that the network survives the hard threshold. This study asks what it buys on real recordings,
and whether something cheaper does the same. The recordings are 1,000 of N-MNIST (Orchard et al.
2015) in {folds} folds of 200 test recordings, and simulated saccade-mnist ({train:,} training and
1,000 test recordings). Deployed accuracy is that of the exported fixed-point files on the integer
reference; ONNX Runtime ran the same files with the same spikes in every run."""

_GRID = """\
Accuracy over slope β and ρ on one split of N-MNIST-1k, mean ± standard deviation over seeds."""

_METHOD = """\
## How to read it

Every number is of a run folder whose record (config, stage keys, versions, hashes of the outputs
and all figures) is in `docs/studies/sast/`. ± is the standard deviation over runs. Differences are
paired by fold and seed; their 95% interval is Student's over folds, each the mean of its seeds
(over seeds for saccade-mnist). The training parts of two folds overlap, so the intervals are
somewhat too narrow, and no correction is made for the number of comparisons. With fewer than three
folds or seeds no difference is claimed. n counts runs.

What was tuned where: the slope and ρ of plain and SAST, the slope schedule and everything in the
recipe were chosen by trying about a hundred trainings on folds 0 and 1, test accuracy in sight; the
other arms took their settings over untuned. That the headline's first figures pick the epoch by
hard validation accuracy, and that the recommended recipe prunes 40% and not 35%, was decided when
all folds had been seen: with the epoch by smooth accuracy SAST's loss was 3.4 points, and with 35%
pruned the SynOps 0.61 of the plain network's. The five folds share all 1,000 recordings, so the
headline stands beside itself without these two folds. The best arms of the headline are the best by
the means of this very table.

Every training had one thread, with one or more others and other work beside it: seconds show
magnitudes, gradients compare. "Half of the events" drops each event with
probability ½, noise adds 1 event a second, pixel and polarity. Arms are the experiment files in
`configs/controls/`, and `configs/nmnist-1k.yaml` for SAST."""
