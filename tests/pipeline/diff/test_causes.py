"""Every cause is named for a network that was altered on purpose, and none for one that was not."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.network import Dense, HardSpikeNetwork, Layer, Network
from export.netx_file import write_netx
from hardware.loihi.discretize import discretize
from pipeline.diff.causes import KINDS
from pipeline.diff.measure import diff
from pipeline.progress import Reporter
from tests.pipeline.diff.sides import (
    Report,
    altered,
    compared,
    fixed_net,
    float_net,
    kinds,
    report_of,
    sides_of,
)


def weight(network: Network[Any], name: str) -> Any:
    (layer,) = (layer for layer in network.layers if layer.name == name)
    return layer.synapse.weight


def differs_in(report: Report, layer: str) -> list[str]:
    (entry,) = (entry for entry in report["parameters"] if entry["layer"] == layer)
    return list(entry["differing"])


@pytest.mark.parametrize("network", [float_net(), fixed_net(), fixed_net(4)])
def test_one_network_twice_is_the_same_everywhere(network: Network[Any]) -> None:
    report = report_of(network, network)
    assert report["equal"]
    assert kinds(report) == ["equal"]
    assert report["conclusion"] == (
        "The spikes are the same everywhere: 3 layers, 16 steps, 8 recordings."
    )
    assert all(entry["spikes_a"] > 10 for entry in report["layers"])
    assert not any(differs_in(report, name) for name in ("conv", "hidden", "out"))
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_of_weights(bits: int) -> None:
    report = report_of(float_net(), fixed_net(bits))
    assert kinds(report) == ["rounding"]
    assert not report["equal"]
    assert "rounding of weights" in report["conclusion"]
    assert report["first_parting"]["inputs_agree"]
    gap = report["first_parting"]["membrane_gap"]["grid_steps"]
    words = "less than one quantisation step" if abs(gap) < 1 else "added up over inputs"
    assert words in report["conclusion"]
    assert max(report["effects"], key=report["effects"].get) == "weights"


def test_rounding_of_8_bits_against_4_bits() -> None:
    report = report_of(fixed_net(8), fixed_net(4))
    assert kinds(report) == ["rounding"]
    steps = [
        entry["b"]["weight_step"] / entry["a"]["weight_step"] for entry in report["parameters"]
    ]
    assert all(15 < step < 20 for step in steps)


@pytest.mark.parametrize("layer", ["conv", "hidden"])
def test_reset_kinds(layer: str) -> None:
    report = report_of(fixed_net(), altered(fixed_net(), layer, reset="subtract"))
    assert kinds(report) == ["reset"]
    assert f"layer {layer}: zero in A, subtract in B" in report["conclusion"]
    assert list(report["effects"]) == ["reset"]
    found = report["first_parting"]
    assert found["layer"] == layer
    assert found["carried_gap"]["thresholds"] > 0
    assert found["drive_gap"]["thresholds"] == 0
    assert found["a"]["previous"] == 0 or found["a"]["previous"] != found["b"]["previous"]


@pytest.mark.parametrize("make", [float_net, fixed_net])
def test_decay(make: Any) -> None:
    base = make()
    field = {"decay": 0.7} if make is float_net else {"membrane_decay": 1200}
    report = report_of(base, altered(base, "hidden", **field))
    assert kinds(report) == ["decay"]
    assert "layer hidden: the membrane keeps 0." in report["conclusion"]
    assert max(report["effects"], key=report["effects"].get) == "decay"
    assert report["first_parting"]["layer"] == "hidden"
    assert report["layers"][0]["share"] == 0


def test_decay_of_the_current() -> None:
    base = fixed_net()
    report = report_of(base, altered(base, "conv", current_decay=3000))
    assert kinds(report) == ["current-decay"]
    assert "0 is kept a step in A, 0.26733 in B" in report["conclusion"]


def test_decays_of_each_channel() -> None:
    """Against one decay they are the cause; against their own integers they are no difference."""
    base = float_net()
    hidden = base.layers[1]
    decay_O = np.linspace(0.2, hidden.neuron.decay, len(hidden.synapse.weight))
    own = dataclasses.replace(hidden, membrane_decay_O=decay_O)
    network = dataclasses.replace(base, layers=(base.layers[0], own, base.layers[2]))
    report = report_of(base, network)
    assert kinds(report) == ["decay"]
    assert max(report["effects"], key=report["effects"].get) == "decay"
    assert "decay" not in differs_in(report_of(network, discretize(network)), "hidden")


def test_a_refractory_period() -> None:
    base = fixed_net()
    report = report_of(base, altered(base, "hidden", refractory=3))
    assert kinds(report) == ["refractory"]
    assert (
        "layer hidden: a spike holds the membrane for 0 steps in A, 3 steps in B"
        in (report["conclusion"])
    )
    assert max(report["effects"], key=report["effects"].get) == "refractory"


def test_a_bias_that_the_current_filters() -> None:
    base = altered(float_net(), "hidden", current_decay=0.5)
    assert base.layers[1].synapse.bias_O is not None
    report = report_of(base, altered(base, "hidden", bias_filtered=True))
    assert kinds(report) == ["bias-filtered"]
    assert "on the membrane in A, in the synaptic current in B" in report["conclusion"]
    assert max(report["effects"], key=report["effects"].get) == "bias-filtered"


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_threshold(factor: float) -> None:
    base = float_net()
    report = report_of(base, altered(base, "conv", threshold=factor))
    assert kinds(report) == ["threshold"]
    assert f"1 in A, {factor} in B" in report["conclusion"]
    found = report["first_parting"]
    assert found["a"]["membrane"] == found["b"]["membrane"]
    assert {found["a"]["spike"], found["b"]["spike"]} == {0, 1}


def test_weights_of_another_gain_are_a_threshold() -> None:
    base = float_net(bias=False)
    other = altered(base, "conv", weight_OIHW=2 * weight(base, "conv"))
    report = report_of(base, other)
    assert kinds(report) == ["threshold"]
    assert "1 in A, 0.5 in B" in report["conclusion"]


def test_weights_and_threshold_of_one_gain_are_the_same_network() -> None:
    base = float_net(bias=False)
    other = altered(base, "conv", weight_OIHW=2 * weight(base, "conv"), threshold=2.0)
    assert kinds(report_of(base, other)) == ["equal"]


def test_bias() -> None:
    base = float_net()
    more = base.layers[1].synapse.bias_O + np.float32(0.3)  # type: ignore[operator]
    report = report_of(base, altered(base, "hidden", bias_O=more))
    assert kinds(report) == ["bias"]
    assert "layer hidden" in report["conclusion"]
    assert list(report["effects"]) == ["bias"]


def test_a_missing_bias_is_a_bias_of_zero() -> None:
    base = float_net()
    report = report_of(base, altered(base, "out", bias_O=None))
    assert kinds(report) == ["bias"]
    zero = altered(base, "out", bias_O=np.zeros(4, np.float32))
    assert kinds(report_of(altered(base, "out", bias_O=None), zero)) == ["equal"]


@pytest.mark.parametrize("make", [float_net, fixed_net])
def test_weights(make: Any) -> None:
    base = make()
    noise = np.random.default_rng(1).normal(size=weight(base, "hidden").shape)
    moved = weight(base, "hidden") + 0.3 * weight(base, "hidden").std() * noise
    kept = 2 * np.rint(moved / 2).clip(-128, 127).astype(np.int32)
    report = report_of(
        base, altered(base, "hidden", weight_OI=moved if make is float_net else kept)
    )
    assert kinds(report) == ["weights"]
    assert "layer hidden: relative error 2" in report["conclusion"]
    error = report["parameters"][1]["weight_error"]
    assert error == pytest.approx(0.29, abs=0.03)


CONV_TURNS = {
    "kernels flipped in H and W": lambda w: w[:, :, ::-1, ::-1],
    "kernels flipped in H": lambda w: w[:, :, ::-1],
    "kernels flipped in W": lambda w: w[:, :, :, ::-1],
    "kernels with H and W swapped": lambda w: w.transpose(0, 1, 3, 2),
    "input channels in reverse order": lambda w: w[:, ::-1],
}


@pytest.mark.parametrize("turn", CONV_TURNS)
@pytest.mark.parametrize("fixed", [False, True])
def test_kernels_turned_over(turn: str, fixed: bool) -> None:
    base = float_net()
    other = altered(
        base, "conv", weight_OIHW=np.ascontiguousarray(CONV_TURNS[turn](weight(base, "conv")))
    )
    report = report_of(base, discretize(other) if fixed else other)
    assert kinds(report)[0] == "weights-turned"
    assert f"layer conv: B's are A's with {turn}" in report["conclusion"]


DENSE_TURNS = {
    "inputs ordered (H, W, C)": (1, 2, 0),
    "inputs ordered (W, H, C)": (2, 1, 0),
    "inputs ordered (C, W, H)": (0, 2, 1),
}


@pytest.mark.parametrize("turn", DENSE_TURNS)
def test_inputs_of_a_dense_layer_in_another_order(turn: str) -> None:
    base = float_net()
    shape, order = base.shapes[1], DENSE_TURNS[turn]
    image = weight(base, "hidden").reshape(12, *shape)
    stored = image.transpose(0, *(1 + axis for axis in order)).reshape(12, -1)
    report = report_of(base, altered(base, "hidden", weight_OI=np.ascontiguousarray(stored)))
    assert kinds(report) == ["weights-turned"]
    assert turn in report["conclusion"]


def test_weights_of_the_other_sign() -> None:
    base = float_net()
    report = report_of(base, altered(base, "hidden", weight_OI=-weight(base, "hidden")))
    assert "B's are A's with the sign changed" in report["conclusion"]


def test_structure() -> None:
    base = float_net()
    wide = np.pad(weight(base, "conv"), ((0, 0), (0, 0), (1, 1), (1, 1)))
    wide[:, :, 0] = 0.2
    other = altered(base, "conv", weight_OIHW=wide, padding=(2, 2))
    report = report_of(base, other)
    assert kinds(report) == ["structure"]
    assert "weights of 3×2×3×3 in A, 3×2×5×5 in B" in report["conclusion"]
    assert "padding: (1, 1) in A, (2, 2) in B" in report["conclusion"]


def test_a_lag_of_delays_in_every_layer() -> None:
    """Axonal delays of one step: a layer's own spikes come as late as what its input was sent."""
    quick: Network[Any] = float_net(bias=False)
    for layer in quick.layers:
        quick = altered(quick, layer.name, threshold=0.5)
    base: Network[Any] = discretize(quick)
    other = base
    for layer, shape in zip(base.layers, base.shapes[1:], strict=True):
        other = altered(other, layer.name, delay_N=np.full(int(np.prod(shape)), 1))
    report = report_of(base, other)
    assert kinds(report)[0] == "lag"
    assert "1 step later a layer (1, 2)" in report["conclusion"]
    assert [entry["lag"] for entry in report["layers"]] == [None, 1, 2]
    back = report_of(other, base)
    assert "1 step earlier a layer (1, 2)" in back["conclusion"]


