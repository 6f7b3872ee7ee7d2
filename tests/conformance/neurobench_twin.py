"""Twins of hardspike's networks in torch, measured by the package neurobench.

    python neurobench_twin.py FOLDER

FOLDER holds `networks.json`, a list of {"name", "batch_size", "reset_delay", "layers": [{"stride",
"padding", "neuron"}, …]}; for each network NAME.npz has `spikes` (B, T, C, H, W) and `weight0`,
`bias0` and so on. A neuron is {"decay", "threshold"} or Loihi's {"membrane_decay", "threshold"}.
`results.json` gets what neurobench says of each, NAME.outputs.npy the last layer's spikes, one row
of neurons a recording and step. It runs in a process of its own that imports nothing of hardspike.

Axes as in `export.network`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint
from neurobench.metrics.workload import (
    ActivationSparsity,
    ActivationSparsityByLayer,
    MembraneUpdates,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

METRICS = [
    [Footprint, ConnectionSparsity],
    [ActivationSparsity, ActivationSparsityByLayer, SynapticOperations, MembraneUpdates],
]


class Loihi(snntorch.SpikingNeuron):  # type: ignore[misc]
    """Loihi's neuron without a current of its own, in 64-bit integers; `mem` is after the reset."""

    def __init__(self, membrane_decay: int, threshold: int, last: bool) -> None:
        super().__init__(init_hidden=True, output=last, reset_mechanism="zero")
        self.membrane_decay, self.vth = membrane_decay, threshold
        self.mem: Tensor
        self.register_buffer("mem", torch.zeros(0, dtype=torch.int64), False)

    def forward(self, drive: Tensor) -> Any:
        """Return spikes, and the membrane too of the last layer."""
        if self.mem.shape != drive.shape:
            self.mem = torch.zeros(drive.shape, dtype=torch.int64)
        product = self.mem * (4096 - self.membrane_decay)
        kept = torch.div(product, 4096, rounding_mode="trunc")
        membrane = kept + (drive.to(torch.int64) << 6)
        spikes = membrane > (self.vth << 6)
        self.mem = torch.where(spikes, 0, membrane)
        return (spikes.float(), self.mem) if self.output else spikes.float()


class Twin(nn.Module):
    """A stack of synapses and neurons, one time step a call."""

    def __init__(self, network: dict[str, Any], arrays: Any) -> None:
        super().__init__()
        last = len(network["layers"]) - 1
        self.synapses, self.neurons = nn.ModuleList(), nn.ModuleList()
        for index, layer in enumerate(network["layers"]):
            bias = arrays.get(f"bias{index}")
            self.synapses.append(_synapses(layer, arrays[f"weight{index}"], bias))
            self.neurons.append(_neuron(layer["neuron"], network["reset_delay"], index == last))

    def reset(self) -> None:
        """Forget all membranes."""
        for neuron in self.neurons:
            held: Any = neuron.mem
            neuron.mem = torch.zeros(0, dtype=held.dtype)

    def forward(self, x: Tensor) -> Any:
        """Return spikes and membranes of the last layer at this step."""
        for synapses, neuron in zip(self.synapses, self.neurons, strict=True):
            found = neuron(synapses(x.flatten(1) if isinstance(synapses, nn.Linear) else x))
            x = found[0] if isinstance(found, tuple) else found
        return found


def _synapses(layer: dict[str, Any], weight: Any, bias: Any) -> nn.Module:
    outputs, inputs, *kernel = weight.shape
    made: nn.Module
    if kernel:
        made = nn.Conv2d(
            *(inputs, outputs, tuple(kernel), tuple(layer["stride"]), tuple(layer["padding"])),
            bias=bias is not None,
        )
    else:
        made = nn.Linear(inputs, outputs, bias=bias is not None)
    values = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    made.load_state_dict({key: torch.from_numpy(value).float() for key, value in values.items()})
    return made


def _neuron(settings: dict[str, Any], reset_delay: bool, last: bool) -> nn.Module:
    if "membrane_decay" in settings:
        return Loihi(**settings, last=last)
    return snntorch.Leaky(  # type: ignore[no-any-return]
        beta=settings["decay"],
        threshold=settings["threshold"],
        init_hidden=True,
        output=last,
        reset_mechanism="zero",
        reset_delay=reset_delay,
    )


def measured(network: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what neurobench measures of a network, and write its outputs."""
    with np.load(folder / f"{network['name']}.npz", allow_pickle=False) as arrays:
        model = SNNTorchModel(Twin(network, arrays))
        spikes = torch.from_numpy(arrays["spikes"]).float()
    data = TensorDataset(spikes, torch.zeros(len(spikes)))
    with torch.inference_mode():
        loader = DataLoader(data, batch_size=network["batch_size"])
        # Before anything else: membranes of a run are buffers too, and would be in the footprint.
        found: dict[str, Any] = Benchmark(model, loader, [], [], METRICS).run(quiet=True)
        outputs = model(spikes).numpy().reshape(*spikes.shape[:2], -1)
        np.save(folder / f"{network['name']}.outputs.npy", outputs)
    return found


def main(folder: Path) -> None:
    """Measure every network of the folder."""
    networks = json.loads((folder / "networks.json").read_text())
    results = {network["name"]: measured(network, folder) for network in networks}
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
