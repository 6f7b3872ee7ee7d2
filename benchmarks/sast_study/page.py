"""The study's page: the answer in short, the differences behind it, tables and method."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.records import RunRecord
from benchmarks.sast_study.comparisons import ACCURACY, ROBUSTNESS, comparison_table
from benchmarks.sast_study.headline import MEANING, BestArms
from benchmarks.sast_study.in_short import in_short, what_is_shown
from benchmarks.sast_study.plan import ARMS, FOLDS, NMNIST, SACCADE, SACCADE_TRAIN
from benchmarks.sast_study.sentences import conclusions
from benchmarks.sast_study.tables import arm_table, best_of_grid, grid_table
from benchmarks.sast_study.theory import Measured, mechanism, theory_table
from benchmarks.sast_study.trials import LATE, Tried, trial_table
from benchmarks.statistics import interval, plus_minus, summary
from benchmarks.study.tables import Records, Row, markdown
from benchmarks.training_step import step_ratios

TUNED_ON = (0, 1)
"""Folds whose test recordings were looked at while slopes, ρ and the recipe were chosen."""
PICTURES = ("grid.png", "arms.png", "cost.png")
_STEP_LIMIT = 1.95
"""What the step's ratio was asked to stay below; published are 2.08."""

Figures = Mapping[str, Mapping[str, Any]]


class Headline(NamedTuple):
    """The figures in short, their 95% intervals, and both again without the folds tuned on."""

    arms: BestArms
    found: Figures
    intervals: Figures
    untouched: Figures
    by_validation: Figures


class Aside(NamedTuple):
    """What was measured beside the runs: the steps' times, trials, the theory of some networks."""

    steps: Mapping[str, Any]
    tried: Mapping[str, Tried]
    measured: Mapping[str, Measured]


def page(records: Records, headline: Headline, aside: Aside) -> str:
    """Return the study as Markdown."""
    shown = what_is_shown(
        records, headline.found, headline.intervals, headline.untouched, headline.by_validation
    )
    parts = [
        _INTRODUCTION.format(train=SACCADE_TRAIN, folds=FOLDS),
        "## In short\n\n" + "\n\n".join(in_short(records)),
        f"## Headline\n\n{markdown(_headline_rows(headline))}\n\n{shown}",
        "## The differences, one by one\n\n"
        + "\n".join(f"- {line}" for line in conclusions(records)),
        f"## Slope and ρ\n\n{_GRID}{_chosen(records)}\n\n"
        + f"![Points lost by slope and ρ](sast/{PICTURES[0]})\n\n"
        + markdown(grid_table(records)),
        f"## {NMNIST}, five folds\n\n![Every arm](sast/{PICTURES[1]})\n\n"
        + _tables(records, NMNIST),
        f"![Deployed accuracy against training cost](sast/{PICTURES[2]})",
        f"## {SACCADE}\n\n" + _tables(records, SACCADE),
        f"## A smaller loss at the swap, sought by validation\n\n{_TRIALS.format(late=LATE)}\n\n"
        + (markdown(trial_table(aside.tried)) if aside.tried else "Not run yet."),
        f"## The theory, measured\n\n{_THEORY}\n\n"
        + (markdown(theory_table(aside.measured)) if aside.measured else "Not run yet.")
        + f"\n\n{mechanism(aside.measured)}",
        "## The step\n\n" + _steps(aside.steps),
        _METHOD + "\n\n" + _where_from(records),
    ]
    return "\n\n".join(parts) + "\n"


def _tables(records: Records, dataset: str) -> str:
    if not records.arms(dataset, ARMS):
        return "Not run yet."
    tables = (
        arm_table(records, dataset),
        comparison_table(records, dataset, ACCURACY),
        comparison_table(records, dataset, ROBUSTNESS),
    )
    return "\n\n".join(markdown(table) for table in tables)


def _chosen(records: Records) -> str:
    slope, rho = best_of_grid(records)
    return (
        f" By the hard network's validation accuracy, mean of both seeds, the best SAST is that of "
        f"β = {slope:g} and ρ = {rho:g}: with 80 validation recordings its lead is no more than "
        "chance may give."
    )


def _headline_rows(headline: Headline) -> list[Row]:
    rows: list[Row] = [
        ("figure", "mean ± sd", "n", "95% of the mean", "folds not tuned on", "n", "what it is")
    ]
    for name, value in headline.found.items():
        text, other = MEANING[name], headline.untouched[name]
        if name.startswith("int8"):
            text += f" ({ARMS[headline.arms.deployed][0]}; {ARMS[headline.arms.smooth][0]})"
        cells = (_short(value), str(value["n"]), _span(headline.intervals[name]))
        rows.append((f"`{name}`", *cells, _short(other), str(other["n"]), text))
    for name, value in headline.by_validation.items():
        cells = (_short(value), str(value["n"]), _span(value["interval_95"]))
        rows.append((f"{name}, β = 1.5", *cells, "–", "–", _BY_VALIDATION))
    return rows


