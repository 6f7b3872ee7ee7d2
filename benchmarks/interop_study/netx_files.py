"""Random netx files, dataset by dataset as lava-dl 0.6.0 writes them.

Follows `export_hdf5` of the CUBA blocks (`lava/lib/dl/slayer/block/base.py` and `cuba.py`) and
`device_params` of their neuron (`slayer/neuron/cuba.py`): weights and biases are float32 of even
integers (`quantize_8bit`), delays floors of float32, a neuron's type is text of any length, its
graded spike a bool; decays are one number, or one a channel where `shared_param` is False.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `O` output, `I` input.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from export.network import READOUTS, Conv, Readout

Random = np.random.Generator
Block = dict[str, Any]
AFFINE_THRESHOLD = (1 << 18) - 1


@dataclass(frozen=True, eq=False)
class NetxCase:
    """A file, recordings for it, and what the file does not say."""

    path: Path
    spikes_BTCHW: NDArray[np.uint8]
    readout: Readout
    steps: int
    input_max: int
    kinds: tuple[str, ...]
    """Type and extras of every block with neurons, as `dense_rec+delay`."""


def write_blocks(path: Path, blocks: list[Block]) -> None:
    """Write blocks as lava-dl does: a group each in `layer`, a neuron's fields in `neuron`."""
    with h5py.File(path, "w") as file:
        for index, block in enumerate(blocks):
            group = file.create_group(f"layer/{index}")
            kind = [block["type"].encode("ascii", "ignore")]
            group.create_dataset("type", (1,), "S10", kind)
            for key, value in block.items():
                if key == "neuron":
                    for name, number in value.items():
                        group.create_dataset(f"neuron/{name}", data=number)
                elif key != "type":
                    group.create_dataset(key, data=value)


def random_case(path: Path, seed: int) -> NetxCase:
    """Write a random file to `path`; the same seed gives the same network and recordings."""
    random = np.random.default_rng([1990, seed])
    is_image = bool(random.random() < 0.5)
    shape: tuple[int, ...] = (int(random.integers(2, 20)),)
    if is_image:
        shape = (2 * int(random.integers(1, 3)), *(int(size) for size in random.integers(4, 8, 2)))
    given, blocks, driven = shape, [_input(random, shape)], False
    driven = "neuron" in blocks[0]
    if is_image:
        for _ in range(int(random.integers(1, 3))):
            block, shape = _conv(random, shape)
            blocks.append(block)
        blocks.append({"type": "flatten", "shape": np.array([int(np.prod(shape)), 1, 1])})
        shape = (int(np.prod(shape)),)
    for _ in range(int(random.integers(1, 4))):
        block, shape = _dense(random, shape)
        blocks.append(block)
    if random.random() < 0.1:
        blocks.append(_affine(random, shape))
    write_blocks(path, blocks)
    full = given if is_image else (given[0], 1, 1)
    # An input block's neuron takes weight·x as a bias mantissa of 13 bits.
    largest = 1 if driven else int(random.choice([1, 1, 3]))
    steps, batch = int(random.integers(2, 14)), int(random.integers(2, 4))
    counts = random.integers(1, largest + 1, (batch, steps, *full))
    density = random.choice([0.1, 0.4, 0.9])
    spikes = (counts * (random.random(counts.shape) < density)).astype(np.uint8)
    kinds = tuple(_kind(block) for block in blocks if "weight" in block or "neuron" in block)
    return NetxCase(path, spikes, READOUTS[random.integers(2)], steps, largest, kinds)


def _kind(block: Block) -> str:
    neuron = block.get("neuron", {})
    extras = {
        "bias": "bias" in block and block["type"] != "input",
        "delay": "delay" in block,
        "current": int(np.min(neuron.get("iDecay", 4096))) != 4096,
        "own decays": np.ndim(neuron.get("iDecay", 0)) == 1,
        "groups": block.get("groups", 1) != 1,
        "dilation": tuple(block.get("dilation", (1, 1))) != (1, 1),
    }
    return "+".join([block["type"], *(name for name, there in extras.items() if there)])


def _input(random: Random, shape: tuple[int, ...]) -> Block:
    block: Block = {"type": "input", "shape": np.array(shape)}
    if random.random() < 0.25:
        block["neuron"] = _neuron(random, shape[0])
        if random.random() < 0.7:
            block["weight"] = _even(random, (1,), 254)
            block["bias"] = _even(random, (1,), 60)
    return block


def _neuron(random: Random, channels: int) -> Block:
    """Draw `device_params`: decays at both ends of their range too, one a channel at times."""

    def decay(usual: int) -> Any:
        anywhere = random.integers(0, 4097)
        some = [4096, 0, int(anywhere), int(random.integers(1, usual))]
        one = random.choice(some, p=[0.3, 0.1, 0.2, 0.4])
        if random.random() < 0.2 and channels > 1:
            return random.integers(0, 4097, channels)
        return np.int64(one)

    return {
        "type": "CUBA",
        "iDecay": decay(2000),
        "vDecay": decay(800),
        "vThMant": int(random.choice([random.integers(1, 40), random.integers(1, 200)])),
        "refDelay": 1,
        "gradedSpike": False,
    }


