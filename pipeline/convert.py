"""The convert stage: smooth → hard float → fixed point, with the accuracy of every rung.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.contract_file import write_network
from export.files import write_json
from export.network import FixedPointNetwork, HardSpikeNetwork, decide
from hardware.loihi.discretize import discretize, scale_facts
from hardware.loihi.limits import check_integers
from hardware.membrane_error import InputStatistics, input_statistics
from hardware.reference import Trace, chunk_size, run_fixed, run_float
from pipeline.accuracy_loss import changed
from pipeline.approximate import APPROXIMATED, MOST_RECORDINGS, write_approximated
from pipeline.calibrate import calibrate_thresholds
from pipeline.config import Config, Imported
from pipeline.data.events import COUNT_MAX, Dataset
from pipeline.data.settings import NoRecordings, step_ms
from pipeline.data.sources import load_dataset
from pipeline.data.splits import limited, split_validation
from pipeline.imported.stage import load_imported, load_integers
from pipeline.metrics import first_parting, score
from pipeline.model import predict
from pipeline.progress import Reporter
from pipeline.train import load_trained
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import predicted

FLOAT, FIXED, LADDER = "network.float.safetensors", "network.fixed.safetensors", "ladder.json"
SOFT_RESET = "soft_reset"
HARD, CALIBRATED, FIXED_POINT = "hard_float", "calibrated_float", "fixed_point"
_PARTING_RECORDINGS = 100
_STATISTICS_RECORDINGS = 200
_CALIBRATION_RECORDINGS = 500


def convert_stage(config: Config, trained: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write the float and the fixed-point network and the ladder so far; return their names.

    Raises:
        HardspikeError: a layer does not fit a limit of the chip; one line a violation.
    """
    if not config.convert.approximate:
        (folder / APPROXIMATED).unlink(missing_ok=True)  # of another config before
    if isinstance(config.data.source, NoRecordings):
        return _without_recordings(config, trained, folder, reporter)
    with reporter.bar("data", "recordings") as progress:
        test = load_dataset(config.data, "test", progress)
    whole = load_integers(trained, test.classes) if isinstance(config.train, Imported) else None
    if whole is not None:
        return _in_integers(whole, folder, reporter, test, config)
    hard, rungs = _hard_network(config, trained, test)
    rungs[HARD] = _decisions(hard, run_float, test, reporter)
    fitting = _Fitting(config)
    deployed, calibration = fitting.calibrated(hard)
    if calibration is not None:
        rungs[CALIBRATED] = _decisions(deployed, run_float, test, reporter)
    fixed, scales = _fixed_point(deployed, config, fitting)
    write_network(deployed, folder / FLOAT)
    write_network(fixed, folder / FIXED)
    rungs[FIXED_POINT] = _decisions(fixed, run_fixed, test, reporter)
    ladder = [{"step": step} | score(classes, test.labels_B) for step, classes in rungs.items()]
    deployed_classes = rungs.pop(FIXED_POINT)
    facts = {
        "ladder": ladder,
        "changed": {
            step: changed(classes, deployed_classes, test.labels_B)
            for step, classes in rungs.items()
        },
        "parting": _parting(deployed, fixed, test, HARD if calibration is None else CALIBRATED),
        "scales": scales,
        "calibration": calibration,
        "classes": test.classes,
    }
    names = _approximated(config, fixed, fitting, folder, reporter, facts)
    write_json(folder / LADDER, facts)
    for rung in ladder:
        reporter.line(f"convert   {rung['step']:<16} {100 * rung['accuracy']:.1f}%  n={rung['n']}")
    return [FLOAT, FIXED, *names, LADDER]


def _approximated(
    config: Config,
    fixed: FixedPointNetwork,
    fitting: "_Fitting | None",
    folder: Path,
    reporter: Reporter,
    facts: dict[str, Any],
) -> list[str]:
    """Write what stands in for the network where that is asked for; add to the facts."""
    if not config.convert.approximate:
        return []
    held = None if fitting is None else fitting.held_out(MOST_RECORDINGS).spikes_BTCHW
    facts["approximated"] = write_approximated(fixed, held, folder, reporter)
    return [APPROXIMATED]


def _hard_network(
    config: Config, trained: Path, test: Dataset
) -> tuple[HardSpikeNetwork, dict[str, NDArray[np.int64]]]:
    """Return the hard float network, and the decisions of the rungs before it."""
    if isinstance(config.train, Imported):
        return load_imported(trained, test.classes), {}
    network, activation = load_trained(config, test, trained)
    input_max = 1 if config.data.binning.mode == "binary" else COUNT_MAX
    hard = network.contract(config.data.binning.steps, step_ms(config.data) / 1000, input_max)
    rungs = {}
    if activation.forward == "smooth":
        rungs["smooth"] = predict(network, test.spikes_BTCHW, activation)
    if isinstance(config.train, ADMM) and config.train.reset == "soft":
        # What is deployed resets to zero; the next rung says what that costs.
        rungs[SOFT_RESET] = predicted(network, test.spikes_BTCHW, "soft")
    return hard, rungs


