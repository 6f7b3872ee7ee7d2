"""What the study says in detail: the paired differences, a sentence each."""

from benchmarks.sast_study.comparisons import compared, on, told
from benchmarks.sast_study.plan import (
    ARMS,
    BY_VALIDATION,
    NMNIST,
    RECOMMENDED,
    SACCADE,
    SWAPPED,
)
from benchmarks.sast_study.tables import lost
from benchmarks.statistics import plus_minus, summary
from benchmarks.study.tables import (
    Records,
    corruption,
    deployed,
    difference,
    synops,
)

QUESTIONS: tuple[tuple[str, tuple[str, str]], ...] = (
    ("What SAST buys at a low slope.", ("sast", "plain")),
    ("The same, epochs picked by the hard network.", SWAPPED[::-1]),
    ("Where validation chose slope, ρ and epochs.", BY_VALIDATION[::-1]),
    ("Is it the second gradient?", ("sast", "compute-matched")),
    ("Is it any perturbation?", ("sast", "random")),
    ("Would calibration do?", ("sast", "plain-calibrated")),
    ("What a constant steep slope buys at half the cost.", ("plain-steep", "sast-hard-pick")),
    ("The same against SAST's best setting at a low slope.", ("plain-steep", "sast-long")),
    ("What SAST adds to a steep slope.", ("sast-steep", "plain-steep")),
    ("What a slope schedule buys at half the cost.", ("slope", "sast-hard-pick")),
    ("A schedule against a constant slope.", ("slope", "plain-steep")),
    ("What both together do.", ("slope-sast", "slope")),
    ("Both against the slope schedule at the same cost.", ("slope-sast", "slope-matched")),
    ("Hard forward against the slope schedule.", ("hard-forward", "slope")),
    ("As the theorem has it, with and without SAST.", ("theory", "theory-plain")),
    ("Ten more epochs of fine-tuning at 4 bits.", ("low-bit", "slope-sast")),
    ("Epochs, shifts, all recordings, readout and pruning together.", ("recipe", "slope-sast")),
    ("What SAST does in it.", ("recipe", "recipe-without-sast")),
    ("What pruning a third of the weights costs.", ("recipe", "recipe-dense")),
    (
        "Hard forward in the recipe, a constant slope, two fifths of the weights pruned.",
        ("recipe-hard", "recipe"),
    ),
    ("What SAST does with hard spikes.", ("recipe-hard", "recipe-hard-without-sast")),
    ("The same at as many gradients.", ("recipe-hard", "recipe-hard-matched")),
)


def conclusions(records: Records) -> list[str]:
    """Return what the paired differences say, a sentence each."""
    lines = [_swap(records, dataset) for dataset in (NMNIST, SACCADE)]
    for title, pair in QUESTIONS:
        said = compared(records, pair)
        if said:
            lines.append(f"**{title}** {said}")
    lines += [_gap(records), _withstood(records), _spikes(records)]
    return [line for line in lines if line]


def _swap(records: Records, dataset: str) -> str:
    """Say what the hard threshold costs, and what of it SAST avoids."""
    settings = (
        (("plain", "sast"), "at β = 1.8, epochs picked by smooth validation accuracy"),
        (SWAPPED, "the same, epochs picked by hard validation accuracy"),
        (BY_VALIDATION, "at β = 1.5 with twice the epochs"),
    )
    said = [
        f"{words}: {_mean(records, dataset, plain)} points without SAST, "
        f"{_mean(records, dataset, sast)} with it ({told(less)})"
        for (plain, sast), words in settings
        if (less := difference(records, dataset, (sast, plain), lost)) is not None
    ]
    if not said:
        return ""
    untuned = " Neither slope nor ρ was tuned there." if dataset == SACCADE else ""
    return f"**What the hard threshold costs on {dataset}.** {'; '.join(said)}.{untuned}"


def _gap(records: Records) -> str:
    """Say what SAST does to the points lost where the theorem speaks, and at a steep slope."""
    pairs = (("theory", "theory-plain"), ("sast-steep", "plain-steep"), ("slope-sast", "slope"))
    said = [
        f"{ARMS[one][0]} minus {ARMS[other][0]} {on(records, (one, other), lost)}"
        for one, other in pairs
        if records.values(NMNIST, one, lost) and records.values(NMNIST, other, lost)
    ]
    return f"**Points lost at the swap, elsewhere.** {'; '.join(said)}." if said else ""


def _withstood(records: Records) -> str:
    """Say how SAST and what it is held against bear lost events and noise."""
    asked = (
        ("drop", "half of the events", ("sast-hard-pick", "slope")),
        ("drop", "half of the events", ("sast-long", "slope-matched")),
        ("drop", "half of the events", ("sast-hard-pick", "plain-steep")),
        ("noise", "noise of 1 Hz", ("sast", "plain-calibrated")),
        ("noise", "noise of 1 Hz", ("sast-hard-pick", "plain-steep")),
        ("drop", "half of the events", ("recipe-hard", "recipe-hard-matched")),
        ("noise", "noise of 1 Hz", ("recipe-hard", "recipe-hard-matched")),
    )
    said = [
        f"{words}, {ARMS[one][0]} minus {ARMS[other][0]}: "
        f"{on(records, (one, other), corruption(kind))}"
        for kind, words, (one, other) in asked
        if records.values(NMNIST, one, deployed) and records.values(NMNIST, other, deployed)
    ]
    return f"**Lost events and noise, 8 bits, {NMNIST}.** {'; '.join(said)}." if said else ""


def _spikes(records: Records) -> str:
    """Say where the recommended recipe saves synaptic operations."""
    asked = (
        ("than the plain network's", "plain"),
        ("than its own without pruning", "recipe-hard-dense"),
        ("than its own without SAST, as many gradients", "recipe-hard-matched"),
        ("than those of the plain network, pruned alike", "plain-pruned"),
    )
    said = [
        f"{words}, {on(records, (RECOMMENDED, other), synops, 8, 0)}"
        for words, other in asked
        if records.values(NMNIST, other, synops) and records.values(NMNIST, RECOMMENDED, synops)
    ]
    if not said:
        return ""
    return (
        "**Spikes.** Thousands of synaptic operations a recording of the recommended recipe, more "
        f"or less {'; '.join(said)}.{_pruned(records)}"
    )


def _pruned(records: Records) -> str:
    """Say how much of what the recipe saves is the pruning's."""
    found = [
        difference(records, NMNIST, (RECOMMENDED, other), synops)
        for other in ("recipe-hard-dense", "plain")
    ]
    dense, whole = (0.0 if one is None else one.mean for one in found)
    if not (dense < 0 and whole < 0):
        return ""
    return f" Of what it saves against the plain network, {dense / whole:.0%} is the pruning's."


def _mean(records: Records, dataset: str, arm: str) -> str:
    return plus_minus(summary(list(records.values(dataset, arm, lost).values())))
