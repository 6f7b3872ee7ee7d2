"""Slope, ρ and learning rate over the epochs, by hand."""

from typing import Any

import pytest

from pipeline.config import SAST
from pipeline.training.schedules import phase_at, prune_at, rho_at, slope_at, total_epochs


def settings(**values: Any) -> SAST:
    return SAST.model_validate({"method": "sast", "epochs": 5, "rho": 0.0, **values})


def test_the_slope_is_geometric_from_start_to_end() -> None:
    found = [slope_at(settings(slope={"start": 2.0, "end": 32.0}), epoch) for epoch in range(5)]
    assert found == pytest.approx([2, 4, 8, 16, 32])


def test_without_an_end_the_slope_stays() -> None:
    assert {slope_at(settings(slope={"start": 3.0}), epoch) for epoch in range(5)} == {3.0}


def test_rho_waits_then_rises_to_its_full_value() -> None:
    warm = settings(rho=0.4, epochs=9, rho_warmup={"zero_epochs": 3, "ramp_epochs": 4})
    assert [rho_at(warm, epoch) for epoch in range(9)] == pytest.approx(
        [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    )
    at_once = settings(rho=0.4, rho_warmup={"zero_epochs": 0, "ramp_epochs": 0})
    assert rho_at(at_once, 0) == 0.4


def test_the_cosine_falls_from_the_full_rate() -> None:
    cosine = settings(schedule="cosine", epochs=4)
    full = cosine.optimizer.learning_rate
    found = [phase_at(cosine, epoch).learning_rate / full for epoch in range(4)]
    assert found == pytest.approx([1, 0.8535533906, 0.5, 0.1464466094])
    assert phase_at(settings(), 3).learning_rate == full


def test_rho_falls_to_zero_one_epoch_after_the_last() -> None:
    warm = {"zero_epochs": 1, "ramp_epochs": 1}
    linear = settings(rho=0.4, rho_warmup=warm, rho_decay="linear")
    assert [rho_at(linear, epoch) for epoch in range(6)] == pytest.approx(
        [0, 0.4, 0.3, 0.2, 0.1, 0]
    )
    cosine = settings(rho=0.4, rho_warmup=warm, rho_decay="cosine")
    assert rho_at(cosine, 3) == pytest.approx(0.2)
    assert rho_at(cosine, 1) == 0.4


def test_fine_tuning_follows_with_its_own_forward_rate_and_bits() -> None:
    chosen = settings(
        rho=0.2,
        rho_warmup={"zero_epochs": 0, "ramp_epochs": 0},
        slope={"start": 2.0, "end": 8.0},
        schedule="cosine",
        finetune={"epochs": 2, "forward": "hard", "learning_rate": 1e-4, "weight_bits": 4},
    )
    assert total_epochs(chosen) == 7
    before, first, second = (phase_at(chosen, epoch) for epoch in (4, 5, 6))
    assert (before.forward, before.rho, before.weight_bits) == ("smooth", 0.2, None)
    assert (first.forward, first.rho, first.weight_bits) == ("hard", 0.0, 4)
    assert first.slope == second.slope == pytest.approx(8.0)
    assert (first.learning_rate, second.learning_rate) == pytest.approx((1e-4, 5e-5))


def test_pruning_is_done_between_a_quarter_and_three_quarters() -> None:
    """Of 8 epochs: x = 0, 0, ¼, ½, ¾, 1, 1, 1 and p(1 − (1 − x)³)."""
    found = [prune_at(settings(epochs=8, prune=0.64), epoch) for epoch in range(8)]
    assert found == pytest.approx([0, 0, 0.37, 0.56, 0.63, 0.64, 0.64, 0.64])