def _in_integers(
    fixed: FixedPointNetwork,
    folder: Path,
    reporter: Reporter,
    test: Dataset | None,
    config: Config,
) -> list[str]:
    """Take over a network that came in Loihi's integers; measure it where there are recordings."""
    check_integers(fixed)
    (folder / FLOAT).unlink(missing_ok=True)
    write_network(fixed, folder / FIXED)
    ladder = []
    if test is not None:
        classes = _decisions(fixed, run_fixed, test, reporter)
        ladder = [{"step": FIXED_POINT} | score(classes, test.labels_B)]
    facts = _unmeasured(fixed.classes) | {"ladder": ladder}
    fitting = None if test is None else _Fitting(config)
    names = _approximated(config, fixed, fitting, folder, reporter, facts)
    write_json(folder / LADDER, facts)
    return [FIXED, *names, LADDER]


def _unmeasured(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the facts of a conversion that compared nothing."""
    return {
        "ladder": [],
        "changed": {},
        "parting": {"between": [HARD, FIXED_POINT], "n": 0, "first": None},
        "scales": [],
        "calibration": None,
        "classes": classes,
    }


def _without_recordings(
    config: Config, trained: Path, folder: Path, reporter: Reporter
) -> list[str]:
    """Convert an imported network by its largest weights alone: nothing says what matters in it."""
    whole = load_integers(trained, ())
    if whole is not None:
        return _in_integers(whole, folder, reporter, None, config)
    hard = load_imported(trained, ())
    bits = config.convert.weight_bits
    fixed = discretize(hard, bits)
    write_network(hard, folder / FLOAT)
    write_network(fixed, folder / FIXED)
    facts = _unmeasured(hard.classes) | {"scales": scale_facts(hard, fixed, bits)}
    names = _approximated(config, fixed, None, folder, reporter, facts)
    write_json(folder / LADDER, facts)
    return [FLOAT, FIXED, *names, LADDER]


class _Fitting:
    """What conversion takes from recordings that are not the test's, read on first use.

    `held_out` are the validation recordings, or the training ones where there are none.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @functools.cached_property
    def _split(self) -> tuple[Dataset, NDArray[np.int64], NDArray[np.int64]]:
        data, fraction = (
            load_dataset(self.config.data, "train"),
            self.config.data.validation_fraction,
        )
        fit, held = split_validation(data.labels_B, fraction, self.config.seed)
        return data, fit, held

    def held_out(self, most: int | None = None) -> Dataset:
        """Return at most so many of the held-out recordings, in their classes' proportions."""
        data, fit, held = self._split
        chosen = data.take(held if len(held) else fit)
        return chosen.take(limited(chosen.labels_B, most, self.config.seed))

    def largest_readout(self, network: HardSpikeNetwork) -> float:
        """Return the largest |membrane| of a `membrane` readout over the held-out recordings."""
        if network.readout != "membrane":
            return 0.0
        traces = _traces(network, run_float, self.held_out().spikes_BTCHW)
        return max(float(np.abs(trace.membranes_BTN).max()) for trace in traces)

    def statistics(self, network: HardSpikeNetwork) -> tuple[InputStatistics, ...]:
        """Return the input statistics of every layer.

        No label is looked at, so training recordings make up for few held-out ones.
        """
        data, fit, held = self._split
        chosen = self.held_out(_STATISTICS_RECORDINGS)
        if len(held):
            missing = _STATISTICS_RECORDINGS - len(chosen)
            more = fit[limited(data.labels_B[fit], missing, self.config.seed)]
            spikes = np.concatenate([chosen.spikes_BTCHW, data.spikes_BTCHW[more]])
            return input_statistics(network, spikes)
        return input_statistics(network, chosen.spikes_BTCHW)

    def calibrated(
        self, network: HardSpikeNetwork
    ) -> tuple[HardSpikeNetwork, dict[str, Any] | None]:
        """Return the network with its thresholds as configured, and the facts of their tuning."""
        if self.config.convert.calibration == "none":
            return network, None
        held = self.held_out(_CALIBRATION_RECORDINGS)
        found = calibrate_thresholds(network, held.spikes_BTCHW, held.labels_B)
        return found.network, {
            "factors": found.factors,
            "before": asdict(found.before),
            "after": asdict(found.after),
            "n": len(held),
            "recordings": "validation" if len(self._split[2]) else "training",
        }


def _fixed_point(
    network: HardSpikeNetwork, config: Config, fitting: _Fitting
) -> tuple[FixedPointNetwork, list[dict[str, Any]]]:
    """Return the network in Loihi's integers, and what its scales do, layer by layer."""
    wanted, statistics = config.convert, None
    largest_readout = fitting.largest_readout(network)
    if "membrane" in (wanted.scale_by, wanted.rounding):
        statistics = fitting.statistics(network)
    fixed = discretize(
        network,
        wanted.weight_bits,
        largest_readout,
        statistics,
        wanted.scale_by,
        wanted.rounding,
    )
    return fixed, scale_facts(network, fixed, wanted.weight_bits, largest_readout, statistics)


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


def _parting(
    network: HardSpikeNetwork, fixed: FixedPointNetwork, data: Dataset, name: str
) -> dict[str, Any]:
    """Return where float and fixed-point spikes part first, over the first recordings."""
    spikes = data.spikes_BTCHW[: min(_PARTING_RECORDINGS, chunk_size(fixed))]
    one, other = run_float(network, spikes).spikes_BTN, run_fixed(fixed, spikes).spikes_BTN
    return {"between": [name, FIXED_POINT], "n": len(spikes), "first": first_parting(one, other)}
