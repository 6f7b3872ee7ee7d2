"""SAST and ADMM together: ADMM's weights as a start, ADMM's readout as an end."""

from dataclasses import replace
from pathlib import Path

import torch

from pipeline.config import SAST
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import predicted
from pipeline.training.admm.train import refit_readout, train_admm
from pipeline.training.checkpoint import Progress
from pipeline.training.loop import Report, Say, TrainResult, train


def train_sast(
    network: SpikingNetwork,
    training: Dataset,
    validation: Dataset,
    settings: SAST,
    seed: int,
    state_path: Path,
    fingerprint: str,
    report: Report,
    say: Say = lambda line: None,
) -> TrainResult:
    """Train by SAST, from an ADMM start and to an ADMM readout where the settings have them.

    Arguments, result and errors are those of `loop.train`. The seconds of both are counted. What a
    refit does is in the best epoch's history, `validation_refitted`, and does not choose.
    """

    def warm_start(progress: Progress) -> None:
        assert settings.warm_start is not None
        start = settings.warm_start.model_copy(update={"device": settings.device})
        _warm_start(network, training, validation, start, seed, progress)

    wanted = warm_start if settings.warm_start is not None else None
    result = train(
        network, training, validation, settings, seed, state_path, fingerprint, report, say, wanted
    )
    if settings.readout_refit is None:
        return result
    network.load_state_dict(result.weights)
    progress = result.progress
    progress.add_training(refit_readout(network, training, settings.readout_refit.ridge))
    if len(validation):
        classes = predicted(network, validation.spikes_BTCHW, "hard")
        accuracy = float((classes == validation.labels_B).mean())
        progress.history[progress.best_epoch]["validation_refitted"] = accuracy
    return replace(result, weights=network.weights())


def _warm_start(
    network: SpikingNetwork,
    training: Dataset,
    validation: Dataset,
    settings: ADMM,
    seed: int,
    progress: Progress,
) -> None:
    """Train by ADMM and note what it cost; a kill on the way starts it again."""
    found = train_admm(
        network, training, validation, settings, seed, None, "", lambda done, total: None
    )
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.copy_(found.weights[name])
    progress.add_training(found.progress)
