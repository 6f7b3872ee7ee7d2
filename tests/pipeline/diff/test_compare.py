"""First parting, growth and lag against plain loops; swapping A and B mirrors everything."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF, Network
from hardware.targets import TargetOptions
from pipeline.diff.causes import KINDS
from pipeline.diff.compare import Lag, find_lag, find_parting, first_differences, shares
from pipeline.diff.pairs import Pair, pair_layers
from pipeline.diff.sides import run_side
from tests.conformance.random_networks import networks, within_limits
from tests.pipeline.diff.sides import (
    QUIET,
    Report,
    altered,
    compared,
    fixed_net,
    float_net,
    report_of,
    sides_of,
)

SLOW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


@st.composite
def two_networks(draw: st.DrawFn) -> tuple[FixedPointNetwork, FixedPointNetwork]:
    """Draw a network, and the same with another number in one of its layers."""
    network = draw(networks())
    assume(within_limits(network))
    layer = network.layers[draw(st.integers(0, len(network.layers) - 1))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = layer.synapse.weight
    changes: dict[str, Any] = {
        "threshold": int(rng.integers(0, 3000)),
        "membrane_decay": int(rng.integers(0, 4096)),
        "current_decay": int(rng.integers(0, 4096)),
        "weight_OIHW" if weight.ndim == 4 else "weight_OI": 2
        * rng.integers(-128, 128, weight.shape),
        "bias_O": rng.integers(-2000, 2000, len(weight)),
    }
    name = draw(st.sampled_from(sorted(changes)))
    other = altered(network, layer.name, **{name: changes[name]})
    assume(within_limits(other))
    return network, other


def mirrored(report: Report) -> Report:
    """Return what the report of B against A should be, of the parts that can be turned round."""
    found = report["first_parting"]
    parting = None
    if found is not None:
        parting = {
            key: found[key]
            for key in ("layer", "step", "recording", "neuron", "differing_there", "inputs_agree")
        }
        parting |= {"a": own_numbers(found["b"]), "b": own_numbers(found["a"])}
    return {
        "equal": report["equal"],
        "kinds": [cause["kind"] for cause in report["causes"]],
        "layers": [
            {
                **entry,
                "spikes_a": entry["spikes_b"],
                "spikes_b": entry["spikes_a"],
                "lag": None if entry["lag"] is None else -entry["lag"],
            }
            for entry in report["layers"]
        ],
        "parting": parting,
        "near": report["near_threshold"],
        "effects": report["effects"],
        "changed": (report["predictions"] or {}).get("changed"),
        "differing": [entry["differing"] for entry in report["parameters"]],
        "errors": [entry["weight_error"] for entry in report["parameters"]],
    }


def own_numbers(side: Report) -> Report:
    return {key: value for key, value in side.items() if key != "unit"}


def turned_back(report: Report) -> Report:
    """Return the same parts of a report as they are."""
    swapped = mirrored(report)
    for entry in swapped["layers"]:
        entry["spikes_a"], entry["spikes_b"] = entry["spikes_b"], entry["spikes_a"]
        entry["lag"] = None if entry["lag"] is None else -entry["lag"]
    if swapped["parting"] is not None:
        one, other = swapped["parting"]["a"], swapped["parting"]["b"]
        swapped["parting"] |= {"a": other, "b": one}
    return swapped


def check_mirror(a: Any, b: Any, recordings: Any) -> Report:
    report, back = compared(a, b, recordings), compared(b, a, recordings)
    wanted, found = mirrored(report), turned_back(back)
    assert found.pop("errors") == pytest.approx(wanted.pop("errors"))
    if wanted["near"] is not None and found["near"] is not None:
        assert found["near"].pop("median") == pytest.approx(wanted["near"].pop("median"))
    assert found == wanted
    if report["first_parting"] is not None:
        gaps = [one["first_parting"]["membrane_gap"]["grid_steps"] for one in (report, back)]
        if gaps[0] is not None:
            assert gaps[1] == pytest.approx(-gaps[0])
    return report


@given(two_networks(), st.integers(0, 2**16))
@SLOW
def test_swapping_a_and_b_mirrors_the_result(
    pair: tuple[FixedPointNetwork, FixedPointNetwork], seed: int
) -> None:
    report = check_mirror(*sides_of(*pair, samples=3, seed=seed))
    assert all(cause["kind"] in KINDS for cause in report["causes"])


@pytest.mark.parametrize(
    "other",
    [fixed_net(), fixed_net(4), altered(float_net(), "hidden", threshold=1.4)],
    ids=["8 bits", "4 bits", "threshold"],
)
def test_float_networks_mirror_too(other: Network[Any]) -> None:
    report = check_mirror(*sides_of(float_net(), other))
    assert not report["equal"]


@given(two_networks(), st.integers(0, 2**16))
@SLOW
def test_the_first_parting_is_the_earliest_step_and_the_lowest_layer(
    pair: tuple[FixedPointNetwork, FixedPointNetwork], seed: int
) -> None:
    a, b, _ = sides_of(*pair, samples=2, seed=seed)
    pairs, _ = pair_layers(*pair)
    found, wanted = find_parting(a, b, pairs), first_by_loops(a, b)
    assert wanted == (
        None if found is None else (found.step, found.pair, found.recording, found.neuron)
    )
    growth = shares(a, b, pairs)
    for layer, (one, other) in enumerate(zip(a.spikes_BTN, b.spikes_BTN, strict=True)):
        for step in range(one.shape[1]):
            assert growth[layer, step] == (one[:, step] != other[:, step]).mean()


def first_by_loops(a: Any, b: Any) -> tuple[int, int, int, int] | None:
    """Return (step, layer, recording, neuron), looked for one spike at a time."""
    batch, steps = a.input_BTN.shape[:2]
    for step in range(steps):
        for layer, (one, other) in enumerate(zip(a.spikes_BTN, b.spikes_BTN, strict=True)):
            for recording in range(batch):
                for neuron in range(one.shape[2]):
                    if one[recording, step, neuron] != other[recording, step, neuron]:
                        return step, layer, recording, neuron
    return None


def test_numbers_at_the_parting_by_hand() -> None:
    """One neuron, weight 10, threshold 14 against 26 in units of which 1 is a weight of 1.

    Inputs 1, 1, 1; dv = 2048 keeps one half: membranes 10, 15, so A fires at step 1; B goes on to
    17.5 and never does.
    """
    layer = Layer("out", Dense(np.array([[10]])), LoihiLIF(2048, 14))
    a = FixedPointNetwork((1, 1, 1), (layer,), "count", 3, 0.01)
    b = altered(a, "out", threshold=26)
    one, other, recordings = sides_of(a, b, samples=1)
    ones = np.ones((1, 3, 1, 1, 1), np.uint8)
    one, other = (run_side(side.subject, ones, TargetOptions(), QUIET) for side in (one, other))
    report = compared(one, other, dataclasses.replace(recordings, spikes_BTCHW=ones))
    found = report["first_parting"]
    assert (found["layer"], found["step"], found["neuron"], found["place"]) == ("out", 1, 0, [0])
    assert found["a"] == {
        "spike": 1,
        "previous": 10.0,
        "drive": 10.0,
        "carried": 5.0,
        "membrane": 15.0,
        "after": 0.0,
        "threshold": 14.0,
        "distance": pytest.approx(1 / 14),
        "unit": 1.0,
    }
    assert found["b"] | {"distance": None} == found["a"] | {
        "spike": 0,
        "after": 15.0,
        "threshold": 26.0,
        "distance": None,
    }
    assert found["b"]["distance"] == pytest.approx(-11 / 26)
    assert found["membrane_gap"] == {"thresholds": 0, "grid_steps": 0}
    assert found["trace"]["unit"] == "threshold"
    assert found["trace"]["a"] == pytest.approx([10 / 14, 15 / 14, 10 / 14])
    assert found["trace"]["b"] == pytest.approx([10 / 26, 15 / 26, 17.5 / 26])
    assert found["trace"]["spikes_a"] == [0, 1, 0]
    near = report["near_threshold"]
    assert (near["neurons"], near["near"]) == (1, 0)
    assert near["median"] == pytest.approx(11 / 26)
    assert report["layers"][0]["share_by_step"] == [0, 1, 0]
    assert report["effects"] == {"threshold": 2}


def rolled(lag: int, noise: float = 0.0) -> tuple[Any, Any, Pair]:
    a, b, _ = sides_of(float_net(), float_net())
    rng = np.random.default_rng(0)
    one = (rng.random((4, 20, 30)) < 0.2).astype(np.uint8)
    other = np.zeros_like(one)
    other[:, lag:] = one[:, : 20 - lag]
    other ^= rng.random(one.shape) < noise
    pair = Pair(0, 0, "conv")
    sides = [
        dataclasses.replace(side, spikes_BTN=(spikes,)) for side, spikes in ((a, one), (b, other))
    ]
    return sides[0], sides[1], pair


@pytest.mark.parametrize("lag", [1, 2, 7])
def test_a_lag_is_found_both_ways(lag: int) -> None:
    a, b, pair = rolled(lag)
    assert find_lag(a, b, pair) == Lag(lag, 0.0)
    assert find_lag(b, a, pair) == Lag(-lag, 0.0)


def test_a_lag_with_some_noise_says_what_is_left() -> None:
    lag = find_lag(*rolled(3, noise=0.02))
    assert lag is not None
    assert lag.steps == 3
    assert 0 < lag.left < 0.25


def test_no_lag_where_none_explains_the_spikes() -> None:
    a, b, pair = rolled(0, noise=0.2)
    assert find_lag(a, b, pair) == Lag(0, 1.0)
    assert find_lag(a, a, pair) is None
    one = np.zeros((1, 9, 5), np.uint8)
    one[0, 4, 2] = 1
    few = [dataclasses.replace(a, spikes_BTN=(np.roll(one, by, axis=1),)) for by in (0, 1)]
    assert find_lag(few[0], few[1], pair) == Lag(0, 1.0)


def test_first_differences_leave_out_what_came_before_a_layer() -> None:
    a, b, _ = sides_of(float_net(), altered(float_net(), "conv", threshold=1.2))
    first, second = Pair(0, 0, "conv"), Pair(1, 1, "hidden")
    assert len(first_differences(a, b, first)) > 20
    below = (a.spikes_BTN[0] != b.spikes_BTN[0]).any(axis=2)
    for recording, step, _ in first_differences(a, b, second):
        assert not below[recording, : step + 1].any()


def names_of(pairs: list[Pair]) -> list[tuple[int, int, str]]:
    return [(pair.a, pair.b, pair.name) for pair in pairs]


def stack(*layers: tuple[str, int]) -> FixedPointNetwork:
    inputs, made = 4, []
    for name, size in layers:
        made.append(Layer(name, Dense(np.ones((size, inputs), int)), LoihiLIF(0, 1)))
        inputs = size
    return FixedPointNetwork((1, 2, 2), tuple(made), "count", 2, 0.01)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([("x", 5), ("y", 3)], [("x", 5), ("y", 3)], [(0, 0, "x"), (1, 1, "y")]),
        ([("x", 5), ("y", 3)], [("1", 5), ("2", 3)], [(0, 0, "x | 1"), (1, 1, "y | 2")]),
        ([("x", 5), ("y", 3)], [("x", 5), ("p", 9), ("y", 3)], [(0, 0, "x"), (1, 2, "y")]),
        ([("x", 5), ("y", 3)], [("1", 5), ("p", 9), ("2", 3)], [(0, 0, "x | 1"), (1, 2, "y | 2")]),
        ([("x", 5), ("y", 5)], [("y", 5), ("x", 5)], [(0, 0, "x | y"), (1, 1, "y | x")]),
        ([("x", 5), ("y", 3)], [("x", 6), ("y", 3)], [(1, 1, "y")]),
        # Toolkits number nodes: their equal names are of other layers.
        ([("1", 5), ("3", 5)], [("0", 5), ("1", 5)], [(0, 0, "1 | 0"), (1, 1, "3 | 1")]),
        (
            [("1", 5), ("3", 5), ("5", 3)],
            [("0", 5), ("1", 5), ("2", 5), ("3", 3)],
            [(0, 0, "1 | 0"), (1, 1, "3 | 1"), (2, 3, "5 | 3")],
        ),
        # One layer more in the middle, between others that have no partner either.
        (
            [("1", 5), ("3", 7), ("5", 9), ("7", 4), ("9", 3)],
            [("a", 5), ("b", 8), ("c", 9), ("d", 3)],
            [(0, 0, "1 | a"), (2, 2, "5 | c"), (4, 3, "9 | d")],
        ),
        ([("1", 5), ("3", 7)], [("a", 7), ("b", 9)], [(1, 0, "3 | a")]),
        ([("1", 5), ("3", 7), ("5", 2)], [("a", 7), ("b", 5), ("c", 2)], [(2, 2, "5 | c")]),
    ],
)
def test_layers_are_paired_by_place_names_and_shapes(a: Any, b: Any, wanted: Any) -> None:
    one, other = stack(*a), stack(*b)
    pairs, unpaired = pair_layers(one, other)
    assert names_of(pairs) == wanted
    assert len(unpaired) == len(a) + len(b) - 2 * len(pairs)
    back, _ = pair_layers(other, one)
    assert [(pair.b, pair.a) for pair in back] == [(pair.a, pair.b) for pair in pairs]


def test_nothing_to_pair_is_refused() -> None:
    with pytest.raises(HardspikeError, match=r"no layer of A \(x: 5\) .* of B \(x: 6\)"):
        pair_layers(stack(("x", 5)), stack(("x", 6)))


def test_a_report_is_the_same_twice() -> None:
    assert report_of(float_net(), fixed_net(4)) == report_of(float_net(), fixed_net(4))
