"""The four functions for notebooks: a file in, results out, without a run folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, HardSpikeNetwork
from export.netx_file import write_netx
from export.nir_graph import write_nir
from export.onnx_model import write_sequence
from hardware.reference import run_fixed
from pipeline.api import convert, deploy, evaluate, import_network
from tests.export.networks import fixed_network, float_network

BITS = 8


def spikes_for(network: Any, count: int = 6) -> np.ndarray[Any, np.dtype[np.uint8]]:
    generator = np.random.default_rng(0)
    shape = (count, network.steps, *network.input_shape)
    return (generator.random(shape) < 0.4).astype(np.uint8)


def test_from_a_nir_file_to_equal_outputs_on_every_target_in_reach(tmp_path: Path) -> None:
    write_nir(float_network(), tmp_path / "net.nir")
    network = cast(HardSpikeNetwork, import_network(tmp_path / "net.nir"))
    spikes = spikes_for(network)
    integers = convert(network, weight_bits=BITS, spikes_BTCHW=spikes)
    files = deploy(integers, tmp_path / "deployed", network)
    assert sorted(files) == sorted((tmp_path / "deployed").iterdir())
    assert "model.nir" in {path.name for path in files}
    labels = np.arange(len(spikes)) % 2
    found = evaluate(
        tmp_path / "deployed",
        spikes,
        labels,
        targets=("onnxruntime", "onnxruntime-step"),
        threads=1,
    )
    assert list(found) == ["reference", "onnxruntime", "onnxruntime-step"]
    trace = run_fixed(integers, spikes)
    expected = trace.last if integers.readout == "count" else trace.membranes_BTN
    for result in found.values():
        assert (result.status, result.equal, result.reason) == ("ok", 1.0, None)
        assert result.outputs_BTN is not None
        assert np.array_equal(result.outputs_BTN, expected)
        assert result.classes_B is not None
        assert result.accuracy == (result.classes_B == labels).mean()


@pytest.mark.parametrize("kind", ["model.net", "model.sequence.onnx"])
def test_files_in_integers_are_taken_as_they_are(kind: str, tmp_path: Path) -> None:
    network = fixed_network()
    write = write_netx if kind.endswith(".net") else write_sequence
    write(network, tmp_path / kind)
    found = cast(FixedPointNetwork, import_network(tmp_path / kind))
    spikes = spikes_for(network)
    assert np.array_equal(
        run_fixed(found, spikes).membranes_BTN,
        run_fixed(network, spikes).membranes_BTN,
    )
    assert [path.name for path in deploy(found, tmp_path / "out")] == [
        "model.step.onnx",
        "model.sequence.onnx",
        "model.net",
    ]
    with pytest.raises(HardspikeError, match="found integers, allowed is a float network"):
        convert(cast(HardSpikeNetwork, found))
    with pytest.raises(HardspikeError, match=r"steps: found \d+ in the file and 999 given"):
        import_network(tmp_path / kind, steps=999)
    with pytest.raises(HardspikeError, match=r"--dt: found one, and .* has a step of its own"):
        import_network(tmp_path / kind, dt=1.0)


def test_without_recordings_the_largest_weight_sets_the_scale(tmp_path: Path) -> None:
    integers = convert(float_network(), weight_bits=4)
    assert max(int(np.abs(layer.synapse.weight).max()) for layer in integers.layers) <= 256
    assert deploy(integers, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"targets": ("lava",)}, "targets: found 'lava', allowed reference, "),
        ({"spikes": np.zeros((2, 3), np.uint8)}, "spikes_BTCHW: found uint8 of shape"),
        ({"spikes": "float"}, "spikes_BTCHW: found float64 of shape"),
        ({"spikes": "large"}, "spikes_BTCHW: found 9, allowed 0 to "),
        ({"spikes": "none"}, "with at least one recording"),
        ({"labels": np.zeros(99)}, r"labels_B: found shape \(99,\), allowed \(6,\)"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    network = fixed_network()
    deploy(network, tmp_path / "out")
    good = spikes_for(network)
    odd = {"float": good.astype(float), "large": good * 9, "none": good[:0]}
    given = change.get("spikes", good)
    spikes = odd[given] if isinstance(given, str) else given
    with pytest.raises(HardspikeError, match=says) as caught:
        evaluate(
            tmp_path / "out",
            spikes,
            change.get("labels"),
            targets=change.get("targets", ("reference",)),
        )
    assert "\n" not in str(caught.value)


def test_nothing_is_left_where_a_network_does_not_fit(tmp_path: Path) -> None:
    network = fixed_network()
    odd = replace(network.layers[1], synapse=Dense(network.layers[1].synapse.weight + 1))
    network = replace(network, layers=(network.layers[0], odd, network.layers[2]))
    with pytest.raises(HardspikeError, match=r"layer hidden: weight: .* even"):
        deploy(network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_does_not_belong_together_is_one_line(tmp_path: Path) -> None:
    network, other = fixed_network(), float_network("membrane")
    with pytest.raises(HardspikeError, match="found a float network, allowed is one in integers"):
        deploy(cast(FixedPointNetwork, other), tmp_path / "out")
    with pytest.raises(HardspikeError, match="float_network: readout: found membrane"):
        deploy(network, tmp_path / "out", other)
    with pytest.raises(HardspikeError, match=r"weight_bits: found 4\.5, allowed 2 to 8"):
        convert(other, weight_bits=cast(int, 4.5))
    write_netx(network, tmp_path / "net.net")
    with pytest.raises(HardspikeError, match="input_max: found 3 in the file and 9 given"):
        import_network(tmp_path / "net.net", input_max=9)
    with pytest.raises(HardspikeError, match="input_max: found 0, allowed 1 to 255"):
        import_network(tmp_path / "net.net", input_max=0)
    assert not (tmp_path / "out").exists()


def test_a_nir_file_of_another_network_does_not_stay(tmp_path: Path) -> None:
    hard = float_network()
    deploy(convert(hard), tmp_path / "out", hard)
    assert (tmp_path / "out" / "model.nir").exists()
    deploy(fixed_network(), tmp_path / "out")
    assert not (tmp_path / "out" / "model.nir").exists()