def test_delays_of_single_neurons_are_no_lag() -> None:
    base = discretize(float_net(bias=False))
    delays = np.random.default_rng(0).integers(0, 5, int(np.prod(base.shapes[1])))
    report = report_of(base, altered(base, "conv", delay_N=delays))
    assert kinds(report) == ["structure"]
    assert "layer conv: delay_N: none in A, 48 values up to 4 in B" in report["conclusion"]


def test_a_lag_of_the_recording_itself() -> None:
    a, b, recordings = sides_of(float_net(), float_net())
    late = tuple(np.roll(spikes, 2, axis=1) for spikes in b.spikes_BTN)
    for spikes in late:
        spikes[:, :2] = 0
    report = compared(a, dataclasses.replace(b, spikes_BTN=late), recordings)
    assert kinds(report)[0] == "lag"
    assert "B's spikes are A's, 2 steps later: " in report["conclusion"]


@pytest.mark.parametrize("target", ["onnxruntime", "onnxruntime-step"])
def test_a_target_that_departs_from_its_network(target: str) -> None:
    a, b, recordings = sides_of(fixed_net(), fixed_net(), targets=("reference", target))
    assert kinds(compared(a, b, recordings)) == ["equal"]
    wrong = [spikes.copy() for spikes in b.spikes_BTN]
    wrong[1][3, 4, 5] ^= 1
    report = compared(a, dataclasses.replace(b, spikes_BTN=tuple(wrong)), recordings)
    assert kinds(report) == ["target"]
    assert f"B ({target}) fires otherwise than the reference" in report["conclusion"]
    assert "layer hidden at step 4" in report["conclusion"]
    found = report["first_parting"]
    assert (found["layer"], found["step"], found["recording"], found["neuron"]) == (
        "hidden",
        4,
        3,
        5,
    )