def _even(random: Random, shape: tuple[int, ...], largest: int) -> NDArray[np.float32]:
    """Draw what `quantize_8bit` leaves: even numbers, of one sign at times."""
    low, high = [(-256, 254), (-largest // 2, largest), (2, largest), (-largest, -2)][
        random.choice(4, p=[0.1, 0.7, 0.17, 0.03])
    ]
    return (2 * random.integers(low // 2, high // 2 + 1, shape)).astype(np.float32)


def _rest(random: Random, block: Block, channels: int, delays: int) -> None:
    """Add bias (of a batch norm), delay and neuron in the order of lava-dl."""
    if random.random() < 0.5:
        block["bias"] = _even(random, (channels,), 100)
    if random.random() < 0.4:
        block["delay"] = np.floor(random.random(delays) * random.choice([2, 6, 63])).astype(
            np.float32
        )
    block["neuron"] = _neuron(random, channels)
    if "bias" in block and random.random() < 0.1:
        block["neuron"]["weight_exp"] = np.array([1.0], np.float32)


def _dense(random: Random, given: tuple[int, ...]) -> tuple[Block, tuple[int, ...]]:
    inputs, outputs = given[0], int(random.integers(2, 12))
    recurs = random.random() < 0.4
    delayed = recurs and random.random() < 0.3
    if delayed:
        outputs = inputs if inputs < 40 else outputs  # netx loads no other
    block: Block = {
        "type": "dense_rec" if recurs else "dense",
        "shape": np.array([outputs]),
        "inFeatures": inputs,
        "outFeatures": outputs,
        "weight": _dense_weight(random, outputs, inputs),
    }
    if recurs:
        block["weight_rec"] = _dense_weight(random, outputs, outputs)
    _rest(random, block, outputs, outputs)
    if recurs and (not delayed or inputs != outputs):
        block.pop("delay", None)
    return block, (outputs,)


def _dense_weight(random: Random, outputs: int, inputs: int) -> NDArray[np.float32]:
    weight = _even(random, (outputs, inputs), int(random.choice([6, 40, 200])))
    if not weight.any():
        weight[0, 0] = 2  # netx divides by zero where all are
    return weight


def _conv(random: Random, given: tuple[int, ...]) -> tuple[Block, tuple[int, ...]]:
    groups = int(random.choice([1, 1, 2]))
    outputs = groups * int(random.integers(1, 4))
    padding = tuple(int(size) for size in random.integers(0, 3, 2))
    dilation = tuple(int(size) for size in random.integers(1, 3, 2))
    room = [
        (size + 2 * pad - 1) // gap + 1
        for size, pad, gap in zip(given[1:], padding, dilation, strict=True)
    ]
    kernel = tuple(int(random.integers(1, min(3, most) + 1)) for most in room)
    stride = tuple(int(size) for size in random.integers(1, 3, 2))
    weight = _even(random, (outputs, given[0] // groups, *kernel), 60)
    shape = Conv(
        weight, None, (stride[0], stride[1]), (padding[0], padding[1]), (dilation[0], dilation[1]),
        groups,
    ).output_shape(given)  # fmt: skip
    block: Block = {
        "type": "conv",
        "shape": np.array(shape),
        "inChannels": given[0],
        "outChannels": outputs,
        "kernelSize": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "weight": weight,
    }
    _rest(random, block, outputs, outputs)
    # lava-dl trains a convolution of even channels before one of two groups.
    return block, shape if shape[0] % 2 == 0 else _evened(block, shape)


def _evened(block: Block, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Double the output channels, so that any layer behind may have two groups."""
    for key in ("weight", "bias", "delay"):
        if key in block:
            block[key] = np.concatenate([block[key]] * 2)
    for key in ("iDecay", "vDecay"):
        if np.ndim(block["neuron"][key]):
            block["neuron"][key] = np.concatenate([block["neuron"][key]] * 2)
    doubled = (2 * shape[0], *shape[1:])
    block["shape"], block["outChannels"] = np.array(doubled), doubled[0]
    return doubled


def _affine(random: Random, given: tuple[int, ...]) -> Block:
    """An affine block: a dense layer that never fires, or one without a neuron."""
    outputs = int(random.integers(2, 6))
    block: Block = {
        "type": "dense",
        "shape": np.array([outputs]),
        "inFeatures": given[0],
        "outFeatures": outputs,
        "weight": _dense_weight(random, outputs, given[0]),
    }
    if random.random() < 0.7:
        block["neuron"] = _neuron(random, outputs) | {"vThMant": AFFINE_THRESHOLD}
    return block
