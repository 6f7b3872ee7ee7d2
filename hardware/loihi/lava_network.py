# mypy: ignore-errors
"""A netx file as Lava runs it: one stream of recordings in, the rows of every recorded layer out.

This module runs in the worker's environment, on Python 3.10. All recordings of a job pass one
network in one run, back to back. Layer l (from 0) answers l + 1 steps late, since a synapse hands
on what it summed a step before; its state is cleared when the first input of a recording reaches
it, which `reset_offset=1` makes netx do; what waits in a synapse, under a delay or for the layer's
own neurons, is forgotten then too, which netx has no word for (`Forgetter`). The recorders drop the
lag, so row b·T + t of what they write belongs to step t of recording b.

Axes: `B` recording, `T` step, `C` channel, `H` height, `W` width, `N` neuron.
"""

import json
import sys
import types
from pathlib import Path
from typing import Any

import h5py
import lava
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.process import DelayDense
from lava_processes import MODELS, BiasSource, Forgetter, Recorder, SpikeSource, StateRecorder

INPUT_WEIGHT = 64
"""What netx multiplies the input of an input block with where the file has no weight."""
GRADED_BITS = 8
"""Bits of an input message that carries a count instead of a spike."""


def load_netx() -> Any:
    """Import the module `lava.lib.dl.netx.hdf5` without PyTorch and return it.

    netx asks lava-dl's training package for one helper of resonate-and-fire neurons, and for
    PyTorch wrappers that nothing here uses. Empty modules stand in for both. Lava looks for process
    models beside a module's file, so theirs is said to lie in Lava's own folder.
    """
    folder = Path(next(iter(lava.__path__))) / "lib" / "dl" / "netx"
    for name in ("slayer", "slayer.neuron", "slayer.neuron.rf", "netx.sequential_modules"):
        module = types.ModuleType(f"lava.lib.dl.{name}")
        module.__file__ = str(folder / "__init__.py")
        module.__path__ = []
        sys.modules[module.__name__] = module
    sys.modules["lava.lib.dl.slayer.neuron.rf"].neuron_params = None
    from lava.lib.dl.netx import hdf5

    return hdf5


class Streamed:
    """One job: its network with a source and recorders around it, and the files they share."""

    def __init__(self, netx: Any, job: dict[str, Any], folder: Path) -> None:
        self.job, self._folder = job, folder
        with h5py.File(job["net"], "r") as file:
            said = job.get("says") or file.attrs
            self.readout, steps = said["readout"], int(said["steps"])
            bits = GRADED_BITS if int(said["input_max"]) > 1 else 0
        with h5py.File(job["spikes"], "r") as file:
            self.batch, self.steps = file["spikes"].shape[:2]
        if self.steps != steps:
            raise ValueError(f"{job['spikes']}: {self.steps} steps a recording, allowed {steps}")
        self.network = netx.Network(
            net_config=job["net"], reset_interval=steps, reset_offset=1, input_message_bits=bits
        )
        self.lag = len(self.network.layers)
        self.clock = self._file("clock", (1,), np.int64)
        self.source = self._source()
        self._forgetters = [
            forgetter
            for at, layer in enumerate(self.network.layers)
            for forgetter in self._forget(layer, at)
        ]
        self.layers: list[Path] = []
        self.states: dict[str, list[Path]] = {}
        self.output = self._record_output()
        if job["record_layers"]:
            self.layers = [self._record(layer, at) for at, layer in enumerate(self.network.layers)]
        if job.get("record_states"):
            self.states = {
                name: [self._record_state(at, name) for at in range(self.lag)]
                for name in ("u", "v")
            }

    @property
    def total(self) -> int:
        """Steps of the run: every recording's, and the lag of the last layer."""
        return self.batch * self.steps + self.lag

    def _file(self, name: str, shape: tuple[int, ...], dtype: Any) -> Path:
        path = self._folder / f"{name}.npy"
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
        return path

    def _rows(self, name: str, shape: tuple[int, ...], dtype: Any) -> Path:
        return self._file(name, (self.batch * self.steps, *shape), dtype)

    def _source(self) -> Any:
        """Feed the input port, or where it is an input block's the bias of its neuron."""
        first = self.network.in_layer
        if first.block != "Input":
            source = SpikeSource(path=self.job["spikes"], shape=self.network.inp.shape)
            source.s_out.connect(self.network.inp)
            return source
        with h5py.File(self.job["net"], "r") as file:
            block = file["layer/0"]
            weight = int(np.ravel(block["weight"])[0]) if "weight" in block else INPUT_WEIGHT
            bias = int(np.ravel(block["bias"])[0]) if "bias" in block else 0
        source = BiasSource(path=self.job["spikes"], shape=first.shape, weight=weight, bias=bias)
        source.state.connect_var(first.neuron.bias_mant)
        return source

    def _forget(self, layer: Any, index: int) -> list[Any]:
        """Return what empties the buffers of a layer whose synapses remember."""
        found = []
        for name, lag in (("synapse", index), ("synapse_rec", index + 1)):
            synapse = getattr(layer, name, None)
            delays = isinstance(synapse, DelayDense)
            if synapse is None or not (delays or name == "synapse_rec"):
                continue
            buffer = synapse.a_buff
            forgetter = Forgetter(
                lag=lag, steps=self.steps, due=name == "synapse", shape=buffer.shape
            )
            forgetter.state.connect_var(buffer)
            found.append(forgetter)
        return found

    def _record_output(self) -> Path:
        spikes = self._record(self.network.out_layer, self.lag - 1)
        return spikes if self.readout == "count" else self._record_state(self.lag - 1, "v")

    def _record_state(self, index: int, name: str) -> Path:
        path, layer = self._folder / f"{name}-{index}.npy", self.network.layers[index]
        if not path.exists():
            self._rows(f"{name}-{index}", layer.out.shape, np.int32)
            recorder = StateRecorder(path=str(path), lag=index + 1, shape=layer.out.shape)
            recorder.state.connect_var(getattr(layer.neuron, name))
        return path

    def _record(self, layer: Any, index: int) -> Path:
        path = self._folder / f"layer-{index}.npy"
        if not path.exists():
            self._rows(f"layer-{index}", layer.out.shape, np.uint8)
            recorder = Recorder(
                path=str(path), lag=index + 1, clock=str(self.clock), shape=layer.out.shape
            )
            layer.out.connect(recorder.a_in)
        return path

    def start(self) -> None:
        """Compile the network and start Lava's processes."""
        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=MODELS)
        self.network.create_runtime(run_cfg=config)

    def run(self) -> None:
        """Run every step; returns when the last is done."""
        self.network.run(condition=RunSteps(num_steps=self.total))

    def write(self, timing: dict[str, Any]) -> None:
        """Write the result under a temporary name, then rename it."""
        result = Path(self.job["result"])
        temporary = result.with_suffix(".part")
        with h5py.File(temporary, "w") as file:
            file.attrs["timing"] = json.dumps(timing)
            self._put(file, "outputs", self.output, np.int32)
            for index, path in enumerate(self.layers):
                self._put(file, f"layers/{index}", path, np.uint8)
            for name, paths in self.states.items():
                for index, path in enumerate(paths):
                    self._put(file, f"{name}/{index}", path, np.int32)
        temporary.replace(result)

    def _put(self, file: Any, name: str, path: Path, dtype: Any) -> None:
        rows = np.load(path, mmap_mode="r")
        if rows.ndim == 4:
            rows = rows.transpose(0, 3, 2, 1)
        data = rows.reshape(self.batch, self.steps, -1).astype(dtype)
        file.create_dataset(name, data=data, compression="lzf")
