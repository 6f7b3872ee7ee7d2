"""Batch-1 latency of a run's sequence file against the same hard float network in torch eager.

    python -m benchmarks.latency runs/quickstart [--recordings 40] [--json FILE]

Three ways to classify one recording, interleaved in one process on the same recordings:

    onnxruntime      `model.sequence.onnx`: the fixed-point network, all steps in one call
    torch eager      the hard float network a step at a time: synapses, then the neuron's equation
    torch batched    the same with the synapses of all steps as one product, as training runs it

Medians and 95th percentiles of wall time after a warm-up, for one thread and for all cores; how
they are timed is `pipeline.latency.timing`, and `hardspike latency` says more of the file. Each
measurement runs in a process of its own, because torch's thread count is set once.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from export.contract_file import read_float_network
from export.errors import EXIT_STATUS, HardspikeError
from export.files import write_json
from export.network import Conv, HardSpikeNetwork, Synapse
from hardware.target import available_cores, no_progress
from pipeline.data.sources import load_dataset
from pipeline.latency.machine import load_average, machine
from pipeline.latency.timing import Call, in_turn, summary
from pipeline.latency.ways import network_call
from pipeline.run_dir import StageFolder
from pipeline.stages import load_run
from pipeline.train import load_trained

_ROUNDS, _SAME = 5, 0.97
_TIMES = "one recording at a time, milliseconds"


def measure(run: Path, recordings: int, threads: int) -> dict[str, Any]:
    """Return p50 and p95 in milliseconds of each way, and the ratios of the medians."""
    torch.set_num_threads(threads)
    config = load_run(run)
    for stage in ("train", "convert", "deploy"):
        StageFolder(run, stage).verify()
    test = load_dataset(config.data, "test")
    spikes = test.spikes_BTCHW[:recordings]
    contract = read_float_network(run / "convert" / "network.float.safetensors")
    trained, activation = load_trained(config, test, run / "train")
    hard = type(activation)(activation.surrogate, activation.slope, "hard")
    eager = Eager(contract)

    def one(index: int) -> Tensor:
        return torch.from_numpy(spikes[index : index + 1]).float()

    ways: dict[str, Call] = {
        "onnxruntime": network_call(run / "deploy", spikes, threads),
        "torch eager": lambda index: eager(one(index)),
        "torch batched": lambda index: trained(one(index).transpose(0, 1), hard),
    }
    _check_same(eager, trained, hard, spikes)
    with torch.inference_mode():
        times = in_turn(ways, len(spikes), _ROUNDS * len(spikes), len(spikes), no_progress)
    found = {name: summary(values) for name, values in times.items()}
    medians = {name: entry["p50_ms"] for name, entry in found.items()}
    return {
        "threads": threads,
        "calls": _ROUNDS * len(spikes),
        "p50_ms": medians,
        "p95_ms": {name: entry["p95_ms"] for name, entry in found.items()},
        "min_ms": {name: entry["min_ms"] for name, entry in found.items()},
        "times_faster_than": {
            name: medians[name] / medians["onnxruntime"] for name in ways if name != "onnxruntime"
        },
        "ort_over_torch_eager": medians["torch eager"] / medians["onnxruntime"],
    }


def _check_same(eager: "Eager", trained: Any, hard: Any, spikes: Any) -> None:
    """Refuse to compare networks that do not decide alike (but for ties of rounding)."""
    with torch.inference_mode():
        inputs = torch.from_numpy(spikes).float()
        outputs = eager(inputs)
        evidence = outputs.sum(1) if eager.network.readout == "count" else outputs[:, -1]
        one = evidence.argmax(1)
        other = trained(inputs.transpose(0, 1), hard).argmax(1)
    share = float((one == other).float().mean())
    if share < _SAME:
        raise HardspikeError(
            f"latency: the two torch networks decide alike on {share:.3f} of the recordings, "
            f"allowed from {_SAME}"
        )


class Eager:
    """The hard float network, a time step at a time in torch; the state lies between the steps."""

    def __init__(self, network: HardSpikeNetwork) -> None:
        self.network = network
        self.tensors = [
            (
                torch.from_numpy(layer.synapse.weight),
                None if layer.synapse.bias_O is None else torch.from_numpy(layer.synapse.bias_O),
            )
            for layer in network.layers
        ]

    def __call__(self, spikes_BTCHW: Tensor) -> Tensor:
        """Return the last layer's spikes, or membrane, at every step, `(B, T, N)`."""
        kept: list[Tensor | float] = [0.0] * len(self.network.layers)
        outputs = []
        for step in range(spikes_BTCHW.shape[1]):
            x = spikes_BTCHW[:, step]
            for index, layer in enumerate(self.network.layers):
                drive = self._drive(layer.synapse, self.tensors[index], x)
                u = drive + layer.neuron.decay * kept[index]
                x = (u > layer.neuron.threshold).to(u.dtype)
                kept[index] = u * (1 - x)
            outputs.append(x if self.network.readout == "count" else u)
        return torch.stack(outputs, 1)

    def _drive(self, synapse: Synapse, tensors: tuple[Tensor, Tensor | None], x: Tensor) -> Tensor:
        weight, bias = tensors
        if isinstance(synapse, Conv):
            return functional.conv2d(x, weight, bias, synapse.stride, synapse.padding)
        return functional.linear(x.flatten(1), weight, bias)


def _in_own_process(run: Path, recordings: int, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.latency", str(run), "--threads", str(threads)]
    command += ["--recordings", str(recordings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HardspikeError(done.stderr.strip().splitlines()[-1])
    return dict(json.loads(done.stdout))


def main() -> int:
    """Measure with one thread and with all cores, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.threads:
            print(json.dumps(measure(options.run, options.recordings, options.threads)))
            return 0
        cores = available_cores()
        found = [
            _in_own_process(options.run, options.recordings, threads)
            for threads in sorted({1, cores})
        ]
    except HardspikeError as error:
        print(f"hardspike: {error}", file=sys.stderr)
        return EXIT_STATUS
    here = machine()
    print(f"{_TIMES}; {here['processor']}, {cores} processor(s), load {load_average()}")
    for entry in found:
        for name, median in entry["p50_ms"].items():
            ratio = entry["times_faster_than"].get(name)
            note = f"  onnxruntime is {ratio:.1f}× faster" if ratio else ""
            p95 = entry["p95_ms"][name]
            figures = f"p50 {median:7.3f}  p95 {p95:7.3f}  min {entry['min_ms'][name]:7.3f}{note}"
            print(f"  {entry['threads']} thread(s)  {name:<14} {figures}")
    if options.json:
        write_json(
            options.json, {"machine": here, "load_average": load_average(), "results": found}
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
