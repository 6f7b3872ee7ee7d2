"""The train stage of an imported network: nothing is trained, the network is read and kept."""

import math
from dataclasses import replace
from pathlib import Path

from export.contract_file import read_fixed_network, read_float_network, write_network
from export.errors import HardspikeError
from export.files import write_json
from export.network import FixedPointNetwork, HardSpikeNetwork, Network, NeuronT
from pipeline.config import Config
from pipeline.imported.reading import imported_network
from pipeline.progress import Reporter
from pipeline.training.history_files import write_history

NETWORK, INTEGERS, COST = "network.float.safetensors", "network.fixed.safetensors", "cost.json"


def import_stage(config: Config, folder: Path, reporter: Reporter) -> list[str]:
    """Write the imported network, a cost of nothing and an empty history; return their names.

    Raises:
        HardspikeError: as `pipeline.imported.reading.imported_network`.
    """
    found = imported_network(config)
    network, name = found.network, NETWORK if found.float_network else INTEGERS
    for other in {NETWORK, INTEGERS} - {name}:
        (folder / other).unlink(missing_ok=True)  # of another file before
    write_network(network, folder / name)
    write_json(folder / COST, _cost())
    layers = ", ".join(layer.name for layer in network.layers)
    reporter.line(f"import    {len(network.layers)} layers ({layers}), readout {network.readout}")
    for node, says in ({} if found.graph is None else found.graph.apart).items():
        reporter.line(f"import    {node} differs from its toolkit: {says}")
    return [name, COST, *write_history([], folder, tensorboard=False)]


def _cost() -> dict[str, object]:
    """Return the figures of a training that was none here."""
    return {
        "method": "imported",
        "device": "cpu",
        "threads": 1,
        "seconds": 0.0,
        "samples_per_second": 0.0,
        "gradient_evaluations": 0,
        "peak_memory_bytes": 0,
        "flops": None,
        "joules": "not trained here",
        "energy_counter": None,
        "epochs": 0,
        "best_epoch": 0,
    }


def load_imported(folder: Path, classes: tuple[str, ...]) -> HardSpikeNetwork:
    """Return the float network that the stage wrote, its outputs named by the recordings' classes.

    Raises:
        HardspikeError: the file is damaged, or the network has another number of outputs.
    """
    return _with_classes(read_float_network(folder / NETWORK), classes)


def load_integers(folder: Path, classes: tuple[str, ...]) -> FixedPointNetwork | None:
    """Return the network in integers that the stage wrote; None where it wrote a float one.

    Raises:
        HardspikeError: as `load_imported`.
    """
    if not (folder / INTEGERS).exists():
        return None
    return _with_classes(read_fixed_network(folder / INTEGERS), classes)


def _with_classes(network: Network[NeuronT], classes: tuple[str, ...]) -> Network[NeuronT]:
    outputs = math.prod(network.shapes[-1])
    if classes and len(classes) != outputs:
        raise HardspikeError(
            f"network: has {outputs} outputs, the recordings have {len(classes)} classes; "
            "allowed are as many"
        )
    return replace(network, classes=classes or network.classes)
