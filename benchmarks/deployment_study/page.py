"""The study's page: what was run, its tables, and what they say, in words that follow the figures.

A method is said to withstand something best only where the 95% interval of its lead over the
second is above zero.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.deployment_study.found import Found
from benchmarks.deployment_study.pictures import pictures
from benchmarks.deployment_study.quickstart_tables import (
    energy_table,
    energy_words,
    latency_table,
    latency_words,
    suite_table,
)
from benchmarks.deployment_study.settings import ARMS, BASELINE, FOLDS, SEEDS
from benchmarks.deployment_study.tables import (
    PARTS,
    against_baseline,
    arms,
    cost_table,
    gained,
    in_words,
    kinds,
    lead,
    matrix,
    ranking,
    retained,
    retained_table,
    seconds,
)
from benchmarks.statistics import plus_minus, summary, with_interval
from benchmarks.study.tables import Row, markdown

_NOT_RUN = "Not run yet."


def page(found: Found, headline: Mapping[str, Any]) -> str:
    """Return the study as Markdown."""
    drawn = pictures(found)
    parts = [
        _INTRODUCTION.format(folds=FOLDS, seeds=SEEDS),
        "## What it says\n\n" + "\n".join(f"- {line}" for line in conclusions(found)),
        "## Headline\n\n" + markdown(list(_headline_rows(headline))),
        "## What is retained\n\n"
        + _RETAINED
        + _shown(retained_table(found))
        + _picture(drawn, "curves.png", "Accuracy under every corruption and fault"),
        *(
            f"## Under every {words}\n\n"
            + _shown(matrix(found, part))
            + f"\n\nAgainst {ARMS[BASELINE].title}, in points; bold where 0 lies outside:\n\n"
            + _shown(against_baseline(found, part))
            for part, words in PARTS.items()
        ),
        "## What training cost\n\n"
        + _COST
        + _shown(cost_table(found))
        + _picture(drawn, "cost.png", "Deployed accuracy against seconds of training"),
        "## The quickstart network: the suite\n\n" + _shown(suite_table(found)),
        "## The quickstart network: latency\n\n"
        + latency_words(found)
        + _shown(latency_table(found)),
        "## The quickstart network: energy on Loihi 1\n\n"
        + _shown(energy_table(found))
        + energy_words(found),
        _METHOD,
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _shown(rows: list[Row]) -> str:
    return markdown(rows) if len(rows) > 1 else _NOT_RUN


def _picture(drawn: Mapping[str, Any], name: str, what: str) -> str:
    return f"\n\n![{what}](deployment/{name})" if name in drawn else ""


def conclusions(found: Found) -> list[str]:
    """Return what the figures say, a sentence each."""
    sayings = (_on_retained, _on_leads, _on_weights, _on_cost)
    return [line for say in sayings for line in say(found)] or [_NOT_RUN]


def _on_retained(found: Found) -> Iterator[str]:
    for part, words in PARTS.items():
        kept = {
            arm: summary(list(retained(found, arm, part).values()))
            for arm in arms(found)
            if found.withstood(arm) and kinds(found, part)
        }
        if kept:
            order = sorted(kept, key=lambda arm: kept[arm].mean, reverse=True)
            said = ", ".join(f"{ARMS[arm].title} {plus_minus(kept[arm])}" for arm in order)
            yield f"**Retained under a {words}**, % of a network's own clean accuracy: {said}."


def _on_leads(found: Found) -> Iterator[str]:
    for part, words in PARTS.items():
        sure: dict[str, list[str]] = {}
        unsure = []
        for kind in kinds(found, part):
            ahead = lead(found, part, kind)
            if ahead is not None and ahead.low > 0:
                best = ranking(found, part, kind)[0]
                sure.setdefault(best, []).append(f"{in_words(kind)} {with_interval(ahead)}")
            else:
                unsure.append(in_words(kind))
        said = [f"{ARMS[arm].title}: {', '.join(of_arm)}" for arm, of_arm in sure.items()]
        if unsure:
            said.append(f"no lead is shown under {', '.join(unsure)}")
        if said:
            yield f"**Best accuracy under a {words}**, lead over the second: {'; '.join(said)}."


def _on_weights(found: Found) -> Iterator[str]:
    means = {
        arm: summary([entry.mean_weights[-1] for entry in found.withstood(arm).values()])
        for arm in arms(found)
        if found.withstood(arm)
    }
    if means:
        said = ", ".join(f"{ARMS[arm].title} {plus_minus(one, 2)}" for arm, one in means.items())
        yield (
            "**A likely reason why stuck and flipped weights hurt some more** (nothing here tests "
            "it): one stuck at the largest value counts for more where others are small. Mean "
            f"magnitude of the readout's weights over the largest: {said}."
        )


def _on_cost(found: Found) -> Iterator[str]:
    rates = {
        arm: summary([gained(run) / seconds(run) for run in found.runs(arm).values()])
        for arm in arms(found)
    }
    order = sorted(rates, key=lambda arm: rates[arm].mean, reverse=True)
    if order:
        said = ", ".join(f"{ARMS[arm].title} {plus_minus(rates[arm], 2)}" for arm in order)
        yield f"**Deployed points gained over a guess for a second of training**: {said}."


def _headline_rows(headline: Mapping[str, Any], above: str = "") -> Iterator[Row]:
    if not above:
        yield ("figure", "value (mean ± sd)", "n")
    for name, value in headline.items():
        whole = f"{above}.{name}" if above else name
        if isinstance(value, Mapping) and "mean" not in value:
            yield from _headline_rows(value, whole)
        elif isinstance(value, Mapping):
            spread = "–" if value["sd"] is None else f"{value['sd']:.3g}"
            yield (f"`{whole}`", f"{value['mean']:.3g} ± {spread}", str(value["n"]))
        else:
            yield (f"`{whole}`", "not measured" if value is None else f"{value:.4g}", "")


_INTRODUCTION = """\
# What does a deployed spiking network withstand, and what does it cost?

