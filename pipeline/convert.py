"""The convert stage: smooth → hard float → fixed point, with the accuracy of every rung.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.contract_file import write_network
from export.files import write_json
from export.network import FixedPointNetwork, HardSpikeNetwork, decide
from hardware.loihi.discretize import discretize
from hardware.reference import Trace, chunk_size, run_fixed, run_float
from pipeline.config import Config
from pipeline.data.events import COUNT_MAX, Dataset
from pipeline.data.settings import step_ms
from pipeline.data.sources import load_dataset
from pipeline.data.splits import split_validation
from pipeline.metrics import first_parting, score
from pipeline.model import predict
from pipeline.progress import Reporter
from pipeline.train import load_trained

FLOAT, FIXED, LADDER = "network.float.safetensors", "network.fixed.safetensors", "ladder.json"
_PARTING_RECORDINGS = 100


def convert_stage(config: Config, trained: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write the float and the fixed-point network and the ladder so far; return their names.

    Raises:
        HardspikeError: a layer does not fit a limit of the chip; one line a violation.
    """
    with reporter.bar("data", "recordings") as progress:
        test = load_dataset(config.data, "test", progress)
    network, activation = load_trained(config, test, trained)
    input_max = 1 if config.data.binning.mode == "binary" else COUNT_MAX
    hard = network.contract(config.data.binning.steps, step_ms(config.data) / 1000, input_max)
    fixed = discretize(hard, config.convert.weight_bits, _largest_readout(hard, config))
    write_network(hard, folder / FLOAT)
    write_network(fixed, folder / FIXED)
    rungs = {}
    if activation.forward == "smooth":
        rungs["smooth"] = predict(network, test.spikes_BTCHW, activation)
    rungs["hard_float"] = _decisions(hard, run_float, test, reporter)
    rungs["fixed_point"] = _decisions(fixed, run_fixed, test, reporter)
    ladder = [{"step": step} | score(classes, test.labels_B) for step, classes in rungs.items()]
    facts = {"ladder": ladder, "parting": _parting(hard, fixed, test), "classes": test.classes}
    write_json(folder / LADDER, facts)
    for rung in ladder:
        reporter.line(f"convert   {rung['step']:<12} {100 * rung['accuracy']:.1f}%  n={rung['n']}")
    return [FLOAT, FIXED, LADDER]


def _largest_readout(network: HardSpikeNetwork, config: Config) -> float:
    """Return the largest |membrane| of a `membrane` readout over the validation recordings."""
    if network.readout != "membrane":
        return 0.0
    data = load_dataset(config.data, "train")
    fit, held = split_validation(data.labels_B, config.data.validation_fraction, config.seed)
    chosen = held if len(held) else fit
    traces = _traces(network, run_float, data.spikes_BTCHW[chosen])
    return max(float(np.abs(trace.membranes_BTN).max()) for trace in traces)


def _traces(network: Any, run: Callable[..., Trace], spikes_BTCHW: NDArray[np.uint8]) -> Any:
    chunk = chunk_size(network)
    starts = range(0, len(spikes_BTCHW), chunk)
    return (run(network, spikes_BTCHW[start : start + chunk]) for start in starts)


def _decisions(
    network: Any, run: Callable[..., Trace], data: Dataset, reporter: Reporter
) -> NDArray[np.int64]:
    """Return the class of every recording, `(B,)`."""
    classes: list[NDArray[np.int64]] = []
    with reporter.bar("convert", "recordings") as progress:
        for trace in _traces(network, run, data.spikes_BTCHW):
            outputs = trace.last if network.readout == "count" else trace.membranes_BTN
            classes.append(decide(outputs, network.readout))
            progress(sum(map(len, classes)), len(data))
    return np.concatenate(classes)


def _parting(hard: HardSpikeNetwork, fixed: FixedPointNetwork, data: Dataset) -> Any:
    """Return where float and fixed-point spikes part first, over the first recordings."""
    spikes = data.spikes_BTCHW[: min(_PARTING_RECORDINGS, chunk_size(fixed))]
    where = first_parting(run_float(hard, spikes).spikes_BTN, run_fixed(fixed, spikes).spikes_BTN)
    return {"between": ["hard_float", "fixed_point"], "n": len(spikes), "first": where}
