"""What the workers of all toolkits share: jobs in, one line and one file of tensors a job out.

    python <toolkit>_worker.py FOLDER

FOLDER holds `jobs.json`: {"steps", "count", "seed", "jobs": [{"kind", "name", "file", "dt"}]}. One
of kind `export` builds the toolkit's network `name`, runs it on spikes of its own and writes it as
`<file>.nir`; one of kind `run` reads `<file>.nir` and runs it on `input` of `<file>.input`
(safetensors, (B, T, ...)), with `dt` in seconds where the toolkit's reader takes one. Either way
`<file>.spikes` (safetensors) has `input`, and the output of every neuron layer under the name of
its module, (B, T, ...).

Standard output carries one JSON object a line: the versions, then for each job {"name", "status",
"stage", "cause"}; what the toolkits print goes to standard error. A job that fails is `refused`,
with the stage it failed at and one line of cause; the others go on.

This module and the workers run on the toolkit's packages and import nothing of this project.

Axes: `B` recording, `T` step.
"""

import importlib.metadata
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

LONGEST_CAUSE = 240
RATE = 0.3
"""Share of input places with a spike, a step."""


@dataclass
class Stage:
    """Where a job is, for the line that says why it failed."""

    name: str = "build"


@dataclass(frozen=True)
class Built:
    """A toolkit's network: its module, the shape of a step's input, and how to run and export it.

    `run` takes (B, T, ...) and returns the outputs of the modules in `layers`, (B, T, ...);
    `export` writes the file.
    """

    module: Any
    input_shape: tuple[int, ...]
    layers: tuple[str, ...]
    run: Callable[[Any], dict[str, Any]]
    export: Callable[[Path], None]


@dataclass(frozen=True)
class Toolkit:
    """What a worker brings: packages to name, networks to build, and a reader that runs a file."""

    packages: tuple[str, ...]
    networks: Mapping[str, Callable[[np.random.Generator], Built]]
    run_file: Callable[[Path, Any, float], dict[str, Any]]


@dataclass
class Recorder:
    """Keeps what modules return, step by step."""

    seen: dict[str, list[Any]] = field(default_factory=dict)

    def listen(
        self,
        module: Any,
        names: Iterable[str],
        read: Callable[[Any, Any], Any] | None = None,
    ) -> "Recorder":
        """Hook the modules of these names; `read` gives the membrane of one that never
        fires, from it and its output."""
        for name in names:
            module.get_submodule(name).register_forward_hook(self._hook(name, read))
        return self

    def _hook(self, name: str, read: Callable[[Any, Any], Any] | None) -> Callable[..., None]:
        def keep(module: Any, _inputs: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            if read is not None and (membrane := read(module, output)) is not None:
                value = membrane
            self.seen.setdefault(name, []).append(value.detach().numpy().copy())

        return keep

    def stacked(self) -> dict[str, Any]:
        """Return what was seen, with the steps as the first axis."""
        return {name: np.stack(values) for name, values in self.seen.items()}


def weights(random: np.random.Generator, *shape: int, step: float | None = None) -> Any:
    """Return weights of a torch layer, output first, that let about every neuron fire.

    They are multiples of `step`, where it is given: then sums over spikes are exact, and membranes
    meet thresholds.
    """
    spread = 1.6 / np.sqrt(np.prod(shape[1:]))
    values = random.normal(0.35 * spread, spread, shape)
    if step is not None:
        values = np.round(values / step) * step
    return torch.from_numpy(values.astype(np.float32))


def filled(layer: Any, random: np.random.Generator, step: float | None = None) -> Any:
    """Return a torch layer with weights of `weights`, and a small bias where it has one."""
    layer.weight.data = weights(random, *layer.weight.shape, step=step)
    if layer.bias is not None:
        values = np.round(random.normal(0, 0.1, layer.bias.shape) * 64) / 64
        layer.bias.data = torch.from_numpy(values.astype(np.float32))
    return layer


def neuron_modules(path: Path, module: Any) -> dict[str, str]:
    """Return node → module for the nodes of a file that hold a state.

    Raises:
        LookupError: the toolkit's reader made no module of a node.
    """
    import nir

    graph = nir.read(path)
    neurons = (nir.LIF, nir.IF, nir.LI, nir.I, nir.CubaLIF)
    found = dict(module.named_modules())
    names = {
        name: name.replace(".", "_")
        for name, node in graph.nodes.items()
        if not isinstance(node, nir.Input | nir.Output)
    }
    if lost := [node for node, name in names.items() if name not in found]:
        raise LookupError(f"the reader says nothing and leaves out {', '.join(lost)}")
    return {name: one for name, one in names.items() if isinstance(graph.nodes[name], neurons)}


def main(toolkit: Toolkit) -> None:
    """Do the jobs of the folder named on the command line."""
    out = os.dup(1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    jobs = json.loads((folder / "jobs.json").read_text())
    versions = {name: importlib.metadata.version(name) for name in toolkit.packages}
    _send(out, {"versions": versions})
    for index, job in enumerate(jobs["jobs"]):
        stage = Stage()
        told = {key: job[key] for key in ("name", "kind", "file")}
        try:
            random = np.random.default_rng([jobs["seed"], index])
            with torch.no_grad():
                _do(toolkit, folder, jobs, job, random, stage)
        except Exception as error:  # toolkits raise anything; the cause goes to the caller
            traceback.print_exc()
            cause = _cause(error)
            _send(out, {**told, "status": "refused", "stage": stage.name, "cause": cause})
        else:
            _send(out, {**told, "status": "ok", "stage": "", "cause": ""})


def _do(
    toolkit: Toolkit,
    folder: Path,
    jobs: Mapping[str, Any],
    job: Mapping[str, Any],
    random: np.random.Generator,
    stage: Stage,
) -> None:
    file = folder / job["file"]
    if job["kind"] == "run":
        stage.name = "import"
        inputs = load_file(file.with_suffix(".input"))["input"]
        seen = toolkit.run_file(file.with_suffix(".nir"), torch.from_numpy(inputs), job["dt"])
    else:
        built = toolkit.networks[job["name"]](random)
        shape = (jobs["count"], jobs["steps"], *built.input_shape)
        inputs = (random.random(shape) < RATE).astype(np.float32)
        stage.name = "run"
        seen = built.run(torch.from_numpy(inputs))
        stage.name = "export"
        built.export(file.with_suffix(".nir"))
    tensors = {"input": inputs, **{name: np.asarray(value) for name, value in seen.items()}}
    save_file(
        {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()},
        file.with_suffix(".spikes"),
    )


def _cause(error: Exception) -> str:
    """Return type and first line of the message, and the toolkit's own line where it has none."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    if not text:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{last.line} ({Path(last.filename).name}, line {last.lineno})"
    return f"{type(error).__name__}: {' '.join(text.split())}"[:LONGEST_CAUSE]


def _send(out: int, fields: Mapping[str, Any]) -> None:
    os.write(out, (json.dumps(fields) + "\n").encode())
