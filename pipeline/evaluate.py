"""The evaluate stage: run the deployed files on every target and hold each to the reference.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron.

Only what deploy wrote is read. A target that cannot run here is marked "not run" with its reason,
one that breaks is marked "failed" with its one line, one whose outputs are not the reference's to
the bit is marked "differs"; the others go on. Corrupted recordings run on one target alone.

A target that runs what stands in for the network (`hardware.loihi.approximate`) is marked
"approximated". It is held to the reference of what it ran, to the bit; how far that is from the
network, which is no fault where it was asked for, stands in `approximated`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from export.errors import HardspikeError
from export.files import write_bytes, write_json
from export.network import FixedPointNetwork, Readout, decide
from export.netx_file import APPROXIMATED_FILE, read_netx
from export.nir_graph import read_nir_back
from hardware.loihi.approximate import disagreement
from hardware.target import Target, TargetRun, TargetUnavailableError
from hardware.targets import TARGETS, TargetOptions
from pipeline.approximate import layer_facts
from pipeline.config import Config
from pipeline.data.corrupted import load_corrupted
from pipeline.data.corruptions import label
from pipeline.data.events import Dataset
from pipeline.data.sources import load_dataset
from pipeline.data.splits import limited
from pipeline.metrics import agreement, first_parting, score
from pipeline.progress import Reporter

RESULTS, OUTPUTS, RASTER = "evaluation.json", "outputs.safetensors", "raster.safetensors"
ORACLE, FAST = "reference", "onnxruntime"


@dataclass(frozen=True)
class _Measured:
    """A target's entry for the report, and its raw outputs where it ran."""

    entry: dict[str, Any]
    run: TargetRun | None


