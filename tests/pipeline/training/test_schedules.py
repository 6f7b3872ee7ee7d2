"""Slope, ρ and learning rate over the epochs, by hand."""

from typing import Any

import pytest

from pipeline.config import SAST
from pipeline.training.schedules import learning_rate_at, rho_at, slope_at


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
    found = [learning_rate_at(cosine, epoch) / full for epoch in range(4)]
    assert found == pytest.approx([1, 0.8535533906, 0.5, 0.1464466094])
    assert learning_rate_at(settings(), 3) == full
