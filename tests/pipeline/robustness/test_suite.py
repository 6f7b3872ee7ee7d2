"""Suites: the one that ships, how rows become severities, and faults in one line."""

from pathlib import Path

import pytest

from export.errors import HardspikeError
from pipeline.robustness.command import SUITE
from pipeline.robustness.settings import BitFlips, label, load_suite


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text(text)
    return path


def test_the_suite_that_ships_has_every_kind_at_five_severities() -> None:
    suite = load_suite(SUITE)
    assert [row[0].kind for row in suite.events] == [
        "drop",
        "drop_time",
        "drop_area",
        "noise",
        "hot_pixels",
        "time_jitter",
        "spatial_jitter",
        "polarity_flip",
        "time_stretch",
        "refractory",
        "contrast_threshold",
    ]
    assert [row[0].kind for row in suite.faults] == [
        "dead_neurons",
        "stuck_weights",
        "bit_flips",
        "threshold_drift",
    ]
    assert {len(row) for row in (*suite.events, *suite.faults)} == {5}


def test_lists_of_a_row_are_its_severities_and_the_rest_holds_for_all(tmp_path: Path) -> None:
    text = "events: [{kind: hot_pixels, share_of_pixels: [0.1, 0.2], hz: 5}]\nfaults:\n"
    text += "  - {kind: bit_flips, probability_per_bit: 0.5}\nfault_draws: 1\n"
    suite = load_suite(written(tmp_path, text))
    assert [label(one) for one in suite.events[0]] == [
        "hot pixels 10% at 5 Hz",
        "hot pixels 20% at 5 Hz",
    ]
    assert suite.faults == ((BitFlips(kind="bit_flips", probability_per_bit=0.5),),)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "events: [{kind: drop, share: 0.5}, {kind: noise, hz_per_pixel: [1, -2]}]",
            ["suite.yaml: row 2, severity 2: ", "hz_per_pixel", "found -2", "equal to 0"],
        ),
        ("events: [{kind: blur}]", ["row 1, severity 1", "found 'blur'", "allowed drop, noise"]),
        ("faults: [{kind: drop, share: 1}]", ["found 'drop'", "dead_neurons, stuck_weights"]),
        ("faults: [{kind: bit_flips, p: 1}]", ["unknown key", "probability_per_bit"]),
        (
            "faults: [{kind: stuck_weights, share_at_zero: 0.7, share_at_largest: 0.6}]",
            ["share_at_zero + share_at_largest is 1.3", "at most 1"],
        ),
        (
            "faults: [{kind: stuck_weights, share_at_zero: [0, 1], share_at_largest: [0]}]",
            ["faults.0", "found 2 of share_at_zero, 1 of share_at_largest", "lists of one length"],
        ),
        ("events: [{kind: drop, share: []}]", ["events.0", "found 0 of share"]),
        ("events: [{kind: drop, share: [0.5, 0.5]}]", ["drop 50% more than once"]),
        ("events: [3]", ["suite.yaml: row 1, severity 1", "found 3"]),
        ("events: {kind: drop}", ["suite.yaml: events", "array"]),
        ("event: []", ["suite.yaml: event", "unknown key", "events, fault_draws, faults"]),
        ("fault_draws: 0", ["fault_draws", "found 0", "equal to 1"]),
        ("[1]", ["suite.yaml", "a mapping is needed"]),
    ],
)
def test_a_fault_in_a_suite_is_a_line_with_place_found_and_allowed(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    with pytest.raises(HardspikeError) as caught:
        load_suite(written(tmp_path, text))
    lines = str(caught.value).splitlines()
    assert any(all(part in line for part in parts) for line in lines), lines
