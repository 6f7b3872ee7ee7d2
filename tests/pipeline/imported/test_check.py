"""`hardspike check`: a line a node, faults named with their node, exit 0 only if all is equal."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import nir
import numpy as np
import pytest

from benchmarks.interop_study.netx_files import random_case
from export.network import Dense, FixedPointNetwork, HardSpikeNetwork, Layer, LoihiLIF
from export.netx_file import write_netx
from export.onnx_model import write_step
from hardware.loihi.netx_import import inspect_lava_netx
from hardware.loihi_cost import chip
from hardware.reference import run_float
from pipeline.api import import_network
from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import conv, full, lif, recurrent, small_cnn, weights, write
from tests.export.networks import fixed_network

SAID = ("--dt", "0.01", "--reset", "zero")


def checked(path: Path, *arguments: str, status: int) -> dict[str, Any]:
    done = in_process("check", path, *arguments, "--json")
    assert done.returncode == status, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["equal"] == (status == 0)
    return found


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["node"]: row for row in found["nodes"]}


def test_a_network_that_is_equal(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    found = checked(path, *SAID, "--target", "loihi", status=0)
    said = {name: (row["status"], row["says"]) for name, row in rows(found).items()}
    assert list(said) == list(small_cnn())
    assert said["conv"] == ("exact", "")
    assert said["pool"] == ("equivalent", "sum pooling written out in fc")
    assert "r and dt folded into weights" in said["lif1"][1]
    assert "v_leak absorbed into the bias" in said["lif2"][1]
    assert found["compared"].endswith("outputs of neurons are the graph's")


def test_a_table_for_people(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    done = in_process("check", path, *SAID)
    assert done.returncode == 0
    assert "pool    SumPool2d  equivalent: sum pooling written out in fc" in done.stdout
    open_ends = in_process("check", path)
    assert open_ends.returncode == 2
    assert "2 of 8 nodes are neither exact nor equivalent: lif1, lif2" in open_ends.stderr
    assert "give --dt" in open_ends.stdout
    assert "give --reset" in open_ends.stdout


def nan(nodes: dict[str, Any]) -> None:
    nodes["conv"].weight[0, 0, 0, 0] = np.nan


def many_zeroed(nodes: dict[str, Any]) -> None:
    nodes["fc"].weight[:] = np.random.default_rng(0).normal(size=(10, 48)) * 1e-3
    nodes["fc"].weight[0, 0] = 1.0


CASES: dict[str, tuple[Any, str, str, str]] = {
    "negative tau": (
        lambda nodes: nodes.update(lif1=lif((3, 8, 8), tau=-0.02)),
        *("lif1", "unsupported", "tau: found -0.02, allowed above 0"),
    ),
    "nan": (nan, "conv", "unsupported", "weight: found nan in 1 places, allowed finite numbers"),
    "v_reset": (
        lambda nodes: nodes.update(lif2=lif((10,), v_reset=0.5)),
        *("lif2", "unsupported", "v_reset: found 0.5 with v_threshold 0.27, allowed below it"),
    ),
    "dead": (
        lambda nodes: nodes.update(lif2=lif((10,), v_threshold=1000.0)),
        *("lif2", "equivalent", "never fires: its membrane reaches"),
    ),
    "zero weights": (
        lambda nodes: nodes.update(conv=conv((8, 8), 0 * weights(3, 2, 3, 3), padding=(1, 1))),
        *("conv", "exact", "all weights are zero: nothing passes"),
    ),
    "saturate": (many_zeroed, "lif2", "equivalent", "of its weights round to zero beside its"),
    "shapes": (
        lambda nodes: nodes.update(fc=nir.Linear(weights(10, 50))),
        *("fc", "unsupported", "takes a vector of 50, found (48,)"),
    ),
    "several tau": (
        lambda nodes: nodes.update(
            lif2=nir.LIF(np.linspace(0.02, 0.03, 10), *(full((10,), v) for v in (1, 0, 1)))
        ),
        *("lif2", "equivalent", ""),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named_with_its_node(case: str, tmp_path: Path) -> None:
    change, node, status, says = CASES[case]
    nodes = small_cnn()
    change(nodes)
    path = write(tmp_path / "cnn.nir", nodes)
    stops = status == "unsupported"
    target = () if case == "zero weights" else ("--target", "reference")
    found = checked(path, *SAID, *target, status=2 if stops else 0)
    row = rows(found)[node]
    assert row["status"] == status
    assert any(says in line for line in (row["says"], *row["remarks"])), row
    others = [name for name, one in rows(found).items() if one["status"] == "unsupported"]
    assert others == ([node] if stops else [])


def test_a_threshold_out_of_range_is_named(tmp_path: Path) -> None:
    """vth has 17 bits: weights a thousandth of it keep a level or two."""
    nodes = small_cnn()
    nodes["fc"] = nir.Linear(weights(10, 48) / 4096)
    nodes["lif2"] = lif((10,), v_threshold=0.5, v_leak=0.501)
    path = write(tmp_path / "cnn.nir", nodes)
    found = rows(checked(path, *SAID, "--target", "reference", status=0))["lif2"]
    assert any("reach the end of their registers" in remark for remark in found["remarks"]), found


def test_a_cycle_without_a_neuron_is_named(tmp_path: Path) -> None:
    nodes = small_cnn()
    edges = [*itertools.pairwise(nodes), ("fc", "flat")]
    found = rows(checked(write(tmp_path / "a.nir", nodes, edges), *SAID, status=2))
    assert {name for name, row in found.items() if row["status"] == "unsupported"} == {"fc", "flat"}
    assert "found a cycle without a neuron" in found["fc"]["says"]


def test_a_delay_between_steps_is_approximated(tmp_path: Path) -> None:
    nodes, edges = recurrent()
    nodes["delay"] = nir.Delay(np.array([0.0, 0.01, 0.0225, 0.03]))
    found = checked(write(tmp_path / "rnn.nir", nodes, edges), *SAID, status=2)
    row = rows(found)["delay"]
    assert row["status"] == "approximated"
    assert row["says"] == "rounded to whole steps, by up to 0.25 of a step"


def test_the_chip_has_no_subtractive_reset(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    said = ("--dt", "0.01", "--reset", "subtract")
    checked(path, *said, "--target", "reference", "--target", "onnxruntime", status=0)
    found = rows(checked(path, *said, "--target", "loihi", status=2))
    for name in ("lif1", "lif2"):
        assert found[name]["status"] == "unsupported"
        assert "subtractive reset" in found[name]["says"]


def test_files_in_integers_have_a_row_a_layer(tmp_path: Path) -> None:
    network = fixed_network()
    write_netx(network, tmp_path / "net.net")
    write_step(network, tmp_path / "net.onnx")
    for name in ("net.net", "net.onnx"):
        found = checked(tmp_path / name, "--target", "loihi", status=0)
        assert list(rows(found)) == [*(layer.name for layer in network.layers), "(graph)"]
        assert {row["status"] for row in rows(found).values()} == {"exact"}
        assert "Loihi's integers" in found["compared"]
    first, *others = network.layers
    odd = replace(first, neuron=replace(first.neuron, reset="subtract"))
    write_netx(replace(network, layers=(odd, *others)), tmp_path / "odd.net")
    checked(tmp_path / "odd.net", status=0)
    row = rows(checked(tmp_path / "odd.net", "--target", "loihi", status=2))[first.name]
    assert row["status"] == "unsupported"
    assert "subtractive reset: allowed is 'zero'" in row["says"]


def test_what_netx_runs_otherwise_is_a_remark(tmp_path: Path) -> None:
    noted = 0
    for seed in range(40):
        path = random_case(tmp_path / f"{seed}.net", seed).path
        notes = inspect_lava_netx(path).notes
        if notes:
            found = checked(path, status=0)
            remarks = [remark for row in found["nodes"] for remark in row["remarks"]]
            assert all(any(note.what in remark for remark in remarks) for note in notes)
            noted += 1
        if noted == 2:
            return
    pytest.fail("no file has a note")


def wide_cnn(channels: int) -> dict[str, Any]:
    return {
        "input": nir.Input(np.array([2, 8, 8])),
        "conv": conv((8, 8), weights(channels, 2, 3, 3), padding=(1, 1)),
        "lif": lif((channels, 8, 8)),
        "output": nir.Output(np.array([channels, 8, 8])),
    }


def test_a_layer_over_a_cores_limits_is_split(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.nir", wide_cnn(40))
    row = rows(checked(path, *SAID, "--target", "loihi", status=0))["lif"]
    assert row["status"] == "equivalent"
    assert "split over 3 cores of Loihi 1: 2,560 compartments (a core has 1,024)" in row["says"]
    ranges = [held for core in row["cores"] for held in core["neurons"]]
    neurons = [neuron for first, end in ranges for neuron in range(first, end)]
    assert sorted(neurons) == list(range(2560))
    assert all(0 < core["synapse_words"] <= 16_384 for core in row["cores"])
    narrow = write(tmp_path / "cnn.nir", small_cnn())
    found = rows(checked(narrow, *SAID, "--target", "loihi", status=0))
    assert "takes a core of Loihi 1" in found["lif1"]["remarks"]
    assert "split" not in found["lif1"]["says"]
    assert len(found["lif1"]["cores"]) == 1
    for row in rows(checked(narrow, *SAID, status=0)).values():
        assert not row["cores"]
        assert "core" not in " ".join((row["says"], *row["remarks"]))


def test_a_network_of_more_cores_than_a_chip_is_still_the_parts_of_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "CORES", 3)
    path = write(tmp_path / "wide.nir", wide_cnn(40))
    found = rows(checked(path, *SAID, "--target", "loihi", status=0))
    assert found["lif"]["status"] == "equivalent"
    assert not found["lif"]["cores"]
    (remark,) = found["(graph)"]["remarks"]
    assert remark == "one Loihi 1: network: needs 4 cores (input 1, lif 3), a chip has 3"


def test_recurrent_and_late_layers_have_cores_too(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    own_NN, weight_OI = (254 * random.choice([-1, 1], (1100, n)) for n in (1100, 6))
    layer = Layer("wide", Dense(weight_OI), LoihiLIF(10, 90, 2000), recurrent=Dense(own_NN))
    late = replace(layer, recurrent=None, dendrite_delay_N=np.arange(1100) % 4)
    odd = replace(layer, neuron=replace(layer.neuron, reset="subtract"))
    for one, status, says in ((layer, 0, "says"), (late, 0, "says"), (odd, 2, "remarks")):
        path = tmp_path / "net.net"
        write_netx(FixedPointNetwork((1, 1, 6), (one,), "count", 2, 1.0), path)
        row = rows(checked(path, "--target", "loihi", status=status))["wide"]
        assert row["status"] == ("unsupported" if status else "equivalent")
        assert "1,100 compartments (a core has 1,024)" in str(row[says])


def test_a_network_that_no_chip_holds_runs_on_the_simulator_all_the_same(tmp_path: Path) -> None:
    network = fixed_network()
    write_netx(network, tmp_path / "counts.net")  # takes counts, which no spike of the chip carries
    found = rows(checked(tmp_path / "counts.net", "--target", "loihi", status=0))
    assert "one Loihi 1: " in " ".join(found["(graph)"]["remarks"])


def test_sums_that_onnx_cannot_hold_are_named_for_its_targets(tmp_path: Path) -> None:
    weight = np.full((2, 34_000), 254, np.int16)
    layer = Layer("wide", Dense(weight), LoihiLIF(0, 100))
    write_netx(FixedPointNetwork((1, 1, 34_000), (layer,), "count", 2, 1.0), tmp_path / "wide.net")
    row = rows(checked(tmp_path / "wide.net", "--target", "onnxruntime", status=2))["wide"]
    assert "accumulator: found sums up to 8636000" in row["says"]
    assert rows(checked(tmp_path / "wide.net", status=2))["wide"]["status"] == "unsupported"


def readout_graph(**changes: Any) -> dict[str, Any]:
    neurons = {"tau": 2.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    values = {key: np.broadcast_to(v, (2,)).astype(np.float32) for key, v in neurons.items()}
    values |= {key: np.asarray(value, np.float32) for key, value in changes.items()}
    return {
        "input": nir.Input(np.array([2])),
        "w": nir.Linear(np.diag([1.0, 3.0]).astype(np.float32)),
        "lif": nir.LIF(**values),
        "output": nir.Output(np.array([2])),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"v_threshold": [1.0, 10.0]}, ("--readout", "membrane")),
        ({"v_reset": [-0.5, 0.2]}, ("--readout", "membrane")),
        ({"v_threshold": [np.inf, np.inf]}, ()),
    ],
)
def test_a_membrane_is_read_in_the_files_own_units(
    changes: dict[str, Any], said: tuple[str, ...], tmp_path: Path
) -> None:
    """u ← u/2 + x·diag(1, 3), whatever the thresholds were."""
    path = write(tmp_path / "readout.nir", readout_graph(**changes))
    found = checked(path, "--dt", "1", "--reset", "zero", *said, status=0)
    assert found["compared"].endswith("outputs of neurons are the graph's")
    network = import_network(path, dt=1.0, reset="zero", readout="membrane", steps=3)
    spikes = np.ones((1, 3, 2, 1, 1), np.uint8)
    membranes = run_float(cast(HardSpikeNetwork, network), spikes).membranes_BTN
    np.testing.assert_allclose(membranes[0], np.outer([1.0, 1.5, 1.75], [1.0, 3.0]))


def test_an_axis_of_recordings_is_named(tmp_path: Path) -> None:
    """One is dropped, as an equivalent; of several the rest of the table is shown all the same."""
    nodes = small_cnn() | {"input": nir.Input(np.array([1, 2, 8, 8]))}
    nodes["flat"] = nir.Flatten({"input": np.array([1, 3, 4, 4])}, 1, -1)
    said = rows(checked(write(tmp_path / "one.nir", nodes), *SAID, status=0))
    assert said["input"]["status"] == "equivalent"
    assert said["input"]["says"] == "axis of recordings of length 1 dropped"
    nodes["input"] = nir.Input(np.array([4, 2, 8, 8]))
    found = checked(write(tmp_path / "four.nir", nodes), *SAID, status=2)
    assert found["compared"] == "Not compared: the graph is one of several recordings"
    assert rows(found)["input"]["status"] == "unsupported"
    assert "export the network by a sample of one recording" in rows(found)["input"]["says"]
    assert [name for name, row in rows(found).items() if row["status"] == "unsupported"] == [
        "input"
    ]
