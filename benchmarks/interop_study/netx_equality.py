"""Files as lava-dl writes them: what netx makes of them on Lava against what runs here.

    python -m benchmarks.interop_study.netx_equality [--files N] [--lava N] [--json FILE]

Every file is read (`read_lava_netx`), written as both ONNX forms, and as `model.net` and back. Held
to the reference, every recording, step and neuron: onnxruntime's spikes of every layer and its
output (sequence), its output, membranes and currents where the graph keeps them (step). The first
files run through the real netx on Lava as they are; spikes, currents and membranes of every layer
are held to the reference. The current of an input block with a neuron is left out: netx feeds that
past its current.

Axes: `B` recording, `T` time step, `N` neuron.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interop_study.netx_files import NetxCase, random_case
from export.files import write_json
from export.network import FixedPointNetwork
from export.netx_file import write_netx
from export.onnx_model import write_sequence, write_step
from export.parity import netx_parity
from hardware.loihi.netx_import import read_lava_netx
from hardware.loihi.target import Job, JobResult, Says, run_jobs
from hardware.onnxruntime_cpu import SEQUENCE_FILE, STEP_FILE, OnnxRuntimeSequence, open_session
from hardware.reference import FixedStates, fixed_states

_Pairs = list[tuple[str, Any, Any]]


@dataclass(frozen=True)
class Compared:
    """How many numbers of one file were held to the reference, and where the first one differs."""

    numbers: int
    difference: str | None


def read_case(case: NetxCase) -> FixedPointNetwork:
    """Return the network of a file; raises as `read_lava_netx`."""
    return read_lava_netx(
        case.path,
        steps=case.steps,
        dt=0.001,
        readout=case.readout,
        input_max=case.input_max,
    )


def compare_onnx(case: NetxCase, network: FixedPointNetwork, folder: Path) -> Compared:
    """Hold both ONNX forms, and `model.net` read back, to the reference."""
    states = list(fixed_states(network, case.spikes_BTCHW))
    write_netx(network, folder / "model.net")
    list(netx_parity(folder / "model.net", network))
    write_sequence(network, folder / SEQUENCE_FILE)
    write_step(network, folder / STEP_FILE)
    sequence = OnnxRuntimeSequence(1).run(folder, case.spikes_BTCHW, record_layers=True)
    pairs: _Pairs = [("sequence: output", _output(network, states), sequence.outputs_BTN)]
    pairs += [
        (f"sequence: {state.layer.name}: spikes", state.spikes_BTN, found)
        for state, found in zip(states, sequence.layers_BTN.values(), strict=True)
    ]
    found = _steps(folder / STEP_FILE, case)
    pairs.append(("step: output", _output(network, states), found["output"]))
    for state in states:
        for name, values in (("v", state.membranes_BTN), ("u", state.currents_BTN)):
            if (key := f"{state.layer.name}.{name}") in found:
                pairs.append((f"step: {key}", values, found[key]))
    return _compared(pairs)


def compare_lava(case: NetxCase, network: FixedPointNetwork, result: JobResult) -> Compared:
    """Hold Lava's spikes, currents and membranes of every layer to the reference."""
    states = list(fixed_states(network, case.spikes_BTCHW))
    pairs: _Pairs = [("output", _output(network, states), result.outputs_BTN)]
    recorded = zip(result.layers_BTN, result.currents_BTN, result.membranes_BTN, strict=True)
    for state, (spikes, currents, membranes) in zip(states, recorded, strict=True):
        name = state.layer.name
        pairs += [
            (f"{name}: spikes", state.spikes_BTN, spikes),
            (f"{name}: membranes", state.membranes_BTN, membranes),
        ]
        if not name.startswith("input"):
            pairs.append((f"{name}: currents", state.currents_BTN, currents))
    return _compared(pairs)


def lava_job(case: NetxCase) -> Job:
    """Return the job that runs a file as lava-dl wrote it."""
    says = Says(case.readout, case.steps, case.input_max)
    return Job(case.path, case.spikes_BTCHW, record_layers=True, record_states=True, says=says)


def _output(network: FixedPointNetwork, states: Sequence[FixedStates]) -> Any:
    last = states[-1]
    return last.spikes_BTN if network.readout == "count" else last.membranes_BTN


def _compared(pairs: _Pairs) -> Compared:
    for name, wanted, found in pairs:
        if wanted.shape != found.shape or (wanted != found).any():
            return Compared(0, name)
    return Compared(sum(wanted.size for _, wanted, _ in pairs), None)


def _steps(path: Path, case: NetxCase) -> dict[str, Any]:
    """Run the step form and return its output and every state, `(B, T, N)`."""
    session = open_session(path, 1)
    batch = len(case.spikes_BTCHW)
    states = {
        value.name: np.zeros((batch, value.shape[1]), np.int32)
        for value in session.get_inputs()[1:]
    }
    found: dict[str, list[Any]] = {name: [] for name in ("output", *states)}
    for t in range(case.steps):
        names = ["output", *(f"{name}.next" for name in states)]
        values = session.run(names, {"spikes": case.spikes_BTCHW[:, t], **states})
        states = dict(zip(states, values[1:], strict=True))
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
    return {name: np.stack(values, axis=1) for name, values in found.items()}


def study(files: int, through_lava: int, folder: Path) -> dict[str, Any]:
    """Draw `files` files, hold all to onnxruntime and the first `through_lava` to Lava."""
    cases = [random_case(folder / f"{seed}.net", seed) for seed in range(files)]
    networks = [read_case(case) for case in cases]
    onnx = [compare_onnx(*pair, folder) for pair in zip(cases, networks, strict=True)]
    lava: list[Compared] = []
    if through_lava:
        results, _ = run_jobs([lava_job(case) for case in cases[:through_lava]], timeout_s=3600)
        lava = list(map(compare_lava, cases, networks, results))
    return {
        "onnxruntime": _counted(onnx),
        "lava": _counted(lava),
        "blocks": dict(sorted(Counter(kind for case in cases for kind in case.kinds).items())),
    }


def _counted(compared: list[Compared]) -> dict[str, Any]:
    return {
        "files": len(compared),
        "equal": sum(one.difference is None for one in compared),
        "numbers": sum(one.numbers for one in compared),
        "differences": list(_differences(compared)),
    }


def _differences(compared: list[Compared]) -> Iterator[str]:
    for seed, one in enumerate(compared):
        if one.difference is not None:
            yield f"file {seed}: {one.difference}"


def main() -> None:
    """Run the study and print or write its counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--lava", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = study(given.files, given.lava, Path(folder))
    if given.json:
        write_json(given.json, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
