# /// script
# requires-python = ">=3.11,<3.14"
# dependencies = ["sanafe==2.2.9", "numpy==2.4.6", "safetensors==0.8.0"]
# ///
"""Runs a mapped network on SANA-FE's model of Loihi 1, in an environment of its own.

    python sanafe_worker.py FOLDER

SANA-FE is GPL-3.0: it is imported here alone, and files are all that passes. FOLDER holds
`jobs.json`: {"jobs": [{"layers", "steps", "tiles", "tensors", "result"}]}. `layers` has one object
a layer, the input first: {} for it, {"synapse", "threshold", "leak_decay", "biased"} for the
others. `tensors` is a safetensors file with `inputs` (B, T, N) and, by layer, `<k>.core` (N),
`<k>.bias` (N), and `<k>.sources`, `<k>.targets`, `<k>.weights` (E) of the synapses that end in it.
`result` becomes one with `<k>.spikes` (B, S, N), `energy` (B, S, 4) in joules as in `PARTS`,
`seconds` (B, S), `counts` (B, S, 4) as in `COUNTS`, and `messages` (B). Standard output carries one
JSON object a line; everything else that is printed goes to standard error.

A spike meets the next layer a step later, so layer k of L runs k steps behind the input and a
recording of T steps takes S = T + L. A bias is there in the T steps of its layer alone.

Axes: `B` recording, `T` step of it, `S` step of the chip, `N` neuron, `E` synapse.
"""

import importlib.metadata
import itertools
import json
import os
import re
import sys
import threading
import traceback
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import sanafe
from safetensors.numpy import load_file, save_file

PARTS = ("synapse", "dendrite", "soma", "network")
COUNTS = ("spikes", "updated", "fired", "hops")
_INPUTS = re.compile(r"(loihi_inputs\[0\.\.)1023\]")
_SYNC = re.compile(r"^\s*latency_sync:\s*\{(.+)\}\s*$", re.MULTILINE)


class Channel:
    """Standard output as it was at the start, one JSON object a line; the rest goes to the log."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def send(self, event: str, **fields: Any) -> None:
        """Write one line in one piece."""
        os.write(self._fd, (json.dumps({"event": event, **fields}) + "\n").encode())


def end_with_parent() -> None:
    """End this process when the one that holds its standard input open is gone."""

    def wait() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def description() -> str:
    """Return SANA-FE's own description of Loihi 1."""
    return (files("sanafe.examples") / "loihi.yaml").read_text()


def architecture(inputs: int, folder: Path) -> Any:
    """Return the architecture with `inputs` units on a core that send recorded spikes.

    SANA-FE has 1,024 on each of 128 cores. They cost no energy and no time, but two gigabytes.
    """
    text, changed = _INPUTS.subn(rf"\g<1>{max(inputs, 2) - 1}]", description())
    if changed != 1:
        raise RuntimeError(f"loihi.yaml: found {changed} ranges of input units, allowed one")
    path = folder / "loihi.yaml"
    path.write_text(text)
    return sanafe.load_arch(path)


def sync_seconds(tiles: int) -> float:
    """Return what the description says a barrier over `tiles` tiles takes."""
    pairs = [pair.split(":") for pair in _SYNC.findall(description())[0].split(",")]
    table = {int(size): float(seconds) for size, seconds in pairs}
    return table[max(size for size in table if size <= tiles)]


