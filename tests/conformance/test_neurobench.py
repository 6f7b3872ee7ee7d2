"""NeuroBench's measures against the package neurobench itself, on twins of the same networks.

Weights and decays are such that float32 sums are exact in any order; so all counts must be equal,
not close. All networks run in one process of the package.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.study.packages import PackagesUnavailableError
from export.network import LIF, Conv, Dense, Layer, LoihiLIF, Network, Readout
from export.netx_file import write_netx
from hardware.arriving import neuron_bias, synapse_product
from hardware.neurobench_measures import Tally, item_bytes, membrane_updates
from hardware.reference import float_layer
from hardware.reference_target import ReferenceTarget
from tests.conformance.neurobench_package import NEUROBENCH, run_twin

STEPS, COUNT = 8, 6
TWIN_CONSTANTS_BYTES = 20
"""Of each snnTorch neuron layer: threshold, decay and a factor in float32, the reset in int64."""


@dataclass(frozen=True, eq=False)
class Case:
    """A network, recordings for it, what is ours, and how the twin is to run it."""

    network: Network[Any]
    spikes: Any
    ours: dict[str, Any]
    outputs: Any
    batch_size: int = COUNT
    reset_delay: bool = False


def weights(random: np.random.Generator, *shape: int, dtype: type = np.float32) -> Any:
    """A third of them zeros; floats are eighths, integers even."""
    whole = random.integers(-12, 20, shape) * (random.random(shape) > 1 / 3)
    return (whole / 8).astype(dtype) if dtype is np.float32 else (2 * whole).astype(dtype)


def dense(readout: Readout = "count", dtype: type = np.float32, **more: Any) -> Network[Any]:
    random = np.random.default_rng(1)
    hidden = Dense(weights(random, 20, 32, dtype=dtype), weights(random, 20, dtype=dtype))
    out = Dense(weights(random, 4, 20, dtype=dtype))
    neuron, last = neurons(readout, dtype)
    layers = (Layer("hidden", hidden, neuron), Layer("out", out, last))
    return Network((2, 4, 4), layers, readout, STEPS, 0.01, **more)


def convolutional(readout: Readout = "membrane", dtype: type = np.float32) -> Network[Any]:
    random = np.random.default_rng(2)
    first = Conv(weights(random, 5, 2, 3, 3, dtype=dtype), None, (2, 1), (1, 1))
    second = Conv(weights(random, 4, 5, 3, 2, dtype=dtype), weights(random, 4, dtype=dtype))
    out = Dense(weights(random, 3, 4 * 2 * 6, dtype=dtype))
    neuron, last = neurons(readout, dtype)
    layers = (Layer("one", first, neuron), Layer("two", second, neuron), Layer("out", out, last))
    return Network((2, 8, 7), layers, readout, STEPS, 0.01)


def neurons(readout: Readout, dtype: type) -> tuple[Any, Any]:
    if dtype is np.float32:
        neuron = LIF(0.5, 2.0)
        return neuron, neuron if readout == "count" else LIF(0.5, math.inf)
    return LoihiLIF(1024, 40), LoihiLIF(1024, 40 if readout == "count" else 131071)


def recordings(network: Network[Any], high: int = 1) -> Any:
    random = np.random.default_rng(3)
    shape = (COUNT, STEPS, *network.input_shape)
    return (random.integers(1, high + 1, shape) * (random.random(shape) < 0.3)).astype(np.uint8)


def tallied(network: Network[Any], spikes: Any) -> tuple[dict[str, Any], Any, int]:
    """Measures and outputs of a float network, and the updates of membranes before their reset."""
    x, tally, unreset = spikes.reshape(COUNT, STEPS, -1), Tally(network), 0
    for index, (layer, shape) in enumerate(zip(network.layers, network.shapes, strict=False)):
        drive = synapse_product(layer.synapse, x, shape, np.float32)
        bias_N = neuron_bias(layer.synapse, drive.shape[-1])
        fired, membranes = float_layer(drive, bias_N, layer)
        tally.add(index, x, fired, np.where(fired, 0, membranes))
        unreset += membrane_updates(membranes)
        x = fired
    return tally.measures(), x, unreset


def float_case(network: Network[Any], spikes: Any, **twin: Any) -> Case:
    ours, outputs, unreset = tallied(network, spikes)
    return Case(network, spikes, ours | {"unreset": unreset / COUNT}, outputs, **twin)


def deployed_case(network: Network[Any], folder: Path) -> Case:
    """The measures that `hardspike evaluate` records, of a file."""
    write_netx(network, folder / "model.net")
    spikes = recordings(network)
    run = ReferenceTarget().run(folder, spikes, record_layers=True)
    return Case(network, spikes, run.details["neurobench"], run.layers_BTN["out"])


def cases(folder: Path) -> dict[str, Case]:
    graded = dense(input_max=3)
    counts = recordings(graded, 3)
    counts[:, ::2] = counts[:, ::2] > 0  # every second step has spikes alone
    return {
        "dense": float_case(dense(), recordings(dense())),
        "convolutional": float_case(convolutional(), recordings(convolutional())),
        "convolutional integers": deployed_case(convolutional("count", np.int32), folder),
        "dense integers": deployed_case(dense("membrane", np.int32), folder),
        "graded": float_case(graded, counts),
        "delayed reset": float_case(dense(), recordings(dense()), reset_delay=True),
        "two minibatches": float_case(dense(), recordings(dense()), batch_size=COUNT // 2),
    }


def layer_json(layer: Layer[Any]) -> dict[str, Any]:
    synapse, neuron = layer.synapse, dict(vars(layer.neuron))
    assert neuron.pop("reset") == "zero"  # the twin has no other
    assert not neuron.pop("refractory")
    assert not neuron.pop("bias_filtered")
    neuron.pop("current_decay", None)
    if isinstance(synapse, Conv):
        return {"neuron": neuron, "stride": synapse.stride, "padding": synapse.padding}
    return {"neuron": neuron}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Case, dict[str, Any]]]:
    """Every case with what the package says of it; its outputs are those of the twin."""
    try:
        NEUROBENCH.folder()
    except PackagesUnavailableError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("neurobench")
    made, listed = cases(folder), []
    for name, case in made.items():
        arrays = {"spikes": case.spikes}
        for index, layer in enumerate(case.network.layers):
            arrays[f"weight{index}"] = layer.synapse.weight
            if layer.synapse.bias_O is not None:
                arrays[f"bias{index}"] = layer.synapse.bias_O
        np.savez(folder / f"{name}.npz", **arrays)
        listed.append(
            {
                "name": name,
                "batch_size": case.batch_size,
                "reset_delay": case.reset_delay,
                "layers": [layer_json(layer) for layer in case.network.layers],
            }
        )
    (folder / "networks.json").write_text(json.dumps(listed))
    run_twin(folder)
    results = json.loads((folder / "results.json").read_text())
    for name, case in made.items():
        outputs = np.load(folder / f"{name}.outputs.npy", allow_pickle=False)
        np.testing.assert_array_equal(outputs, case.outputs, err_msg=name)
        assert case.ours["activation_sparsity"] < 0.97, "so that there is something to count"
    return {name: (case, results[name]) for name, case in made.items()}


@pytest.mark.parametrize(
    "name",
    ["dense", "convolutional", "convolutional integers", "dense integers", "two minibatches"],
)
def test_the_package_measures_the_same(name: str, compared: Any) -> None:
    case, theirs = compared[name]
    ours = case.ours
    assert ours["synaptic_operations"] == theirs["SynapticOperations"]
    assert 0 < ours["synaptic_operations"]["Effective_ACs"] < ours["synaptic_operations"]["Dense"]
    assert ours["membrane_updates"] == theirs["MembraneUpdates"]
    assert ours["activation_sparsity"] == pytest.approx(theirs["ActivationSparsity"], rel=1e-12)
    assert list(ours["activation_sparsity_by_layer"].values()) == pytest.approx(
        list(theirs["ActivationSparsityByLayer"].values()), rel=1e-12
    )
    assert ours["connection_sparsity"] == pytest.approx(theirs["ConnectionSparsity"], abs=5.1e-5)


@pytest.mark.parametrize("name", ["dense", "convolutional"])
def test_the_footprint_of_a_float_network_differs_by_its_constants_alone(
    name: str, compared: Any
) -> None:
    case, theirs = compared[name]
    layers = len(case.network.layers)
    assert theirs["Footprint"] - TWIN_CONSTANTS_BYTES * layers == (
        case.ours["footprint"] - 8 * layers
    )


def test_integers_take_a_quarter_of_the_packages_bytes(compared: Any) -> None:
    case, theirs = compared["convolutional integers"]
    layers = len(case.network.layers)
    constants = (TWIN_CONSTANTS_BYTES - 4) * layers  # the twin's has no decay among them
    assert theirs["Footprint"] - constants == 4 * (case.ours["footprint"] - 6 * layers)


def test_steps_of_ones_alone_are_acs_to_the_package_and_macs_to_us(compared: Any) -> None:
    case, theirs = compared["graded"]
    ours, found = case.ours["synaptic_operations"], theirs["SynapticOperations"]
    assert 0 < found["Effective_MACs"] < ours["Effective_MACs"]
    assert sum(found.values()) == sum(ours.values())
    steps = case.spikes.reshape(COUNT, STEPS, -1)
    graded = case.spikes.copy()
    graded[:, (steps <= 1).all((0, 2))] = 0
    alone = tallied(case.network, graded)[0]["synaptic_operations"]
    assert found["Effective_MACs"] == alone["Effective_MACs"], "those of the other steps"


def test_a_delayed_reset_updates_the_membrane_before_its_reset(compared: Any) -> None:
    case, theirs = compared["delayed reset"]
    assert theirs["MembraneUpdates"] == case.ours["unreset"] != case.ours["membrane_updates"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0], 1),
        ([-256, 254], 1),
        ([-254, 256], 2),
        ([3, -128], 1),
        ([129], 2),
        ([1 << 20], 1),
        ([(1 << 20) + 1], 4),
    ],
)
def test_an_integer_takes_its_mantissas_bytes(values: list[int], expected: int) -> None:
    assert item_bytes(np.array(values)) == expected


def test_membranes_change_where_they_are_not_as_before() -> None:
    membranes = np.array([[[0, 5], [0, 5], [1, 5], [0, 6]]])
    assert membrane_updates(membranes) == 2 + 2 + 1