def test_layers_without_a_partner() -> None:
    base = float_net()
    middle = Layer("middle", Dense(weight(base, "hidden")[:9]), base.layers[1].neuron)
    rng = np.random.default_rng(2)
    last = dataclasses.replace(
        base.layers[2], synapse=Dense(rng.normal(size=(4, 9)).astype(np.float32))
    )
    other = dataclasses.replace(base, layers=(base.layers[0], middle, last))
    report = report_of(base, other)
    assert kinds(report) == ["inputs"]
    assert report["unpaired"] == [
        "layer hidden of A (12 neurons) has no partner in B: not compared",
        "layer middle of B (9 neurons) has no partner in A: not compared",
    ]
    assert "Layer out reads other inputs" in report["conclusion"]


def on_grid(steps: int) -> tuple[HardSpikeNetwork, Any]:
    """A fixed-point network of small whole numbers, and the same numbers in floating point."""
    rng = np.random.default_rng(11)
    whole = 2 * rng.integers(-4, 9, (60, 30)).astype(np.float64)
    layer = Layer("out", Dense(whole), dataclasses.replace(float_net().layers[0].neuron))
    layer = dataclasses.replace(
        layer, neuron=dataclasses.replace(layer.neuron, decay=3001 / 4096, threshold=9.0)
    )
    network = HardSpikeNetwork((1, 5, 6), (layer,), "count", steps, 0.01)
    fixed = discretize(network)
    (found,) = fixed.layers
    unit = found.scale
    exact = altered(
        network,
        "out",
        weight_OI=found.synapse.weight / unit,
        threshold=found.neuron.threshold / unit,
    )
    return exact, fixed


