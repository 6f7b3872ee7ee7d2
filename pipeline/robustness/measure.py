"""`hardspike robustness`: a deployed network under every corruption and fault of a suite.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import functools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.files import write_bytes, write_json
from export.network import FixedPointNetwork, decide
from export.netx_file import read_netx, write_netx
from export.onnx_model import write_sequence, write_step
from hardware.faults import Draw
from hardware.loihi.limits import check_limits
from hardware.loihi.target import loihi_file
from hardware.reference_target import ReferenceTarget
from hardware.target import Target, TargetRun
from hardware.targets import TARGETS, TargetOptions
from pipeline.config import Config
from pipeline.config_file import config_tree
from pipeline.data.corrupted import load_corrupted
from pipeline.data.corruptions import Corruption, refusal
from pipeline.data.events import Dataset
from pipeline.data.sources import load_dataset
from pipeline.progress import Reporter
from pipeline.robustness.cells import Cell, CellFiles, cells_of
from pipeline.robustness.picture import curves_picture
from pipeline.robustness.settings import (
    BitFlips,
    DeadNeurons,
    Fault,
    StuckWeights,
    Suite,
    ThresholdDrift,
    broken,
    label,
)
from pipeline.robustness.summary import FOLDER, JSON, build_report
from pipeline.robustness.table import markdown, row_line
from pipeline.run_dir import StageFolder, locked, package_versions, source_digest
from pipeline.stages import check_current, recordings_digest

PAGE, PICTURE, CELLS = "robustness.md", "robustness.png", "cells"
_WORK = ".work"
NET = "model.net"
_ORACLE_RECORDINGS = 4
_FAULTS = (DeadNeurons, StuckWeights, BitFlips, ThresholdDrift)
_SOURCES = (
    "export",
    "hardware",
    "pipeline/data",
    "pipeline/robustness/measure.py",
    "pipeline/robustness/settings.py",
)
_PACKAGES = ("numpy", "onnxruntime", "onnx", "h5py", "tonic")


@dataclass(frozen=True)
class Subject:
    """The deployed network on a target, and the recordings it is asked about."""

    config: Config
    deployed: Path
    work: Path
    target: Target
    seed: int
    reporter: Reporter

    @functools.cached_property
    def network(self) -> FixedPointNetwork:
        """The deployed network."""
        return read_netx(self.deployed / "model.net")

    @functools.cached_property
    def clean(self) -> Dataset:
        """The clean test recordings."""
        with self.reporter.bar("data", "recordings") as progress:
            return load_dataset(self.config.data, "test", progress)


def robustness(
    config: Config,
    run: Path,
    suite: Suite,
    target: str,
    limit: int | None,
    seed: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Measure a deployed run under `suite`, write `robustness/` in its folder, return the report.

    What an earlier call with the same arguments has measured is not measured again.

    Raises:
        HardspikeError: a fault in the arguments, the run is not deployed or out of date, the target
            cannot run here or fails, or recognises no clean recording.
    """
    _check_arguments(limit, seed)
    options = TargetOptions(
        config.evaluate.threads, config.evaluate.loihi.timeout_seconds, reporter.line
    )
    chosen, folder = TARGETS[target](options), run / FOLDER
    here = chosen.availability()
    if here.reason is not None:
        raise HardspikeError(f"{target}: {here.reason}")
    with locked(run):
        check_current("deploy", config, run)
        _check_network(target, run / "deploy")
        config = _limited(config, limit)
        for leftover in folder.glob(".robustness-*"):
            leftover.unlink(missing_ok=True)
        subject = Subject(config, run / "deploy", folder / _WORK, chosen, seed, reporter)
        versions = {"target": target, "version": here.version}
        found = _measured(subject, suite, CellFiles(folder / CELLS, _depends(subject, versions)))
        report = build_report(config, run, suite, found, seed, versions)
        curves_picture(report, folder / PICTURE)
        write_bytes(folder / PAGE, markdown(report).encode())
        write_json(folder / JSON, report)
    reporter.line(f"robustness  {folder / PAGE}")
    return report


def _limited(config: Config, limit: int | None) -> Config:
    """Return the config with no more than `limit` test recordings."""
    if limit is None:
        return config
    data = config.data
    fewer = data.model_copy(update={"limit_test": min(limit, data.limit_test or limit)})
    return config.model_copy(update={"data": fewer})


def _check_arguments(limit: int | None, seed: int) -> None:
    if limit is not None and limit < 1:
        raise HardspikeError(f"--limit: found {limit}, allowed 1 and more")
    if not 0 <= seed < 2**63:
        raise HardspikeError(f"--seed: found {seed}, allowed 0 to 2^63 − 1")


