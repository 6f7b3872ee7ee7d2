"""Files that lava-dl 0.6.0 writes itself (`export_hdf5` of its CUBA blocks), as netx runs them.

What counts is what `lava.lib.dl.netx.hdf5.Network` makes of a file on Lava's CPU models, to the
bit; docs/netx.md has each fact with its source. Where that differs from what SLAYER trained, a note
says so; what netx cannot load is refused by name.

    input, no neuron   sets the input's shape, (C,) or (C, H, W)
    input, neuron      a layer: netx leaves it to the user to write weight·x + bias into the
                       neuron's bias; here a convolution of 1×1 a channel without synaptic current
    dense              its delays (one a neuron) hold up what the neuron takes, not what it sends
    dense_rec          the same with the layer's own spikes of the step before
    conv               delays are ignored by netx
    flatten            (C, H, W) to a vector in that order
"""

from pathlib import Path

import numpy as np

from export.errors import HardspikeError
from export.hdf5_guard import NETX_BYTES, open_guarded
from export.network import FixedPointNetwork, Readout
from export.registers import BIAS, register_faults
from hardware.loihi.netx_blocks import Blocks, NetxFile


def read_lava_netx(
    path: Path,
    *,
    steps: int,
    dt: float,
    readout: Readout,
    input_shape: tuple[int, int, int] | None = None,
    classes: tuple[str, ...] = (),
    input_max: int = 1,
) -> FixedPointNetwork:
    """Read a file of lava-dl's as a fixed-point network; the arguments are what it does not say.

    Layers are named by their type and group, as `dense2`. The network runs as netx runs the file,
    spikes, currents and membranes equal to the bit; `inspect_lava_netx` says where that is not what
    SLAYER trained.

    Raises:
        HardspikeError: as `inspect_lava_netx`; a number overruns its register, or an input block's
            neuron its bias at `input_max`.
    """
    found = inspect_lava_netx(path, input_shape)
    try:
        _check_input_block(found, input_max)
        network = FixedPointNetwork(
            found.input_shape, found.layers, readout, steps, dt, classes, input_max
        )
    except HardspikeError as error:
        raise HardspikeError(*(f"{path}: {line}" for line in str(error).splitlines())) from error
    faults = list(register_faults(network))
    if faults:
        raise HardspikeError(*(f"{path}: {fault}" for fault in faults))
    return network


def inspect_lava_netx(
    path: Path,
    input_shape: tuple[int, int, int] | None = None,
    limit_bytes: int = NETX_BYTES,
) -> NetxFile:
    """Read the layers of a file of lava-dl's, with notes; `input_shape` where it has no input.

    Raises:
        HardspikeError: the file is absent, damaged or hostile (`export.hdf5_guard`), or netx cannot
            load it. One line that names the file and the group.
    """
    with open_guarded(path, limit_bytes) as file:
        return Blocks(file, input_shape).read()


def _check_input_block(found: NetxFile, input_max: int) -> None:
    first = found.layers[0]
    if not first.name.startswith("input"):
        return
    bias = 0 if first.synapse.bias_O is None else first.synapse.bias_O
    ends = [np.asarray(bias), np.asarray(bias) + first.synapse.weight.ravel() * input_max]
    fault = BIAS.fault(np.concatenate([np.ravel(end) for end in ends]))
    if fault is not None:
        raise HardspikeError(
            f"layer {first.name}: weight·input + bias, a bias mantissa in netx: {fault}"
        )
