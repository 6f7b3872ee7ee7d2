"""Whether a run ships: one sentence from its figures, by a rule that is stated.

The rule, its checks in order; the first that fails gives the reason:

1. Every target that ran agrees with the reference in every output, and none failed. A target that
   cannot run here is named, and no fault of the network. So is one that runs an approximation of
   the network because that was asked for; it counts as no agreement.
2. At least one target besides the reference ran, so that there was something to hold against it.
3. The deployed network loses at most `MARGIN` of the accuracy of the network that was trained: the
   smooth one where training was smooth, the hard one otherwise. The upper end of the loss's 95%
   interval counts, so that few recordings do not pass for a small loss.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from pipeline.accuracy_loss import Interval, paired_interval, unpaired_interval

MARGIN = 0.02
"""The share of the test recordings that deployment may cost: 2 percentage points."""
RULE = (
    "Ships when every target that ran agrees with the reference in every output and none failed, "
    "at least one target besides the reference ran, and the deployed network loses at most "
    f"{100 * MARGIN:.1f} points of the trained network's accuracy (upper end of the 95% interval)."
)
_ORACLE = "reference"
_STEPS = {
    "soft_reset": "in the soft reset",
    "hard_float": "at the hard threshold",
    "calibrated_float": "in calibrating the thresholds",
    "fixed_point": "in {bits}-bit integers",
}


@dataclass(frozen=True)
class Check:
    """One of the rule's checks, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Verdict:
    """`lost` is the share lost from the rung `trained` to the deployed network.

    `paired` says whether its interval is of the same recordings one by one, or only of the two
    accuracies.
    """

    ships: bool
    sentence: str
    checks: Sequence[Check]
    trained: str
    lost: float
    lost_ci95: Interval
    paired: bool
    margin: float = MARGIN

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain values."""
        return asdict(self) | {"rule": RULE}


def judge(report: Mapping[str, Any]) -> Verdict:
    """Return the verdict on a report's figures."""
    targets = report["targets"]
    trained = report["ladder"][0]
    lost = trained["accuracy"] - targets[_ORACLE]["accuracy"]
    interval, paired = _interval(report)
    checks = [_agreement(targets), _compared(targets), _loss(report, lost, interval, paired)]
    failed = next((check for check in checks if not check.passed), None)
    if failed is None:
        sentence = f"Ships: {checks[0].found}, and {checks[2].found}."
    else:
        sentence = f"Doesn't ship: {failed.found}."
    return Verdict(failed is None, sentence, checks, trained["step"], lost, interval, paired)


def _agreement(targets: Mapping[str, Any]) -> Check:
    name = "Targets agree"
    for target, entry in targets.items():
        if entry["status"] == "failed":
            return Check(name, False, f"{target} failed ({entry['reason']})")
    for target, entry in targets.items():
        if entry["status"] == "differs":
            share = 100 * (1 - entry["spike_agreement"])
            how = f"differs from the reference in {share:.3g}% of the outputs"
            if "approximated" in entry:  # of its own file, by which the agreement is not counted
                how = f"differs from the reference: {entry['reason']}"
            return Check(name, False, f"{target} {how}")
    ran = [target for target, entry in targets.items() if entry["status"] == "ok"]
    others = [target for target in ran if target != _ORACLE]
    missing = [target for target, entry in targets.items() if entry["status"] == "not run"]
    agree = "agrees" if len(others) == 1 else "agree"
    found = f"{_listed(others)} {agree} with the reference in every output"
    found = found if others else "no target but the reference ran"
    found += f" ({_listed(missing)} not run)" if missing else ""
    return Check(name, True, found + _approximated(targets))


def _approximated(targets: Mapping[str, Any]) -> str:
    """Say of each target that runs an approximation how far it is from the network."""
    return "".join(
        f"; {target} runs an approximation, as asked, that differs from the network in "
        f"{100 * (1 - entry['spike_agreement']):.3g}% of the outputs and "
        f"{100 * (1 - entry['prediction_agreement']):.3g}% of the decisions "
        f"({100 * entry['accuracy']:.1f}% of {entry['n']:,} recordings right)"
        for target, entry in targets.items()
        if entry["status"] == "approximated"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _compared(targets: Mapping[str, Any]) -> Check:
    others = [
        name
        for name, entry in targets.items()
        if name != _ORACLE and "accuracy" in entry and entry["status"] != "approximated"
    ]
    found = f"{len(others)} held against it" if others else "no target but the reference ran"
    found += "" if others else _approximated(targets)
    return Check("A target besides the reference ran", bool(others), found)


def _interval(report: Mapping[str, Any]) -> tuple[Interval, bool]:
    trained, deployed = report["ladder"][0], report["targets"][_ORACLE]
    changed = (report.get("changed") or {}).get(trained["step"])
    if changed is not None:
        return paired_interval(changed["lost"], changed["gained"], deployed["n"]), True
    found = unpaired_interval(
        trained["accuracy"], tuple(trained["ci95"]), deployed["accuracy"], tuple(deployed["ci95"])
    )
    return found, False


def _loss(report: Mapping[str, Any], lost: float, interval: Interval, paired: bool) -> Check:
    name = f"At most {100 * MARGIN:.1f} points lost"
    trained, deployed = report["ladder"][0], report["targets"][_ORACLE]
    bits = report["config"]["convert"]["weight_bits"]
    kind = trained["step"].replace("_", " ").removesuffix(" float")
    upper, at = 100 * interval[1], f"{100 * deployed['accuracy']:.1f}%"
    of = f"the {kind} network's {100 * trained['accuracy']:.1f}%"
    if interval[1] <= MARGIN:
        text = f"the {bits}-bit network has {at} of the test recordings right to {of}"
        return Check(name, True, f"{text} (at most {upper:.1f} points lost, 95%)")
    allowed = f"{100 * MARGIN:.1f} allowed"
    if lost > MARGIN:
        where = _steepest(report, lost, bits)
        text = f"{100 * lost:.1f} points of {of} are lost{where} ({allowed})"
        return Check(name, False, text)
    few = f"{deployed['n']:,} test recordings are too few to tell"
    text = f"{few}: {at} after {of}, and up to {upper:.2f} points lost (95%, {allowed})"
    again = "" if paired else "; converted anew, they are compared one by one, which tells more"
    return Check(name, False, text + again)


def _steepest(report: Mapping[str, Any], lost: float, bits: int) -> str:
    """Say at which rung most is lost."""
    rungs = [rung for rung in report["ladder"] if rung["step"] not in report["targets"]]
    if len(rungs) < 2:
        return ""
    drops = [(one["accuracy"] - two["accuracy"], two["step"]) for one, two in pairwise(rungs)]
    drop, step = max(drops, key=lambda entry: entry[0])
    share = "" if drop >= lost else f", {100 * drop:.1f} of them"
    return f"{share} {_STEPS[step].format(bits=bits)}"
