"""onnxruntime on the CPU: the two deployed ONNX forms, run over recordings.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.errors import HardspikeError
from hardware.target import Availability, Progress, TargetRun, available_cores, no_progress

SEQUENCE_FILE, STEP_FILE = "model.sequence.onnx", "model.step.onnx"
SEQUENCE_BATCH = 16
"""Recordings a call. Above, the states of wide layers leave the processor's caches."""
STEP_BATCH = 64
_BATCH_BYTES = 256 << 20
_ERRORS_ONLY = 3

Array = NDArray[Any]


def open_session(path: Path, threads: int | None = None, also: str | None = None) -> Any:
    """Open an ONNX file on `threads` threads (default: the cores this process may use).

    Values whose names end in `also` become outputs too; nothing else of the graph changes.

    Raises:
        HardspikeError: the file is absent or damaged.
    """
    if not path.is_file():
        raise HardspikeError(f"{path}: is missing; an ONNX file is needed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    try:
        model = path.read_bytes() if also is None else _with_outputs(path.read_bytes(), also)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no public base class
        raise HardspikeError(f"{path}: onnxruntime cannot load it ({error})") from error


def _with_outputs(model: bytes, suffix: str) -> bytes:
    """Return the model with every float value of its graph whose name ends in `suffix` put out."""
    adapted = onnx.load_model_from_string(model)
    names = [node.output[0] for node in adapted.graph.node if node.output[0].endswith(suffix)]
    adapted.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    return bytes(adapted.SerializeToString())


def run_session(session: Any, path: Path, names: list[str] | None, feeds: dict[str, Any]) -> Any:
    """Run one call, and of the graph no more than the outputs `names` need (default: all).

    Raises:
        HardspikeError: onnxruntime refuses the inputs or fails.
    """
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    try:
        return session.run(names, feeds, options)
    except Exception as error:  # onnxruntime's own errors share no public base class
        raise HardspikeError(f"{path}: onnxruntime failed ({error})") from error


class _OnnxRuntime:
    """What both forms share; `threads` of None takes every core this process may use."""

    name, unit = "", "recordings"
    file = ""
    batch = 1
    hidden: str | None = None
    """How the names of values end that hold a layer's spikes and are no outputs of the file."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def availability(self) -> Availability:
        """Onnxruntime is a dependency, so it is always there."""
        return Availability(f"onnxruntime {onnxruntime.__version__}")

    def run(
        self,
        artefacts: Path,
        spikes_BTCHW: NDArray[np.uint8],
        *,
        record_layers: bool = False,
        progress: Progress = no_progress,
    ) -> TargetRun:
        """Run the file over every recording, in batches; see `hardware.target.Target`."""
        path = artefacts / self.file
        opened = time.perf_counter()
        session = open_session(path, self.threads, self.hidden if record_layers else None)
        startup_seconds = time.perf_counter() - opened
        outputs: list[Array] = []
        layers: list[dict[str, Array]] = []
        seconds, total = 0.0, len(spikes_BTCHW)
        batch = max(1, min(self.batch, _BATCH_BYTES // max(1, spikes_BTCHW[:1].nbytes * 8)))
        for start in range(0, total, batch):
            chunk = np.ascontiguousarray(spikes_BTCHW[start : start + batch], np.uint8)
            output, recorded, spent = self._run_batch(session, path, chunk, record_layers)
            outputs.append(output)
            layers.append(recorded)
            seconds += spent
            progress(min(start + batch, total), total)
        if not outputs:
            raise HardspikeError(f"{path}: no recordings to run; at least one is needed")
        return TargetRun(
            np.concatenate(outputs).astype(np.int32),
            seconds,
            startup_seconds,
            {key: np.concatenate([part[key] for part in layers]) for key in layers[0]},
            {"threads": session.get_session_options().intra_op_num_threads, "batch": batch},
        )

    def _run_batch(
        self, session: Any, path: Path, spikes_BTCHW: Array, record_layers: bool
    ) -> tuple[Array, dict[str, Array], float]:
        """Return (output `(B, T, N)`, spikes by layer, seconds inside onnxruntime)."""
        raise NotImplementedError


class OnnxRuntimeSequence(_OnnxRuntime):
    """Runs the sequence form: all steps of a batch in one call."""

    name = "onnxruntime"
    file = SEQUENCE_FILE
    batch = SEQUENCE_BATCH

    def _run_batch(
        self, session: Any, path: Path, spikes_BTCHW: Array, record_layers: bool
    ) -> tuple[Array, dict[str, Array], float]:
        names = [value.name for value in session.get_outputs()]
        wanted = names if record_layers else ["output"]
        started = time.perf_counter()
        values = run_session(session, path, wanted, {"spikes": spikes_BTCHW})
        seconds = time.perf_counter() - started
        found = dict(zip(wanted, values, strict=True))
        prefix = "spikes/"
        recorded = {
            key.removeprefix(prefix): value
            for key, value in found.items()
            if key.startswith(prefix)
        }
        return found["output"], recorded, seconds


class OnnxRuntimeStep(_OnnxRuntime):
    """Runs the step form: one call a time step, with the states carried between calls."""

    name = "onnxruntime-step"
    file = STEP_FILE
    batch = STEP_BATCH
    hidden = ".fired"

    def _run_batch(
        self, session: Any, path: Path, spikes_BTCHW: Array, record_layers: bool
    ) -> tuple[Array, dict[str, Array], float]:
        batch, steps = spikes_BTCHW.shape[:2]
        sizes = {value.name: value.shape[1] for value in session.get_inputs()[1:]}
        states = {name: np.zeros((batch, size), np.int32) for name, size in sizes.items()}
        fired = [value.name for value in session.get_outputs() if value.name.endswith(".fired")]
        outputs, seconds = [], 0.0
        layers: dict[str, list[Array]] = {name.removesuffix(".fired"): [] for name in fired}
        for t in range(steps):
            feeds = {"spikes": np.ascontiguousarray(spikes_BTCHW[:, t]), **states}
            started = time.perf_counter()
            names = ["output", *(f"{name}.next" for name in states), *fired]
            output, *values = run_session(session, path, names, feeds)
            seconds += time.perf_counter() - started
            states = dict(zip(states, values, strict=False))
            outputs.append(output)
            for spikes_T, spikes in zip(layers.values(), values[len(states) :], strict=True):
                spikes_T.append(spikes.reshape(batch, -1).astype(np.uint8))
        recorded = {name: np.stack(spikes_T, axis=1) for name, spikes_T in layers.items()}
        return np.stack(outputs, axis=1), recorded, seconds
