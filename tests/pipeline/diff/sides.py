"""Networks that the tests of `hardspike diff` hold against each other, and how they run them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from export.contract_file import write_network
from export.network import LIF, Conv, Dense, FixedPointNetwork, HardSpikeNetwork, Layer, Network
from hardware.loihi.discretize import discretize
from hardware.targets import TargetOptions
from pipeline.diff.measure import compare
from pipeline.diff.pairs import pair_layers
from pipeline.diff.recordings import Recordings, load_recordings
from pipeline.diff.sides import Side, run_side
from pipeline.diff.subject import Subject
from pipeline.progress import Reporter

QUIET = Reporter(quiet=True)
Report = dict[str, Any]


def float_net(bias: bool = True, **rest: Any) -> HardSpikeNetwork:
    """A convolution with a square kernel and two dense layers, all of which fire at times."""
    rng = np.random.default_rng(5)

    def array(*shape: int, gain: float = 1.0) -> Any:
        return (gain * rng.normal(size=shape)).astype(np.float32)

    biases = [array(size, gain=0.05) if bias else None for size in (3, 12, 4)]
    conv = Conv(array(3, 2, 3, 3, gain=0.4), biases[0], (2, 2), (1, 1))
    size = int(np.prod(conv.output_shape((2, 8, 8))))
    layers = (
        Layer("conv", conv, LIF(0.9, 1.0)),
        Layer("hidden", Dense(array(12, size, gain=0.3), biases[1]), LIF(0.9, 1.0)),
        Layer("out", Dense(array(4, 12, gain=0.6), biases[2]), LIF(0.9, 1.0)),
    )
    return HardSpikeNetwork((2, 8, 8), layers, "count", 16, 0.01, **rest)


def fixed_net(bits: int = 8, **rest: Any) -> FixedPointNetwork:
    return discretize(float_net(**rest), bits)


def altered(network: Network[Any], name: str, **fields: Any) -> Network[Any]:
    """Return the network with other fields of one layer, or of its neuron or synapse."""
    layers = []
    for layer in network.layers:
        if layer.name == name:
            own = {key: value for key, value in fields.items() if hasattr(layer, key)}
            rest = {key: value for key, value in fields.items() if key not in own}
            of_neuron = {key: value for key, value in rest.items() if hasattr(layer.neuron, key)}
            of_synapse = {key: value for key, value in rest.items() if key not in of_neuron}
            layer = dataclasses.replace(
                layer,
                neuron=dataclasses.replace(layer.neuron, **of_neuron),
                synapse=dataclasses.replace(layer.synapse, **of_synapse),
            )
            layer = dataclasses.replace(layer, **own)
        layers.append(layer)
    return dataclasses.replace(network, layers=tuple(layers))


def subject_of(network: Network[Any], name: str = "net", target: str = "reference") -> Subject:
    """Return a subject as `load_subject` makes it of a contract file, without the file."""
    path = Path(f"{name}.safetensors")
    return Subject(name, path, path, target, network)


def sides_of(
    a: Network[Any], b: Network[Any], samples: int = 8, seed: int = 0, targets: Any = None
) -> tuple[Side, Side, Recordings]:
    """Run both networks on the same random spikes."""
    names = targets or ("reference", "reference")
    one, other = (
        subject_of(network, name, target)
        for network, name, target in zip((a, b), ("one", "other"), names, strict=True)
    )
    recordings = load_recordings(one, other, None, None, samples, seed, QUIET)
    options = TargetOptions(threads=1)
    sides = [run_side(each, recordings.spikes_BTCHW, options, QUIET) for each in (one, other)]
    return sides[0], sides[1], recordings


def report_of(a: Network[Any], b: Network[Any], **rest: Any) -> Report:
    """Return the report of two networks on random spikes."""
    return compared(*sides_of(a, b, **rest))


def compared(a: Side, b: Side, recordings: Recordings) -> Report:
    pairs, unpaired = pair_layers(a.subject.network, b.subject.network)
    return compare(a, b, pairs, unpaired, recordings)


def kinds(report: Report) -> list[str]:
    return [cause["kind"] for cause in report["causes"]]


def written(network: Network[Any], path: Path) -> Path:
    write_network(network, path)
    return path
