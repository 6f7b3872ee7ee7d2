"""A file from elsewhere and a config, or options of the command line, to the contract's network."""

from dataclasses import dataclass, replace
from pathlib import Path

from export.errors import HardspikeError
from export.files import sha256
from export.imported.reading import ImportedGraph, Options, import_nir
from export.network import FixedPointNetwork, HardSpikeNetwork, LoihiLIF
from export.netx_reader import read_approximates, read_netx
from export.onnx_network import read_onnx_network
from hardware.loihi.netx_import import read_lava_netx
from pipeline.config import Config, Imported
from pipeline.data.events import COUNT_MAX
from pipeline.data.settings import DataSettings, NoRecordings, shape_TCHW, step_ms
from pipeline.imported.formats import format_of, is_ours

_SECONDS_CLOSE = 1e-6
"""Relative: how far a file's dt may lie from the recordings' step, which is whole microseconds."""

ONNX_BYTES = 16 << 20
"""Of an ONNX file to import, whose weights of 8 bits are looked at in 64."""

MOST_STEPS = 1_000_000


@dataclass(frozen=True, eq=False)
class ImportedNetwork:
    """What a file holds: a float network, or one in Loihi's integers; `graph` where it was NIR."""

    float_network: HardSpikeNetwork | None
    fixed_network: FixedPointNetwork | None = None
    graph: ImportedGraph | None = None

    @property
    def network(self) -> HardSpikeNetwork | FixedPointNetwork:
        """Whichever it is."""
        found = self.float_network or self.fixed_network
        assert found is not None
        return found


def import_network(path: Path, options: Options) -> ImportedNetwork:
    """Read a network from a NIR file, or one in Loihi's integers from a netx or ONNX file.

    Raises:
        HardspikeError: the file is of another format, cannot be read, leaves something open that
            matters, or holds what the contract has no place for. One line.
    """
    match format_of(path):
        case "nir":
            graph = import_nir(path, options)
            return ImportedNetwork(graph.lowered.network, graph=graph)
        case "netx":
            return ImportedNetwork(None, _netx(path, options))
        case "onnx":
            return ImportedNetwork(None, _onnx(path, options))


def _onnx(path: Path, options: Options) -> FixedPointNetwork:
    """Read an ONNX file that hardspike wrote; it says all that matters."""
    _check_steps_of_its_own(path, options, "ONNX")
    network = read_onnx_network(path, ONNX_BYTES)
    _check_said(path, network, options)
    return network


def _check_steps_of_its_own(path: Path, options: Options, kind: str) -> None:
    if options.toolkit is not None or options.settings:
        raise HardspikeError(f"{path}: --from: found one, and {kind} files are read as they are")
    for name in ("dt", "reset", "refractory"):
        if getattr(options, name) is not None:
            raise HardspikeError(f"{path}: --{name}: found one, and {kind} has a step of its own")


def _check_said(path: Path, network: FixedPointNetwork, options: Options) -> None:
    """Hold what the user says to a file that says it too, and its steps to their limit."""
    if network.steps > MOST_STEPS:
        raise HardspikeError(f"{path}: steps: found {network.steps}, allowed up to {MOST_STEPS}")
    if options.input_max is not None and options.input_max > network.input_max:
        raise HardspikeError(
            f"{path}: input_max: found {network.input_max} in the file and {options.input_max} "
            "given, allowed up to the file's"
        )
    said = {
        "steps": network.steps,
        "readout": network.readout,
        "input_shape": network.input_shape,
    }
    for name, value in said.items():
        if getattr(options, name) not in (None, value):
            raise HardspikeError(
                f"{path}: {name}: found {value} in the file and {getattr(options, name)} given"
            )


def _netx(path: Path, options: Options) -> FixedPointNetwork:
    """Read a netx file: ours says all that matters, lava-dl's leaves steps, dt and readout open."""
    _check_steps_of_its_own(path, options, "netx")
    if is_ours(path):
        approximates = read_approximates(path)
        if approximates:
            raise HardspikeError(
                f"{path}: only approximates a network ({', '.join(approximates)}); allowed is the "
                "network's own file, model.net beside it"
            )
        network = read_netx(path)
        _check_said(path, network, options)
        return network
    for name in ("steps", "readout"):
        if getattr(options, name) is None:
            raise HardspikeError(f"{path}: {name}: the file does not say it; give --{name}")
    assert options.steps is not None
    assert options.readout is not None
    return read_lava_netx(
        path,
        steps=options.steps,
        dt=options.seconds or 1.0,
        readout=options.readout,
        input_shape=options.input_shape,
        input_max=options.input_max or 1,
    )


def imported_network(config: Config) -> ImportedNetwork:
    """Return the network of a run's config, held to its recordings.

    Raises:
        HardspikeError: the file is absent, is another than was imported, or does not fit the
            recordings.
    """
    wanted = config.train
    assert isinstance(wanted, Imported)
    path = Path(wanted.file)
    if sha256(path) != wanted.sha256:
        raise HardspikeError(
            f"{path}: is another file than was imported (its SHA-256 differs from "
            "train.sha256); import it anew"
        )
    found = import_network(path, options_of(config.data, wanted))
    if not isinstance(config.data.source, NoRecordings):
        _check_recordings(found.network, config.data, wanted)
    return found


def options_of(data: DataSettings, wanted: Imported) -> Options:
    """Return what the config says of the file."""
    options = recordings_options(data)
    return replace(
        options,
        dt=wanted.dt,
        reset=wanted.reset,
        readout=wanted.readout,
        input_shape=wanted.input_shape or options.input_shape,
        refractory=wanted.refractory,
        toolkit=wanted.toolkit,
        settings=wanted.settings,
    )


def recordings_options(data: DataSettings) -> Options:
    """Return what recordings say of any network that takes them."""
    options = Options(steps=data.binning.steps, seconds=step_ms(data) / 1000)
    if isinstance(data.source, NoRecordings):
        return options
    channels, height, width = shape_TCHW(data)[1:]
    counts = data.binning.mode == "count"
    return replace(
        options, input_shape=(channels, height, width), input_max=COUNT_MAX if counts else 1
    )


def _check_recordings(
    network: HardSpikeNetwork | FixedPointNetwork, data: DataSettings, wanted: Imported
) -> None:
    shape = shape_TCHW(data)[1:]
    if network.input_shape != shape:
        raise HardspikeError(
            f"{wanted.file}: takes an input of {network.input_shape}, the recordings have {shape}; "
            "allowed are equal ones"
        )
    seconds = step_ms(data) / 1000
    integers = isinstance(network.layers[0].neuron, LoihiLIF)
    if wanted.dt is None and not integers and abs(network.dt - seconds) > _SECONDS_CLOSE * seconds:
        raise HardspikeError(
            f"{wanted.file}: takes steps of {network.dt:g} s, the recordings' bins are "
            f"{seconds:g} s; allowed are equal ones"
        )