<!-- Written by `make study-deployment` from docs/studies/deployment; edits are lost. -->

One network (`configs/nmnist-1k.yaml`: three convolutions and a dense layer, membrane readout) is
trained on 1,000 real recordings of N-MNIST (Orchard et al. 2015) by six methods, over {folds} folds
of 200 test recordings and {seeds} seeds, converted to 8 bits and exported. The exported ONNX files
are then put to `configs/robustness.yaml`: corruptions of the recordings before they are binned, and
faults of the chip, five severities each. The corruptions are the same for every network, to the
event. The other half of the page is about the network of `configs/quickstart.yaml`: how long the
suite takes, its latency on this processor, and what it would cost on Loihi 1."""

_RETAINED = """\
Accuracy over the same network's clean accuracy, mean over severities and then over rows: the one
number of `hardspike robustness`. A network that was bad to begin with can retain much, so read it
beside the clean accuracy.

"""

_COST = """\
Seconds, gradient evaluations and FLOPs are of training alone. Points are those of deployed accuracy
over a guess among ten classes (10%). Two trainings ran side by side, a thread each, with other work
of low priority beside them, so that seconds show magnitudes. No counter of energy can be read on
the machine used, so there are no joules. ADMM evaluates no gradient; its FLOPs are counted from its
own products and solves.

"""

_METHOD = """\
## How to read it

± is the standard deviation over runs. Differences are paired by fold and seed; their 95% interval
is Student's over folds, each the mean of its seeds. The training parts of two folds overlap, so the
intervals are somewhat too narrow, and none is corrected for the number of comparisons: of the
intervals in a table about one in twenty lies beside 0 by chance, and the best of several arms is
picked by the same recordings that its lead is measured on.

All methods have the same layers, readout, training recordings (no validation part: the last weights
count), shifts of up to one pixel and 60 epochs; ADMM has 40 passes and the settings that
[its study](admm.md) found on validation recordings. "SAST" keeps a low slope (3) and ρ = 0.1; the
slope schedule runs from 3 to 15; "hard forward" is the conventional surrogate gradient, of slope 5.
The recommended recipe is `configs/controls/recipe-hard.yaml` as it stands: hard forward with SAST,
40% of the weights pruned. Settings of the surrogate methods were chosen with these recordings in
sight ([study of SAST](sast.md)). Every run's record is in `docs/studies/deployment/`, what it
withstands in `withstood/` below it: correct recordings at each severity, and for faults the mean of
three draws."""
