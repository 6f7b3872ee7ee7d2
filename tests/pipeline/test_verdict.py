"""The verdict: what ships, and what is said first where it does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.accuracy_loss import paired_interval, unpaired_interval
from pipeline.metrics import wilson_interval
from pipeline.verdict import judge
from tests.pipeline.report_page.sample import accuracy, report, target


def test_it_ships_when_all_agree_and_little_is_lost() -> None:
    verdict = judge(report())
    assert verdict.ships
    assert verdict.sentence.startswith("Ships: onnxruntime agrees with the reference in every")
    assert verdict.lost == pytest.approx(0.005)
    assert verdict.trained == "smooth"
    assert verdict.paired


def test_what_fails_first_is_the_reason() -> None:
    differs = target(status="differs", spike_agreement=0.996, reason="outputs are not …")
    failed = {"status": "failed", "reason": "it broke", "version": "1"}
    targets = {"reference": target(), "onnxruntime": differs, "loihi": failed}
    assert judge(report(targets=targets)).sentence == "Doesn't ship: loihi failed (it broke)."
    del targets["loihi"]
    sentence = judge(report(targets=targets)).sentence
    assert (
        sentence == "Doesn't ship: onnxruntime differs from the reference in 0.4% of the outputs."
    )


def test_a_target_that_cannot_run_is_named_and_no_fault() -> None:
    missing = {"status": "not run", "reason": "no Python 3.10", "version": "1"}
    verdict = judge(
        report(targets={"reference": target(), "onnxruntime": target(), "loihi": missing})
    )
    assert verdict.ships
    assert "(loihi not run)" in verdict.sentence


def test_nothing_held_against_the_reference_does_not_ship() -> None:
    verdict = judge(report(targets={"reference": target()}))
    assert verdict.sentence == "Doesn't ship: no target but the reference ran."


def test_a_loss_is_laid_to_the_step_where_most_is_lost() -> None:
    ladder = [
        {"step": "smooth", **accuracy(960)},
        {"step": "hard_float", **accuracy(760)},
        {"step": "fixed_point", **accuracy(750)},
    ]
    targets = {"reference": target(750), "onnxruntime": target(750)}
    verdict = judge(report(ladder=ladder, targets=targets, changed=None))
    assert not verdict.ships
    assert not verdict.paired
    assert "21.0 points" in verdict.sentence
    assert "20.0 of them at the hard threshold" in verdict.sentence


def test_few_recordings_do_not_pass_for_a_small_loss() -> None:
    ladder = [{"step": "hard_float", **accuracy(96, 100)}]
    targets = {"reference": target(96, 100), "onnxruntime": target(96, 100)}
    changed = {"hard_float": {"lost": 2, "gained": 2}}
    verdict = judge(report(ladder=ladder, targets=targets, changed=changed))
    assert verdict.lost == 0
    assert not verdict.ships
    assert "100 test recordings are too few" in verdict.sentence


def test_intervals_by_hand() -> None:
    # (9 + 1)/1002 − (4 + 1)/1002 = 0.00499, √((15/1002 − 0.00499²)/1002) = 0.003862.
    low, high = paired_interval(9, 4, 1000)
    assert low == pytest.approx(0.00499 - 1.96 * 0.003862, abs=2e-5)
    assert high == pytest.approx(0.00499 + 1.96 * 0.003862, abs=2e-5)
    # Newcombe 1998, table II, 56/70 against 48/80: method 10 gives 0.0524 to 0.3339.
    low, high = unpaired_interval(
        56 / 70, wilson_interval(56, 70), 48 / 80, wilson_interval(48, 80)
    )
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_the_paired_interval_holds_the_loss_and_turns_with_it(
    total: int, data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, total))
    gained = data.draw(st.integers(0, total - lost))
    low, high = paired_interval(lost, gained, total)
    assert -1 <= low <= high <= 1
    shrunk = (lost - gained) / (total + 2)
    assert low <= shrunk <= high
    mirrored = paired_interval(gained, lost, total)
    assert math.isclose(low, -mirrored[1], abs_tol=1e-12)


def test_what_was_asked_to_be_approximated_is_named_and_no_agreement() -> None:
    asked = target(940, status="approximated", spike_agreement=0.9, prediction_agreement=0.97)
    targets = {"reference": target(), "onnxruntime": target(), "loihi": asked}
    verdict = judge(report(targets=targets))
    assert verdict.ships
    assert "onnxruntime agrees with the reference in every output; loihi runs an" in (
        verdict.sentence
    )
    assert "differs from the network in 10% of the outputs and 3% of the decisions" in (
        verdict.sentence
    )
    assert "not run" not in verdict.sentence
    del targets["onnxruntime"]
    alone = judge(report(targets=targets))
    assert not alone.ships
    assert alone.sentence.startswith(
        "Doesn't ship: no target but the reference ran; loihi runs an approximation"
    )