def evaluate_stage(config: Config, deployed: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write `evaluation.json`, the raw outputs and one recording's raster; return their names.

    Raises:
        HardspikeError: the reference itself cannot run. Other targets' failures are recorded.
    """
    network = read_netx(deployed / "model.net")
    with reporter.bar("data", "recordings") as progress:
        test = load_dataset(config.data, "test", progress)
    if (deployed / "model.nir").exists():
        read_nir_back(deployed / "model.nir")
    options = TargetOptions(
        config.evaluate.threads, config.evaluate.loihi.timeout_seconds, reporter.line
    )
    with reporter.bar(ORACLE, "recordings") as progress:
        oracle = TARGETS[ORACLE](options).run(deployed, test.spikes_BTCHW, progress=progress)
    entries: dict[str, dict[str, Any]] = {}
    outputs: dict[str, NDArray[Any]] = {"labels": test.labels_B}
    for name in dict.fromkeys((ORACLE, *config.evaluate.targets)):
        target, index_B = TARGETS[name](options), _recordings(config, name, test)
        measured = (
            _measure(oracle, test, network, oracle, index_B, target.availability().version)
            if name == ORACLE
            else _run(target, deployed, test, network, oracle, index_B, reporter)
        )
        entries[name] = measured.entry
        if measured.run is not None:
            outputs |= {f"{name}.outputs": measured.run.outputs_BTN, f"{name}.index": index_B}
        reporter.line(f"evaluate  {_in_words(name, measured.entry)}")
    _write_tensors(folder / OUTPUTS, outputs)
    raster = _write_raster(folder / RASTER, entries, options, deployed, test, reporter)
    corruptions = _corruptions(config, entries, options, deployed, network.readout, reporter)
    result = {
        "targets": entries,
        "corruptions": corruptions,
        "synops_per_sample": oracle.details["synops"] / len(test),
        "neurobench": oracle.details["neurobench"],
        "readout": network.readout,
        "wrapped_currents": oracle.details["wrapped_currents"],
        "readout_resets": oracle.details["readout_resets"],
        "raster": raster,
    }
    write_json(folder / RESULTS, result)
    return [RESULTS, OUTPUTS, RASTER]


def _recordings(config: Config, name: str, test: Dataset) -> NDArray[np.int64]:
    """Return the indices a target gets: all, or Loihi's share in the classes' proportions."""
    limit = config.evaluate.loihi.recordings if name == "loihi" else None
    return limited(test.labels_B, limit, config.seed)


def _run(
    target: Target,
    deployed: Path,
    test: Dataset,
    network: FixedPointNetwork,
    oracle: TargetRun,
    index_B: NDArray[np.int64],
    reporter: Reporter,
) -> _Measured:
    here = target.availability()
    if here.reason is not None:
        return _Measured(
            {"status": "not run", "reason": here.reason, "version": here.version}, None
        )
    try:
        with reporter.bar(target.name, target.unit) as progress:
            run = target.run(deployed, test.spikes_BTCHW[index_B], progress=progress)
    except TargetUnavailableError as error:
        return _Measured({"status": "not run", "reason": str(error), "version": here.version}, None)
    except HardspikeError as error:
        return _Measured({"status": "failed", "reason": str(error), "version": here.version}, None)
    except Exception as error:  # one target's fault must not take the others' figures with it
        reason = f"{target.name}: {type(error).__name__} ({error})"
        return _Measured({"status": "failed", "reason": reason, "version": here.version}, None)
    measured = _measure(run, test, network, oracle, index_B, here.version)
    if not run.approximates:
        return measured
    stand_in = read_netx(deployed / APPROXIMATED_FILE)
    own = decide(oracle.outputs_BTN[index_B], network.readout)
    scored = score(own, test.labels_B[index_B])
    return _approximated(measured, run, network, stand_in, test.spikes_BTCHW[index_B], scored)


def _approximated(
    measured: _Measured,
    run: TargetRun,
    network: FixedPointNetwork,
    stand_in: FixedPointNetwork,
    spikes_BTCHW: NDArray[np.uint8],
    scored: Mapping[str, Any],
) -> _Measured:
    """Return the entry of a target that ran `stand_in`: its distance from the network, measured.

    `scored` is the accuracy of the network itself on the same recordings.
    """
    found = disagreement(network, stand_in, spikes_BTCHW)
    entry = measured.entry | {
        "status": "approximated",
        "approximated": {
            "what": list(run.approximates),
            "file": APPROXIMATED_FILE,
            "network": scored,
            "layers": layer_facts(found),
        },
    }
    entry["reason"] = approximation_in_words(entry)
    if not np.array_equal(run.outputs_BTN, found.outputs_BTN):
        share = 1 - agreement(run.outputs_BTN, found.outputs_BTN)
        reason = (
            f"{100 * share:.3g}% of the outputs are not those of {APPROXIMATED_FILE} on the "
            "reference"
        )
        entry |= {"status": "differs", "reason": reason}
    return _Measured(entry, run)


def approximation_in_words(entry: Mapping[str, Any]) -> str:
    """Say how far what a target ran in a network's place is from it."""
    outputs, classes = (
        100 * (1 - entry[key]) for key in ("spike_agreement", "prediction_agreement")
    )
    return (
        f"runs {entry['approximated']['file']}, not the network ("
        f"{', '.join(entry['approximated']['what'])} approximated on request): {outputs:.3g}% of "
        f"its outputs and {classes:.3g}% of its decisions are not the network's, which has "
        f"{100 * entry['approximated']['network']['accuracy']:.1f}% of these {entry['n']:,} "
        f"recordings right to its {100 * entry['accuracy']:.1f}%"
    )


def _measure(
    run: TargetRun,
    test: Dataset,
    network: FixedPointNetwork,
    oracle: TargetRun,
    index_B: NDArray[np.int64],
    version: str,
) -> _Measured:
    expected = oracle.outputs_BTN[index_B]
    predictions = decide(run.outputs_BTN, network.readout)
    entry: dict[str, Any] = {
        "status": "ok",
        "version": version,
        **score(predictions, test.labels_B[index_B]),
        "spike_agreement": agreement(run.outputs_BTN, expected),
        "prediction_agreement": agreement(predictions, decide(expected, network.readout)),
        "samples_per_second": len(index_B) / run.seconds,
        "seconds": run.seconds,
        "startup_seconds": run.startup_seconds,
        "details": {key: value for key, value in run.details.items() if key != "neurobench"},
    }
    if entry["spike_agreement"] < 1:
        recording, step = map(int, np.argwhere(run.outputs_BTN != expected)[0][:2])
        where = f"first in recording {index_B[recording]} at step {step}"
        entry |= {"status": "differs", "reason": f"outputs are not the reference's, {where}"}
    return _Measured(entry, run)


def _corruptions(
    config: Config,
    entries: Mapping[str, Mapping[str, Any]],
    options: TargetOptions,
    deployed: Path,
    readout: Readout,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Run the test recordings under every corruption; return kind, severity and score of each.

    They run on onnxruntime where it has just given the reference's integers, for it is faster.
    """
    name = FAST if entries.get(FAST, {}).get("status") == "ok" else ORACLE
    target, seed, found = TARGETS[name](options), config.evaluate.corruption_seed, []
    for corruption in config.evaluate.corruptions:
        title = label(corruption)
        with reporter.bar(title, "recordings") as progress:
            test = load_corrupted(config.data, "test", corruption, seed, progress)
        with reporter.bar(f"{title} on {name}", target.unit) as progress:
            run = target.run(deployed, test.spikes_BTCHW, progress=progress)
        entry = {"name": title, **corruption.model_dump(), "target": name}
        found.append(entry | score(decide(run.outputs_BTN, readout), test.labels_B))
        accuracy, n = found[-1]["accuracy"], found[-1]["n"]
        reporter.line(f"evaluate  {title:<17} {100 * accuracy:.1f}%  n={n}  on {name}")
    return found


def _in_words(name: str, entry: Mapping[str, Any]) -> str:
    if entry["status"] == "approximated":
        accuracy = f"{100 * entry['accuracy']:.1f}%  n={entry['n']}"
        return f"{name:<17} {accuracy}  approximated: {entry['reason']}"
    if entry["status"] != "ok":
        return f"{name:<17} {entry['status']}: {entry['reason']}"
    return (
        f"{name:<17} {100 * entry['accuracy']:.1f}%  n={entry['n']}  "
        f"spike agreement {entry['spike_agreement']:.6g}  {entry['samples_per_second']:.0f}/s"
    )


def _write_tensors(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    write_bytes(path, save({key: np.ascontiguousarray(value) for key, value in arrays.items()}))


def _write_raster(
    path: Path,
    entries: Mapping[str, Mapping[str, Any]],
    options: TargetOptions,
    deployed: Path,
    test: Dataset,
    reporter: Reporter,
) -> dict[str, Any]:
    """Record every layer's spikes of the first recording on the reference and one other target."""
    spikes = test.spikes_BTCHW[:1]
    grids = {ORACLE: _layers(ORACLE, options, deployed, spikes, reporter)}
    for name in ("loihi", "onnxruntime"):
        if entries.get(name, {}).get("status") == "ok":
            try:
                grids[name] = _layers(name, options, deployed, spikes, reporter)
                break
            except Exception as error:  # the figures are there; a picture must not take them along
                reporter.line(f"evaluate  no raster on {name}: {error}")
    arrays = {"input": spikes.reshape(spikes.shape[1], -1)} | {
        f"{name}/{layer}": grid[0]
        for name, layers in grids.items()
        for layer, grid in layers.items()
    }
    _write_tensors(path, arrays)
    pair = list(grids.values())
    return {
        "recording": test.names[0],
        "targets": list(grids),
        "layers": list(grids[ORACLE]),
        "first_parting": first_parting(*pair) if len(pair) == 2 else None,
    }


def _layers(
    name: str,
    options: TargetOptions,
    deployed: Path,
    spikes: NDArray[np.uint8],
    reporter: Reporter,
) -> dict[str, NDArray[np.uint8]]:
    """Return the spikes of every layer on one target."""
    target = TARGETS[name](options)
    with reporter.bar(f"raster on {name}", target.unit) as progress:
        run = target.run(deployed, spikes, record_layers=True, progress=progress)
    return run.layers_BTN
