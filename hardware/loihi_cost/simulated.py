"""SANA-FE's model of Loihi 1, run on a mapped network in a process of its own.

J. A. Boyle et al., "SANA-FE: Simulating Advanced Neuromorphic Architectures for Fast Exploration",
IEEE TCAD 44(8), 3165–3178, 2025, doi:10.1109/TCAD.2025.3537971: predicts "Loihi's energy and
latency for three real-world applications, within 12% and 25%, respectively". It is GPL-3.0 and
never imported here; `sanafe_worker.py` is what talks to it, in an environment made by uv.

Its neuron is ours where the synaptic current does not last: v ← trunc(v · leak) + Σ w·s + bias,
in units of a weight and rounded to 1/64, a spike above the threshold, then reset to zero. In those
units leak = (4096 − dv)/4096 makes every step exact. What it does not have: a current that is
rounded as it decays (refused, see `mapping`), and currents and membranes of 24 bits that wrap and
clip (the spikes are compared, so that it would show).

Axes: `B` recording, `T` time step, `S` step of the chip, `N` neuron, `P` part of `PARTS`.
"""

import tempfile
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from export.errors import HardspikeError
from export.network import FixedPointNetwork
from hardware.arriving import neuron_bias
from hardware.loihi.process import Worker
from hardware.loihi_cost.mapping import Mapping
from hardware.reference import DECAY_UNITY
from hardware.script_environment import Announce, ScriptEnvironment, announce_on_stderr
from hardware.target import Progress, no_progress

WORKER = Path(__file__).with_name("sanafe_worker.py")
SANAFE = ScriptEnvironment("sanafe", WORKER, "3.11", ("sanafe",), exact=False)
PARTS = ("synapse", "dendrite", "soma", "network")
COUNTS = ("synaptic_operations", "updates", "spikes", "hops")
ENERGY_ERROR, LATENCY_ERROR = 0.12, 0.25
"""Relative errors against measured Loihi that the paper reports."""
PRICES_PJ = {
    "synapse": {"conv": 24.0, "dense": 35.5, "sparse": 33.6},
    "soma": {"access": 51.2, "update": 21.6, "spike": 69.3},
    "network": {"message": 111.0, "column_hop": 3.0, "row_hop": 4.2},
}
"""What its `loihi.yaml` asks, in picojoules: to explain the result, not to compute it."""
_UNITS = {
    "conv": "loihi_conv_synapse",
    "dense": "loihi_dense_synapse",
    "sparse": "loihi_sparse_synapse",
}


@dataclass(frozen=True, eq=False)
class Simulated:
    """What SANA-FE answered. `sync_s` is the barrier of one step, part of its seconds.

    `layers_BTN` holds every layer's spikes in its own T steps, the input first, and
    `strays` counts spikes outside of them.
    """

    energy_BSP: NDArray[np.float64]
    seconds_BS: NDArray[np.float64]
    counts: dict[str, NDArray[np.int64]]
    layers_BTN: tuple[NDArray[np.uint8], ...]
    strays: int
    sync_s: float
    versions: dict[str, str]


def simulate(
    network: FixedPointNetwork,
    mapping: Mapping,
    inputs_BTN: NDArray[np.uint8],
    *,
    timeout_s: float = 900,
    progress: Progress = no_progress,
    announce: Announce = announce_on_stderr,
) -> Simulated:
    """Run every recording; `timeout_s` is for all and excludes making the environment.

    Raises:
        EnvironmentUnavailableError: SANA-FE's environment cannot be had.
        HardspikeError: the worker failed, was killed, or ran out of time; one line.
    """
    interpreter, _ = SANAFE.prepare(announce)
    try:
        with tempfile.TemporaryDirectory(prefix="hardspike-sanafe-") as folder:
            job = _job(Path(folder), network, mapping, inputs_BTN)
            with Worker(interpreter, Path(folder), [job], WORKER) as worker:
                versions, sync_s = _follow(worker, timeout_s, progress)
            return _read(load_file(job["result"]), network.steps, sync_s, versions)
    except OSError as error:
        raise HardspikeError(
            f"sanafe: the exchange with SANA-FE's worker failed ({error}); "
            "the folder for temporary files must be writable and have room"
        ) from error


def _job(
    folder: Path, network: FixedPointNetwork, mapping: Mapping, inputs_BTN: NDArray[np.uint8]
) -> dict[str, Any]:
    """Write the network and its recordings; return the worker's job."""
    arrays: dict[str, NDArray[Any]] = {"inputs": np.ascontiguousarray(inputs_BTN, np.uint8)}
    layers: list[dict[str, Any]] = [{}]
    for index, core_N in enumerate(mapping.core_of):
        arrays[f"{index}.core"] = core_N
    for index, (layer, links) in enumerate(
        zip(network.layers, mapping.connections, strict=True), start=1
    ):
        arrays[f"{index}.bias"] = neuron_bias(layer.synapse, links.targets).astype(np.int64)
        arrays |= {
            f"{index}.sources": links.sources_E,
            f"{index}.targets": links.targets_E,
            f"{index}.weights": links.weights_E,
        }
        layers.append(
            {
                "synapse": _UNITS[links.format],
                "threshold": layer.neuron.threshold,
                "leak_decay": (DECAY_UNITY - layer.neuron.membrane_decay) / DECAY_UNITY,
                "biased": bool(arrays[f"{index}.bias"].any()),
            }
        )
    tensors = folder / "network.safetensors"
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, tensors)
    return {
        "layers": layers,
        "steps": network.steps,
        "tiles": mapping.tiles,
        "tensors": str(tensors),
        "result": str(folder / "result.safetensors"),
    }


def _follow(worker: Worker, timeout_s: float, progress: Progress) -> tuple[dict[str, str], float]:
    """Follow the worker to its result; return its versions and the barrier's seconds."""
    versions: dict[str, str] = {}
    worker.allow(timeout_s)
    try:
        for event in worker.events():
            match event.pop("event"):
                case "started":
                    versions = event["versions"]
                case "progress":
                    progress(event["done"], event["total"])
                case "result":
                    return versions, event["sync_s"]
                case "error":
                    raise HardspikeError(f"sanafe: SANA-FE's worker failed ({event['message']})")
    except TimeoutError as error:
        raise HardspikeError(
            f"sanafe: SANA-FE's worker gave no result within {timeout_s:g} s and was ended; "
            "fewer recordings take less"
        ) from error
    raise HardspikeError(f"sanafe: SANA-FE's worker {worker.failure()}")


def _read(
    arrays: Dictionary[str, NDArray[Any]], steps: int, sync_s: float, versions: dict[str, str]
) -> Simulated:
    raw = [arrays[f"{k}.spikes"] for k in range(sum(key.endswith(".spikes") for key in arrays))]
    layers = tuple(spikes[:, k : k + steps] for k, spikes in enumerate(raw))
    counts = dict(zip(COUNTS, np.moveaxis(arrays["counts"].sum(axis=1), -1, 0), strict=True))
    return Simulated(
        energy_BSP=arrays["energy"],
        seconds_BS=arrays["seconds"],
        counts=counts | {"messages": arrays["messages"]},
        layers_BTN=layers,
        strays=_total(raw) - _total(layers),
        sync_s=sync_s,
        versions=versions,
    )


def _total(layers: Sequence[NDArray[np.uint8]]) -> int:
    return sum(int(spikes.sum()) for spikes in layers)
