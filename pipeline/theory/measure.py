"""`hardspike theory`: every quantity of the theory on a trained network, beside what it does."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import write_bytes, write_json
from pipeline.config import SAST, SGD, Adam, Config
from pipeline.progress import Reporter
from pipeline.run_dir import git_commit, locked, versions
from pipeline.stages import check_current
from pipeline.theory import figures
from pipeline.theory.picture import mechanism_picture
from pipeline.theory.subject import FEWEST, Subject, subject_of
from pipeline.theory.table import markdown, rows_of

SCHEMA = "hardspike.theory/1"
FOLDER, JSON, PAGE, PICTURE = "theory", "theory.json", "theory.md", "mechanism.png"
_RHO = 0.05


def theory(
    config: Config, run: Path, samples: int, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Measure the run's trained network, write `theory/` in the run folder, return the report.

    Raises:
        HardspikeError: too few samples, another method than SAST, or the run is not trained or out
            of date.
    """
    if samples < FEWEST:
        raise HardspikeError(f"--samples: found {samples}, allowed {FEWEST} and more")
    if not 0 <= seed < 2**63:
        raise HardspikeError(f"--seed: found {seed}, allowed 0 to 2^63 − 1")
    if not isinstance(config.train, SAST):
        raise HardspikeError(
            f"train.method: found {config.train.method}, allowed sast: the theory is of networks "
            "that were trained by a gradient, at a slope"
        )
    with locked(run):
        check_current("train", config, run)
        with reporter.bar("data", "recordings") as progress:
            subject = subject_of(config, run, samples, seed, progress)
        report = build_report(config, subject, reporter)
        _write(report, run / FOLDER)
    reporter.line(f"theory    {run / FOLDER / PAGE}")
    return report


def build_report(config: Config, subject: Subject, reporter: Reporter) -> dict[str, Any]:
    """Return every figure and the table as plain JSON values; infinity is null."""
    settings = config.train if isinstance(config.train, SAST) else None
    with reporter.bar("theory", "parts") as progress:
        layers = figures.layer_figures(subject)
        progress(1, 4)
        responses = figures.response_figures(subject)
        progress(2, 4)
        mechanism = figures.mechanism_figures(subject, responses.pop("conditioning"))
        progress(3, 4)
        loss = figures.loss_figures(subject, settings.rho if settings and settings.rho else _RHO)
        batch_size = settings.batch_size if settings else 1
        loss |= figures.convergence_figures(loss, mechanism["parameter_gradients"], batch_size)
        progress(4, 4)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "name": config.name,
        "recordings": {"split": subject.split, "n": subject.count},
        "seed": subject.seed,
        "steps": subject.steps,
        "input_max": {
            "allowed": subject.input_max,
            "seen": max(float(spikes.max()) for spikes, _ in subject.batches),
        },
        "activation": asdict(subject.activation),
        "training": {"method": config.train.method}
        if settings is None
        else _training(settings, subject.trained_on),
        "layers": layers,
        "lipschitz": responses,
        "loss": loss,
        "mechanism": mechanism,
    }
    report = _plain(report)
    report["rows"] = [asdict(row) for row in rows_of(report)]
    return report | {"versions": versions(), "git_commit": git_commit()}


def _write(report: dict[str, Any], folder: Path) -> None:
    mechanism = report["mechanism"]
    mechanism_picture(
        mechanism["parameter_gradients"], mechanism["input_gradients"], folder / PICTURE
    )
    write_bytes(folder / PAGE, markdown(report).encode())
    write_json(folder / JSON, report)


def _training(settings: SAST, recordings: int) -> dict[str, Any]:
    """What of the training the assumptions are about."""
    return {
        "method": settings.method,
        "forward": settings.finetune.forward if settings.finetune else settings.forward,
        "recordings": recordings,
        "batch_size": settings.batch_size,
        "learning_rate": settings.optimizer.learning_rate,
        "second_batch": settings.second_batch,
        "adaptive": settings.perturbation.adaptive,
        "deviations": _deviations(settings),
    }


def _deviations(settings: SAST) -> list[str]:
    """Return what training did beside plain SGD of one step size on one objective."""
    optimizer = settings.optimizer
    facts = {
        "Adam": isinstance(optimizer, Adam),
        "momentum": isinstance(optimizer, SGD) and optimizer.momentum > 0,
        "weight decay": optimizer.weight_decay > 0,
        "clipped gradient": settings.clip_norm is not None,
        "learning rate schedule": settings.schedule != "constant",
        "slope schedule": settings.slope.end not in (None, settings.slope.start),
        "fine-tuning": settings.finetune is not None,
        "warm start": settings.warm_start is not None,
        "refitted readout": settings.readout_refit is not None,
    }
    return [name for name, true in facts.items() if true]


def _plain(value: Any) -> Any:
    """Return a JSON value: infinity, where a bound leaves float64, becomes null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