_BY_VALIDATION = "the same at β = 1.5, ρ = 0.5 and 70 epochs, chosen by validation alone"


def _short(value: Mapping[str, Any]) -> str:
    spread = "–" if value["sd"] is None else f"{value['sd']:.2f}"
    return f"{value['mean']:.2f} ± {spread}".replace("-", "−")


def _span(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return "–"
    ends = f"{found['low']:.2f} to {found['high']:.2f}".replace("-", "−")
    return f"{ends} ({found['n']} {found['unit']})"


def _steps(steps: Mapping[str, Any]) -> str:
    plain, sharp, ratios = steps["plain_ms"], steps["sast_ms"], step_ratios(steps)
    ratio = summary(ratios)
    low, high = interval(ratio)
    over = sum(1 for one in ratios if one > _STEP_LIMIT)
    return (
        f"The network above, minibatches of {steps['batch_size']}, {steps['threads']} thread, "
        f"{ratio.n} pairs of {steps['steps']} steps each, in turn: the plain step takes "
        f"{plus_minus(summary(plain))} ms, SAST's {plus_minus(summary(sharp))} ms, the ratio is "
        f"{plus_minus(ratio, 3)} (95% of the mean {low:.2f} to {high:.2f}); {over} pairs of "
        f"{ratio.n} exceed {_STEP_LIMIT}. The machine had other work at the time. "
        "`make bench-step` measures it."
    )


def _where_from(records: Records) -> str:
    """Say of which code and packages the records are."""
    runs = [run for found in records.by_file.values() for run in found]
    commits = Counter(_commit(run) for run in runs)
    dirty = sum(n for commit, n in commits.items() if commit.endswith("+dirty"))
    older = sum(1 for run in runs if "numba" not in run.stages["train"].versions)
    return (
        f"The {len(runs)} records are of {len({c.removesuffix('+dirty') for c in commits})} "
        f"commits; {dirty} of them ran beside changes that were not committed, mostly the records "
        f"themselves. {older} were trained before the neuron had compiled kernels. A record counts "
        "as done while its config is that of the plan, whatever the code has become."
    )


def _commit(run: RunRecord) -> str:
    return str(run.stages["train"].git_commit)


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

Epochs were picked by validation accuracy of the smooth or of the hard network, the second column
says which; `last` is the last epoch, of arms without validation recordings. The hard network of a
calibrated arm is the calibrated one.

What was tuned where: the slope and ρ of plain and SAST at β = 1.8, the slope schedule and
everything in the recipe were chosen on folds 0 and 1, test accuracy in sight, by about a hundred
trainings that are not on record. Theory alignment has a step size, ρ and epochs of its own, found
in the same way. The random perturbation has SAST's ρ; another size was not tried. SAST at β = 5 has
the slope and ρ of the grid's best validation accuracy. On saccade-mnist neither slope nor ρ was
tuned. The pair at β = 1.5 was chosen by the trials above before it was run, on validation
recordings of folds 0 and 1. That epochs are picked by hard validation accuracy, and that the
recommended recipe prunes 40% and not 35%, was decided when all folds had been seen; with 35% the
SynOps were 0.61 of the plain network's, of which no record is left. The five folds share all 1,000
recordings, so the headline stands beside itself without these two folds. The best arms of the
headline are the best by the means of this very table, chosen once on all folds.

Every training had one thread, with one or more others and other work beside it: seconds show
magnitudes, and are medians; gradients compare. "Half of the events" drops each event with
probability ½, noise adds 1 event a second, pixel and polarity. Arms are the experiment files in
`configs/controls/`, and `configs/nmnist-1k.yaml` for SAST."""

_THEORY = """\
`hardspike theory` on networks of fold 0, seed 0, trained anew by the study's configs with the code
of their record; what the rows mean is in [sast-theory.md](../sast-theory.md). The recipe holds no
recording back and is measured on test recordings, as its smooth twin. L̂ was reached from below and
bounds nothing: a step size can be seen to be too large for it, never small enough. One network
each, so two columns differ by chance too."""

_TRIALS = """\
SAST with another ρ, measure or schedule, and the plain network where it changes too; all else is
the study's, epochs picked by hard accuracy. A fifth of the training recordings of folds 0 and 1 was
held out, 160 each; the seed is none of the study's, and no test recording was loaded. Accuracies
are means over the last {late} epochs, ± the standard deviation over the two folds. "As the study
has it" is β = 1.8 and ρ = 0.3. These are all trainings that were tried; the least loss over the
last epochs, with a plain network that loses 20 points and more, became the headline's setting. Of
its two figures only that of the picked epoch lies below 3 points."""