class MappedChip:
    """The network on the chip, ready for one recording after another."""

    def __init__(self, job: dict[str, Any], arrays: dict[str, Any]) -> None:
        layers = self._layers = job["layers"]
        self._arrays, self._steps = arrays, job["steps"]
        self._total = self._steps + len(layers) - 1
        most = int(np.bincount(arrays["0.core"]).max())
        loihi = architecture(most, Path(job["tensors"]).parent)
        network, cores = sanafe.Network(), loihi.cores()
        groups = [self._group(network, cores, index) for index in range(len(layers))]
        for index in range(1, len(layers)):
            ends = (arrays[f"{index}.{end}"].tolist() for end in ("sources", "targets"))
            weights = arrays[f"{index}.weights"].tolist()
            groups[index - 1].connect_neurons_sparse(
                groups[index], {"weight": weights}, list(zip(*ends, strict=True))
            )
        self._chip = sanafe.SpikingChip(loihi)
        self._chip.load(network)
        mapped = self._chip.mapped_neuron_groups
        self._neurons = [mapped[str(index)] for index in range(len(layers))]

    def _group(self, network: Any, cores: Any, index: int) -> Any:
        layer, core_of = self._layers[index], self._arrays[f"{index}.core"].tolist()
        options: dict[str, Any] = {"default_dendrite_hw_name": "loihi_dendrites"}
        if index:
            options |= {
                "model_attributes": {key: layer[key] for key in ("threshold", "leak_decay")},
                "default_synapse_hw_name": layer["synapse"],
                "soma_hw_name": "loihi_lif",
            }
        group = network.create_neuron_group(str(index), len(core_of), log_spikes=True, **options)
        taken: dict[int, int] = {}
        for neuron, core in zip(group, core_of, strict=True):
            if not index:
                place = taken[core] = taken.get(core, -1) + 1
                neuron.set_attributes(soma_hw_name=f"loihi_inputs[{place}]")
            neuron.map_to_core(cores[core])
        return group

    def run(self, inputs_TN: Any) -> dict[str, Any]:
        """Run one recording from rest; return its results, step by step."""
        for index in np.flatnonzero(inputs_TN.any(axis=0)).tolist():
            train = inputs_TN[:, index].astype(int).tolist()
            self._neurons[0][index].set_attributes(model_attributes={"spikes": train})
        found: dict[str, list[Any]] = {"spikes": [], "perf": [], "messages": []}
        turns = sorted({0, self._total, *self._bias_turns()})
        for start, end in itertools.pairwise(turns):
            self._set_biases(start)
            part = self._chip.sim(
                end - start, spike_trace=True, perf_trace=True, processing_threads=1
            )
            found["spikes"] += part["spike_trace"]
            found["perf"].append(part["perf_trace"])
            found["messages"].append(part["packets_sent"])
        self._chip.reset()
        return self._gathered(found)

    def _bias_turns(self) -> list[int]:
        """Return the chip's steps at which a layer's bias begins or ends."""
        biased = [index for index, layer in enumerate(self._layers) if layer.get("biased")]
        return [index + shift for index in biased for shift in (0, self._steps)]

    def _set_biases(self, step: int) -> None:
        for index, layer in enumerate(self._layers):
            if layer.get("biased") and step in (0, index, index + self._steps):
                bias_N = self._arrays[f"{index}.bias"] * (step == index)
                for neuron, bias in zip(self._neurons[index], bias_N.tolist(), strict=True):
                    neuron.set_attributes(model_attributes={"bias": bias})

    def _gathered(self, found: dict[str, list[Any]]) -> dict[str, Any]:
        def rows(key: str) -> list[Any]:
            return [value for part in found["perf"] for value in part[key]]

        result = {
            "energy": np.array([rows(f"{part}_energy") for part in PARTS]).T,
            "seconds": np.array(rows("sim_time")),
            "counts": np.array([rows(count) for count in COUNTS], np.int64).T,
            "messages": np.array(sum(found["messages"])),
        }
        for index, neurons in enumerate(self._neurons):
            result[f"{index}.spikes"] = np.zeros((self._total, len(neurons)), np.uint8)
        for step, fired in enumerate(found["spikes"]):
            for address in fired:
                result[f"{address.group_name}.spikes"][step, address.neuron_offset] = 1
        return result


def work(job: dict[str, Any], channel: Channel) -> None:
    """Run every recording of the job and write its result."""
    packages = {name: importlib.metadata.version(name) for name in ("sanafe", "numpy")}
    python = ".".join(map(str, sys.version_info[:3]))
    channel.send("started", versions={"python": python, **packages})
    arrays = load_file(job["tensors"])
    inputs_BTN = arrays.pop("inputs")
    chip = MappedChip(job, arrays)
    results = []
    for done, inputs_TN in enumerate(inputs_BTN, start=1):
        results.append(chip.run(inputs_TN))
        channel.send("progress", done=done, total=len(inputs_BTN))
    stacked = {key: np.stack([result[key] for result in results]) for key in results[0]}
    contiguous = {key: np.ascontiguousarray(array) for key, array in stacked.items()}
    save_file(contiguous, job["result"])
    channel.send("result", sync_s=sync_seconds(job["tiles"]))


def main() -> None:
    """Do what `jobs.json` in the folder named by the first argument says."""
    channel = Channel()
    end_with_parent()
    status = 0
    try:
        (job,) = json.loads((Path(sys.argv[1]) / "jobs.json").read_text())["jobs"]
        work(job, channel)
    except BaseException as error:
        traceback.print_exc()
        channel.send("error", message=" ".join(f"{type(error).__name__}: {error}".split()))
        status = 1
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
