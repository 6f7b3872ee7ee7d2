"""`hardspike energy`: the deployed network on a model of Loihi 1, and by published constants.

Only what deploy wrote is read. Both estimates are of the same recordings on the same mapping; their
operations are counted apart, by SANA-FE and in NumPy, and compared.

Axes: `B` recording, `T` time step, `N` neuron.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.files import sha256, write_bytes, write_json
from export.network import FixedPointNetwork
from export.netx_file import read_netx
from hardware.loihi_cost import chip, mapping, published
from hardware.loihi_cost.operations import Operations, operations
from hardware.loihi_cost.simulated import (
    ENERGY_ERROR,
    LATENCY_ERROR,
    PARTS,
    Simulated,
    simulate,
)
from hardware.reference_target import ReferenceTarget
from pipeline.config import Config
from pipeline.data.sources import load_dataset
from pipeline.data.splits import limited
from pipeline.energy.table import FOLDER, JSON, PAGE, markdown
from pipeline.progress import Reporter
from pipeline.run_dir import git_commit, locked, versions
from pipeline.stages import check_current

SCHEMA = "hardspike.energy/1"
FEWEST = 2
LEFT_OUT = (
    "leakage and idle power",
    "the x86 cores and the way onto the chip",
    "loading the network and resetting its state between recordings",
)
"""What neither estimate has."""


def energy(config: Config, run: Path, recordings: int, reporter: Reporter) -> dict[str, Any]:
    """Model the run's deployed network, write `energy/` in the run folder, return the report.

    Raises:
        HardspikeError: too few recordings, a run that is not deployed or out of date, a network
            that does not fit the chip, or SANA-FE not to be had or broken.
    """
    if recordings < FEWEST:
        raise HardspikeError(f"--recordings: found {recordings}, allowed {FEWEST} and more")
    with locked(run):
        check_current("deploy", config, run)
        deployed = run / "deploy"
        network = read_netx(deployed / "model.net")
        placed = mapping.map_network(network)
        layers_BTN = _spikes(config, deployed, recordings, reporter)
        with reporter.bar("operations", "recordings") as progress:
            counted = []
            for one in range(len(layers_BTN[0])):
                counted.append(operations(network, placed, [spikes[one] for spikes in layers_BTN]))
                progress(one + 1, len(layers_BTN[0]))
        with reporter.bar("SANA-FE", "recordings") as progress:
            simulated = simulate(
                network,
                placed,
                layers_BTN[0],
                timeout_s=config.evaluate.loihi.timeout_seconds,
                progress=progress,
                announce=reporter.line,
            )
        report = {
            "schema": SCHEMA,
            "name": config.name,
            "network": {"file": "deploy/model.net", "sha256": sha256(deployed / "model.net")},
            "seed": config.seed,
            **build_report(network, placed, counted, simulated, layers_BTN),
            "versions": versions() | {"sanafe": simulated.versions["sanafe"]},
            "git_commit": git_commit(),
        }
        write_bytes(run / FOLDER / PAGE, markdown(report).encode())
        write_json(run / FOLDER / JSON, report)
    reporter.line(f"energy    {run / FOLDER / PAGE}")
    return report


def _spikes(
    config: Config, deployed: Path, recordings: int, reporter: Reporter
) -> list[NDArray[np.uint8]]:
    """Return the spikes of the input and of every layer, `(B, T, N)`, as the reference has them."""
    with reporter.bar("data", "recordings") as progress:
        test = load_dataset(config.data, "test", progress)
    index_B = limited(test.labels_B, recordings, config.seed)
    spikes_BTCHW = test.spikes_BTCHW[index_B]
    with reporter.bar("reference", "recordings") as progress:
        run = ReferenceTarget().run(deployed, spikes_BTCHW, record_layers=True, progress=progress)
    return [spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1), *run.layers_BTN.values()]


def build_report(
    network: FixedPointNetwork,
    placed: mapping.Mapping,
    counted: Sequence[Operations],
    simulated: Simulated,
    layers_BTN: Sequence[NDArray[np.uint8]],
) -> dict[str, Any]:
    """Return every figure as plain JSON values; joules and seconds are those of one recording."""
    first, second = _simulated_figures(simulated), _published_figures(counted)
    return {
        "recordings": {"split": "test", "n": len(counted)},
        "steps": {"recording": network.steps, "chip": simulated.seconds_BS.shape[1]},
        "mapping": _mapping_figures(placed),
        "operations": {
            key: _spread([one.totals()[key] for one in counted]) for key in counted[0].totals()
        },
        "agreement": _agreement(counted, simulated, layers_BTN),
        "simulated": {
            "label": f"modelled (Loihi 1, SANA-FE {simulated.versions['sanafe']})",
            "source": "Boyle et al., IEEE TCAD 44(8), 2025, doi:10.1109/TCAD.2025.3537971",
            "published_error": {"energy": ENERGY_ERROR, "latency": LATENCY_ERROR},
            **first,
        },
        "published": {
            "label": "modelled (Loihi 1, published constants)",
            "source": "Davies et al., IEEE Micro 38(1), 2018, Table 2",
            "published_error": None,
            **second,
        },
        "factor": {
            quantity: {
                part: _ratio(figure["mean"], second[quantity][part]["mean"])
                for part, figure in first[quantity].items()
                if part in second[quantity]
            }
            for quantity in ("joules", "seconds")
        },
        "left_out": list(LEFT_OUT),
    }


def _simulated_figures(simulated: Simulated) -> dict[str, Any]:
    energy_BP = simulated.energy_BSP.sum(axis=1)
    joules = {part: _spread(energy_BP[:, index]) for index, part in enumerate(PARTS)}
    seconds_B = simulated.seconds_BS.sum(axis=1)
    waiting = simulated.seconds_BS.shape[1] * simulated.sync_s
    return {
        "joules": joules | {"total": _spread(energy_BP.sum(axis=1))},
        "seconds": {
            "computing": _spread(seconds_B - waiting),
            "synchronisation": {"mean": waiting, "sd": 0.0},
            "total": _spread(seconds_B),
        },
    }


def _published_figures(counted: Sequence[Operations]) -> dict[str, Any]:
    estimates = {
        "joules": [published.published_energy(one) for one in counted],
        "seconds": [published.published_seconds(one) for one in counted],
    }
    return {
        quantity: {part: _spread([one[part] for one in each]) for part in each[0]}
        for quantity, each in estimates.items()
    }


def _mapping_figures(placed: mapping.Mapping) -> dict[str, Any]:
    return {
        "cores": len(placed.cores),
        "tiles": placed.tiles,
        "limits": {
            "cores": chip.CORES,
            "compartments": chip.COMPARTMENTS,
            "input_axons": chip.INPUT_AXONS,
            "output_axons": chip.OUTPUT_AXONS,
            "synapse_words": chip.SYNAPSE_WORDS,
        },
        "layers": [_layer_figures(placed, index) for index in range(len(placed.names))],
    }


def _layer_figures(placed: mapping.Mapping, index: int) -> dict[str, Any]:
    """Return what a layer takes: neurons and cores, and the most that one of its cores holds."""
    cores = placed.of_layer(index)
    links = placed.connections[index - 1] if index else None
    return {
        "name": placed.names[index],
        "neurons": len(placed.core_of[index]),
        "cores": len(cores),
        "compartments": max(len(core.neurons_N) for core in cores),
        "input_axons": max(core.input_axons for core in cores),
        "output_axons": max(core.output_axons for core in cores),
        "synapse_words": max(core.synapse_words for core in cores),
        "synapses": None if links is None else len(links.weights_E),
        "format": None if links is None else links.format,
        "weight_bits": None if links is None else links.weight_bits,
    }


def _agreement(
    counted: Sequence[Operations], simulated: Simulated, layers_BTN: Sequence[NDArray[np.uint8]]
) -> dict[str, Any]:
    """Return whether SANA-FE's spikes are the reference's and its counts those made in NumPy.

    `spikes` is the share of equal (recording, step, neuron) by layer. SANA-FE counts a sent input
    spike as an update too.
    """
    totals = [one.totals() for one in counted]
    expected = {key: np.array([each[key] for each in totals]) for key in totals[0]}
    expected["updates"] = expected["active_updates"] + layers_BTN[0].sum(axis=(1, 2))
    return {
        "spikes": [
            float((ours == theirs).mean())
            for ours, theirs in zip(layers_BTN, simulated.layers_BTN, strict=True)
        ],
        "strays": simulated.strays,
        "counts": {
            key: bool((expected[key] == theirs_B).all())
            for key, theirs_B in simulated.counts.items()
        },
    }


def _spread(values: Any) -> dict[str, float]:
    array_B = np.asarray(values, np.float64)
    same = bool((array_B == array_B[0]).all())  # rounding leaves a constant a spread of its own
    return {"mean": float(array_B.mean()), "sd": 0.0 if same else float(array_B.std(ddof=1))}


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None
