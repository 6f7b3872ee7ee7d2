"""Deployed accuracy gained for a second and a joule."""

import pytest

from pipeline.accuracy_gain import accuracy_gain, gain_note


def test_points_over_a_guess_for_what_training_took() -> None:
    found = accuracy_gain(0.96, 10, {"seconds": 43.0, "joules": 860.0})
    assert found["gained"] == pytest.approx(0.86)
    assert found["points_per_second"] == pytest.approx(2.0)
    assert found["points_per_joule"] == pytest.approx(0.1)
    assert "86.0 points, 2 for every second" in gain_note(found)
    assert "0.1 for every joule" in gain_note(found)


def test_what_was_not_counted_has_no_rate() -> None:
    found = accuracy_gain(0.96, 10, {"seconds": 43.0, "joules": "no counter"})
    assert found["points_per_joule"] is None
    assert "none that could be counted for every joule" in gain_note(found)


def test_what_was_not_trained_here_has_no_rate() -> None:
    found = accuracy_gain(0.9, 10, {"seconds": 0.0, "joules": "not trained here"})
    assert found["points_per_second"] is None
    assert gain_note(found) == "Not trained here; a guess is right in 10.0%."


def test_a_network_worse_than_a_guess_gains_less_than_nothing() -> None:
    found = accuracy_gain(0.05, 10, {"seconds": 10.0})
    assert found["points_per_second"] == pytest.approx(-0.5)