def test_integer_arithmetic() -> None:
    """Weights on the grid: what is left is the rounding of the membrane's leak towards zero."""
    exact, fixed = on_grid(60)
    small = altered(
        fixed, "out", weight_OI=2 * np.rint(fixed.layers[0].synapse.weight / 40), threshold=23
    )
    layer = small.layers[0]
    twin = altered(
        exact,
        "out",
        weight_OI=layer.synapse.weight.astype(np.float64),
        threshold=float(layer.neuron.threshold),
    )
    small = altered(small, "out", scale=1.0)
    report = report_of(twin, small, samples=40)
    assert kinds(report) == ["arithmetic"]
    assert list(report["effects"]) == ["arithmetic"]
    assert "integer against floating-point arithmetic" in report["conclusion"]


def test_readouts() -> None:
    base = float_net()
    report = report_of(base, dataclasses.replace(base, readout="membrane"))
    assert kinds(report) == ["readout"]
    changed = report["predictions"]["changed"]
    assert changed > 0
    assert f"A's is count, B's membrane: {changed} of 8 predictions differ" in report["conclusion"]
    assert not report["equal"]


def silent(network: Network[Any]) -> Network[Any]:
    """A readout of membranes whose neurons never fire."""
    return dataclasses.replace(altered(network, "out", threshold=np.inf), readout="membrane")