def _depends(subject: Subject, versions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "deployed": StageFolder(subject.deployed.parent, "deploy").outputs(),
        "data": config_tree(subject.config.data),
        "recordings": recordings_digest(subject.config),
        "weight_bits": subject.config.convert.weight_bits,
        "seed": subject.seed,
        **versions,
        "packages": package_versions(_PACKAGES),
        "code": source_digest(_SOURCES),
    }


def _measured(subject: Subject, suite: Suite, files: CellFiles) -> dict[Cell, dict[str, Any]]:
    """Return every cell's result, measuring those that no file has."""
    files.clean_up()
    shutil.rmtree(subject.work, ignore_errors=True)
    cells, found = list(cells_of(suite)), dict[Cell, dict[str, Any]]()
    reporter, shown = subject.reporter, len(cells)
    with reporter.bar("robustness", "cells") as progress:
        for done, cell in enumerate(cells, 1):
            result = files.read(cell)
            if result is None:
                result = _measure(subject, cell)
                files.write(cell, result)
                reporter.line(row_line(cell, result, f"{done}/{shown}"))
            found[cell] = result
            progress(done, shown)
    return found


def _measure(subject: Subject, cell: Cell) -> dict[str, Any]:
    asked = cell.asked
    if asked is None:
        return _scored(subject, subject.clean, subject.deployed)
    if isinstance(asked, _FAULTS):
        return _under_fault(subject, asked, cell.draw)
    return _under_corruption(subject, asked)


def _under_corruption(subject: Subject, corruption: Corruption) -> dict[str, Any]:
    data = subject.config.data
    refused = refusal(corruption, data.source)
    if refused is not None:
        return {"refused": refused}
    test = load_corrupted(data, "test", corruption, subject.seed)
    return _scored(subject, test, subject.deployed)


def _under_fault(subject: Subject, fault: Fault, draw: int) -> dict[str, Any]:
    """Write the faulty network's files and run them; the reference has its say on a few.

    Raises:
        HardspikeError: the target fails, or computes something else than the reference.
    """
    bits = subject.config.convert.weight_bits
    network = broken(subject.network, fault, bits, Draw(subject.seed, draw))
    shutil.rmtree(subject.work, ignore_errors=True)
    try:
        try:
            write_for(subject.target.name, network, subject.work)
        except HardspikeError as error:
            reason = "; ".join(str(error).splitlines())
            return {"refused": f"{subject.target.name}: {label(fault)}: {reason}"}
        return _scored(subject, subject.clean, subject.work, held_to_reference=True)
    finally:
        shutil.rmtree(subject.work, ignore_errors=True)


def write_for(target: str, network: FixedPointNetwork, folder: Path) -> None:
    """Write the files of a network that `target` and the reference run.

    Raises:
        HardspikeError: the files or the target cannot hold it; one line a limit.
    """
    match target:
        case "reference":
            pass
        case "onnxruntime":
            write_sequence(network, folder / "model.sequence.onnx")
        case "onnxruntime-step":
            write_step(network, folder / "model.step.onnx")
        case "loihi":
            check_limits(network)
        case _:
            raise HardspikeError(f"target: found {target}, allowed {', '.join(TARGETS)}")
    write_netx(network, folder / NET)


def _check_network(target: str, deployed: Path) -> None:
    """Refuse a target that would run what stands in for the network: the faults are the network's.

    Raises:
        HardspikeError: it would.
    """
    if target == "loihi" and (file := loihi_file(deployed).name) != NET:
        raise HardspikeError(
            f"{target}: runs {file} in the network's place, whose robustness is not the network's; "
            f"allowed are {', '.join(name for name in TARGETS if name != target)}"
        )


def _scored(
    subject: Subject, test: Dataset, files: Path, held_to_reference: bool = False
) -> dict[str, Any]:
    run = subject.target.run(files, test.spikes_BTCHW)
    if held_to_reference:
        _hold_to_reference(subject.target.name, run, files, test.spikes_BTCHW)
    predictions_B = decide(run.outputs_BTN, subject.network.readout)
    return {"n": len(test), "correct": int((predictions_B == test.labels_B).sum())}


def _hold_to_reference(
    target: str, run: TargetRun, files: Path, spikes_BTCHW: NDArray[np.uint8]
) -> None:
    few = slice(_ORACLE_RECORDINGS)
    expected = ReferenceTarget().run(files, spikes_BTCHW[few]).outputs_BTN
    if not np.array_equal(run.outputs_BTN[few], expected):
        raise HardspikeError(
            f"{target}: gives other outputs than the reference for the faulty network in {files}"
        )
