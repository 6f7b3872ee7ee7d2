"""Files of lava-dl: what netx makes of each block, what it cannot load, and hostile files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from benchmarks.interop_study.netx_files import Block, random_case, write_blocks
from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, LoihiLIF
from hardware.loihi.netx_import import inspect_lava_netx, read_lava_netx

FILES = Path(__file__).parents[2] / "lava_dl_files"
NEURON = {
    "type": "CUBA",
    "iDecay": 1024,
    "vDecay": 128,
    "vThMant": 80,
    "refDelay": 1,
    "gradedSpike": False,
}


def read(path: Path, **rest: Any) -> FixedPointNetwork:
    return read_lava_netx(path, steps=5, dt=0.001, readout="count", **rest)


def dense(outputs: int, inputs: int, **rest: Any) -> Block:
    weight = np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs) * 2 - 4
    block = {"type": "dense", "shape": np.array([outputs]), "weight": weight, "neuron": NEURON}
    return block | rest


def blocks(*more: Block) -> list[Block]:
    return [{"type": "input", "shape": np.array([3])}, *more]


def conv(**rest: Any) -> Block:
    block = {
        "type": "conv",
        "shape": np.array([2, 3, 4]),
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "weight": np.full((2, 2, 2, 1), 4, np.float32),
        "neuron": NEURON,
    }
    return block | rest


IMAGE: Block = {"type": "input", "shape": np.array([2, 4, 4])}


def test_a_file_that_lava_dl_wrote(tmp_path: Path) -> None:
    first, second, third = read(FILES / "dense.net").layers
    assert (first.name, second.name, third.name) == ("dense1", "dense2", "dense3")
    with h5py.File(FILES / "dense.net") as file:
        delays, decays = file["layer/1/delay"][()], file["layer/2/neuron/iDecay"][()]
        weight = file["layer/1/weight"][()]
    assert first.dendrite_delay_N is not None
    np.testing.assert_array_equal(first.dendrite_delay_N, delays)
    np.testing.assert_array_equal(first.synapse.weight, weight)
    assert first.neuron == LoihiLIF(123, 80, 1023)
    assert second.current_decay_O is not None
    np.testing.assert_array_equal(second.current_decay_O, decays - 1)
    assert third.neuron.threshold == (1 << 18) - 1
    (note,) = inspect_lava_netx(FILES / "dense.net").notes
    assert note.where == "layer/1"
    assert "netx delays what these neurons take instead of what they send" in note.what


def test_convolutions_keep_strides_dilation_and_groups() -> None:
    found = inspect_lava_netx(FILES / "conv.net")
    synapse = found.layers[0].synapse
    assert isinstance(synapse, Conv)
    assert (synapse.stride, synapse.padding) == ((1, 2), (1, 0))
    assert (synapse.dilation, synapse.groups) == ((2, 1), 2)
    assert found.input_shape == (2, 6, 5)
    what = [note.what for note in found.notes]
    assert what == [
        "netx ignores the delays of a convolution",
        "netx ignores neuron/weight_exp",
    ]


def test_an_input_block_with_a_neuron_is_a_layer_without_current() -> None:
    layer = read(FILES / "recurrent.net").layers[0]
    with h5py.File(FILES / "recurrent.net") as file:
        weight, bias = int(file["layer/0/weight"][0]), int(file["layer/0/bias"][0])
    assert isinstance(layer.synapse, Conv)
    assert layer.synapse.groups == 9
    assert (layer.synapse.weight == weight).all()
    assert layer.synapse.bias_O is not None
    assert (layer.synapse.bias_O == bias).all()
    assert layer.neuron.current_decay == 4095
    with pytest.raises(HardspikeError, match="input0: weight·input \\+ bias, a bias mantissa"):
        read(FILES / "recurrent.net", input_max=255)


def test_weights_that_the_loader_changes_are_those_that_run(tmp_path: Path) -> None:
    weight = np.array([[-256, -6], [-4, -2]], np.float32)
    write_blocks(tmp_path / "a.net", [dense(2, 2, weight=weight)])
    found = inspect_lava_netx(tmp_path / "a.net")
    assert found.layers[0].synapse.weight.min() == -254
    assert "loader changes these weights" in found.notes[0].what


def test_a_recurrent_block_with_delays_loses_its_exponent(tmp_path: Path) -> None:
    small = np.array([[2, -6], [4, 0]], np.float32)
    delay = np.array([1, 70], np.float32)
    block = dense(2, 2, type="dense_rec", weight=small, weight_rec=2 * small, delay=delay)
    write_blocks(tmp_path / "a.net", [block])
    found = inspect_lava_netx(tmp_path / "a.net")
    layer = found.layers[0]
    assert layer.recurrent is not None
    factor = layer.synapse.weight[0, 0] // 2
    np.testing.assert_array_equal(layer.synapse.weight, factor * small)
    np.testing.assert_array_equal(layer.recurrent.weight, factor * 2 * small)
    assert factor == 16  # the least, -12, fits 16 times into -256 with its sign bit
    assert any(f"act {factor} times as strong" in note.what for note in found.notes)
    np.testing.assert_array_equal(layer.dendrite_delay_N, [1, 62])


def test_no_input_block(tmp_path: Path) -> None:
    write_blocks(tmp_path / "a.net", [dense(2, 3)])
    assert read(tmp_path / "a.net").input_shape == (3, 1, 1)
    write_blocks(tmp_path / "b.net", [conv()])
    with pytest.raises(HardspikeError, match=r"layer/0: the input's shape is missing"):
        read(tmp_path / "b.net")
    assert read(tmp_path / "b.net", input_shape=(2, 4, 4)).shapes[-1] == (2, 3, 4)


def test_a_dense_layer_without_a_neuron_adds_up_for_ever(tmp_path: Path) -> None:
    block = dense(2, 3)
    del block["neuron"]
    write_blocks(tmp_path / "a.net", blocks(block))
    layer = read(tmp_path / "a.net").layers[0]
    assert isinstance(layer.synapse, Dense)
    assert layer.neuron == LoihiLIF(4096, 1 << 17, -1)


REFUSED: dict[str, tuple[list[Block], str]] = {
    "pool": (blocks({"type": "pool"}), "layer/1: type: found 'pool' (netx cannot load it)"),
    "affine": (blocks({"type": "what"}), "layer/1: type: found 'what' (netx knows no such block)"),
    "huge input": (
        [{"type": "input", "shape": np.array([1 << 30]), "neuron": NEURON}, dense(2, 3)],
        "layer/0: shape: found (1073741824, 1, 1), allowed up to 4194304 neurons",
    ),
    "late input": ([dense(2, 3), *blocks()], "layer/1: input of shape (3,): allowed"),
    "empty": (blocks(), "layer: found no block with neurons"),
    "nan": (blocks(dense(2, 3, weight=np.full((2, 3), np.nan))), "layer/1/weight: found nan"),
    "half": (blocks(dense(2, 3, weight=np.full((2, 3), 0.5))), "layer/1/weight: found 0.5"),
    "zero": (blocks(dense(2, 3, weight=np.zeros((2, 3)))), "weight: found all zero"),
    "odd": (blocks(dense(2, 3, weight=np.full((2, 3), 7.0))), "dense1: weight: found 7, allowed"),
    "clipped": (
        blocks(dense(2, 3, weight=np.array([[-256.0, -2, 0]] * 2))),
        "layer/1: weight: netx makes -255 of the least",
    ),
    "heavy": (blocks(dense(2, 3, weight=np.full((2, 3), 510.0))), "weight: netx clips it"),
    "inputs": (blocks(dense(2, 4)), "layer/1: weight: takes 4 inputs, found (3, 1, 1)"),
    "neuron": (blocks(dense(2, 3, neuron=NEURON | {"type": "RF"})), "neuron/type: found 'RF'"),
    "graded": (
        blocks(dense(2, 3, neuron=NEURON | {"messageBits": 8})),
        "neuron/messageBits: found graded spikes",
    ),
    "threshold": (
        blocks(dense(2, 3, neuron=NEURON | {"vThMant": 1 << 18})),
        "layer dense1: threshold: found 262144",
    ),
    "decay": (
        blocks(dense(2, 3, neuron=NEURON | {"vDecay": -1})),
        "layer dense1: membrane_decay: found -1",
    ),
    "one delay": (blocks(dense(2, 3, delay=np.array([1.0]))), "layer/1: delay: found 1, allowed 2"),
    "negative": (blocks(dense(2, 3, delay=np.array([-1.0, 2]))), "layer/1: delay: found -1"),
    "recurrent delay": (
        blocks(dense(2, 3, type="dense_rec", weight_rec=np.eye(2), delay=np.array([1.0, 2]))),
        "layer/1: delay: netx loads those of a recurrent block only where",
    ),
    "no recurrence": (blocks(dense(2, 3, type="dense_rec")), "layer/1: weight_rec: found none"),
    "bias": (blocks(dense(2, 3, bias=np.zeros(4))), "layer/1: bias: found 4 numbers"),
    "no flatten": ([IMAGE, conv(), dense(2, 24)], "layer/2: netx cannot connect it"),
    "flat flatten": (blocks(dense(2, 3), {"type": "flatten"}, dense(1, 2)), "layer/3: netx cannot"),
    "conv on a vector": (blocks(conv()), "layer/1: netx takes (C, H, W) here"),
    "conv shape": ([IMAGE, conv(shape=np.array([2, 4, 4]))], "layer/1: shape: found (2, 4, 4)"),
    "conv groups": ([IMAGE, conv(groups=3)], "layer/1: conv groups: found 3"),
    "conv stride": ([IMAGE, conv(stride=(0, 1))], "layer/1: stride: found [0 1]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_netx_cannot_load_is_named(name: str, tmp_path: Path) -> None:
    made, line = REFUSED[name]
    write_blocks(tmp_path / "a.net", made)
    with pytest.raises(HardspikeError) as caught:
        read(tmp_path / "a.net")
    assert line in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def _edit(path: Path, edit: Callable[[Any], Any]) -> None:
    with h5py.File(path, "r+") as file:
        edit(file)


def test_damaged_files_end_in_one_line_each(tmp_path: Path) -> None:
    """Bits flipped and ends cut: a network, or one line; never anything else."""
    random = np.random.default_rng(3)
    path, refused = tmp_path / "a.net", 0
    for index in range(80):
        random_case(path, index % 8)
        data = bytearray(path.read_bytes())
        if index % 4 == 0:
            data = data[: random.integers(len(data))]
        for at in random.integers(0, max(1, len(data)), 1 if index % 2 else 40):
            data[at : at + 1] = bytes([int(random.integers(256))])
        path.write_bytes(bytes(data))
        said = _said(path)
        refused += bool(said)
        assert all(line.startswith(str(path)) for line in said)
    assert refused > 20


def _said(path: Path) -> list[str]:
    try:
        read(path)
    except HardspikeError as error:
        return str(error).splitlines()
    return []


def test_a_link_in_the_place_of_a_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    write_blocks(path, blocks(dense(2, 3)))

    def replace(file: Any) -> None:
        del file["layer/1/weight"]
        file["layer/1/weight"] = h5py.ExternalLink("/etc/passwd", "/")

    _edit(path, replace)
    with pytest.raises(HardspikeError, match="layer/1/weight: found a link elsewhere"):
        read(path)