def test_membranes_that_are_read() -> None:
    base = silent(float_net())
    noise = np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32)
    report = report_of(base, altered(base, "out", weight_OI=weight(base, "out") + noise))
    assert kinds(report) == ["membrane-readout"]
    assert report["predictions"]["changed"] > 0
    assert report["layers"][-1]["spikes_a"] == 0
    assert not report["equal"]


def test_membranes_of_one_unit_must_be_the_same_number() -> None:
    base = discretize(silent(float_net()), 8, largest_readout=20.0)
    moved = weight(base, "out").copy()
    moved[0, 0] += 2
    other = altered(base, "out", weight_OI=moved)
    report = report_of(base, other)
    assert report["layers"][-1]["differing"] == 0
    assert report["outputs_equal"] is False
    assert not report["equal"]
    assert report_of(base, base)["outputs_equal"] is True
    assert report_of(base, base)["equal"]


def test_what_nothing_explains() -> None:
    a, b, recordings = sides_of(float_net(), float_net())
    wrong = [spikes.copy() for spikes in b.spikes_BTN]
    wrong[0][0, 3, 7] ^= 1
    report = compared(a, dataclasses.replace(b, spikes_BTN=tuple(wrong)), recordings)
    assert kinds(report) == ["unexplained"]


def stood_in_for(tmp_path: Path, what: tuple[str, ...]) -> tuple[Report, list[str]]:
    """Compare a network that subtracts with one in its place, whose file says `what` of itself."""
    base = altered(fixed_net(), "hidden", reset="subtract")
    other = altered(base, "hidden", reset="zero", threshold=base.layers[1].neuron.threshold // 2)
    write_netx(base, tmp_path / "model.net")
    write_netx(other, tmp_path / "other.net", what)
    texts = str(tmp_path / "model.net"), str(tmp_path / "other.net")
    found, notes = [], list[str]()
    for at in ((0, 1), (1, 0), (0, 0), (1, 1)):
        one, another = texts[at[0]], texts[at[1]]
        report, _ = diff(one, another, None, "0.2", 4, 0, tmp_path / "out", Reporter(quiet=True))
        found.append(report)
        notes += [note for note in report["notes"] if "stand-in" in note]
    assert found[2]["equal"]
    assert found[3]["equal"]
    assert set(kinds(found[0])) == set(kinds(found[1]))
    assert found[1]["conclusion"] == found[0]["conclusion"].replace("B is", "A is") or not what
    return found[0], notes


def test_a_stand_in_is_named_before_what_it_differs_in(tmp_path: Path) -> None:
    report, notes = stood_in_for(tmp_path, ("reset",))
    assert kinds(report)[0] == "stand-in"
    assert set(kinds(report)[1:]) == {"threshold", "reset"}
    assert report["conclusion"] == (
        "B is not the network itself but a stand-in, made on request, with an approximated reset."
    )
    path = tmp_path / "other.net"
    says = f"{path} is a stand-in made on request; of its network it approximates: reset"
    assert notes == [f"{side}: {says}" for side in "BAAB"]


def test_another_network_is_no_stand_in(tmp_path: Path) -> None:
    report, notes = stood_in_for(tmp_path, ())
    assert set(kinds(report)) == {"threshold", "reset"}
    assert notes == []


def test_several_causes_come_by_what_they_do_alone() -> None:
    base = float_net()
    other = altered(base, "conv", threshold=1.02, decay=0.3)
    report = report_of(base, other)
    assert kinds(report) == ["decay", "threshold"]
    assert report["effects"]["decay"] > report["effects"]["threshold"] > 0
    gentle = report_of(base, altered(base, "conv", threshold=1.5, decay=0.899))
    assert kinds(gentle) == ["threshold", "decay"]


def test_a_difference_above_the_first_parting_is_no_cause() -> None:
    base = float_net()
    report = report_of(base, altered(altered(base, "conv", decay=0.6), "out", threshold=3.0))
    assert kinds(report) == ["decay"]
    assert differs_in(report, "out") == ["threshold"]


def test_every_kind_has_a_test_here() -> None:
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []
