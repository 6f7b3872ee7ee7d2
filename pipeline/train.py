"""The train stage: recordings and a config in, the best weights and what they cost out."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from export.errors import HardspikeError
from export.files import write_json
from pipeline.config import SAST, Config
from pipeline.config_file import config_tree
from pipeline.data.events import Dataset
from pipeline.data.sources import load_dataset
from pipeline.data.splits import split_validation
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.progress import Reporter
from pipeline.run_dir import STATE
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.train import train_admm
from pipeline.training.checkpoint import read_tensors, write_tensors
from pipeline.training.hybrid import train_sast
from pipeline.training.loop import TrainResult

_UNITS = {"sast": "epochs", "admm": "passes"}
MODEL, HISTORY, COST = "model.safetensors", "history.json", "cost.json"


def train_stage(config: Config, key: str, folder: Path, reporter: Reporter) -> list[str]:
    """Train, write `model.safetensors`, `history.json` and `cost.json`; return their names.

    A state of the same `key` left by a killed run is gone on with.
    """
    with reporter.bar("data", "recordings") as progress:
        dataset = load_dataset(config.data, "train", progress)
    fit, held = split_validation(dataset.labels_B, config.data.validation_fraction, config.seed)
    network = build_network(config, dataset)
    with reporter.bar("train", "minibatches") as progress:
        result = _method(config)(
            network,
            dataset.take(fit),
            dataset.take(held),
            seed=config.seed,
            state_path=folder / STATE,
            fingerprint=key,
            report=progress,
            say=reporter.line,
        )
    _write(result, config, folder)
    done = result.progress
    reporter.line(
        f"train     {done.epoch} {_UNITS[config.train.method]} on {result.device}, "
        f"{done.seconds:.1f} s, {done.samples / done.seconds:.0f} recordings/s, "
        f"best {done.best_epoch + 1}"
    )
    return [MODEL, HISTORY, COST]


def _method(config: Config) -> Callable[..., TrainResult]:
    match config.train:
        case SAST() as settings:
            return partial(train_sast, settings=settings)
        case ADMM() as settings:
            return partial(train_admm, settings=settings)


def build_network(config: Config, dataset: Dataset) -> SpikingNetwork:
    """Return the untrained network for the shape and classes of `dataset`."""
    channels, height, width = dataset.spikes_BTCHW.shape[2:]
    return SpikingNetwork(config.network, (channels, height, width), dataset.classes)


def _write(result: TrainResult, config: Config, folder: Path) -> None:
    activation, progress = result.activation, result.progress
    header = {
        "surrogate": activation.surrogate,
        "slope": activation.slope,
        "forward": activation.forward,
        "network": config_tree(config.network),
    }
    write_tensors(folder / MODEL, result.weights, {"hardspike": json.dumps(header)})
    write_json(folder / HISTORY, progress.history)
    cost = {
        "method": config.train.method,
        "device": _device_name(result.device),
        "threads": torch.get_num_threads(),
        "seconds": progress.seconds,
        "samples_per_second": progress.samples / progress.seconds,
        "gradient_evaluations": progress.gradient_evaluations,
        "peak_memory_bytes": progress.peak_memory_bytes,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch + 1,
    }
    write_json(folder / COST, cost)


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"


def load_trained(
    config: Config, dataset: Dataset, folder: Path
) -> tuple[SpikingNetwork, Activation]:
    """Return the trained network and the activation it was best with.

    Raises:
        HardspikeError: the file is damaged, or its tensors are not those of the config's network.
    """
    tensors, metadata = read_tensors(folder / MODEL)
    try:
        header = json.loads(metadata["hardspike"])
        if header["network"] != config_tree(config.network):
            raise HardspikeError(
                f"{folder / MODEL}: was trained as another network than the config's; "
                f"run `hardspike train {folder.parent}` first"
            )
        network = build_network(config, dataset)
        network.load_state_dict(tensors)
        return network, Activation(header["surrogate"], header["slope"], header["forward"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise HardspikeError(f"{folder / MODEL}: is not a trained network ({error})") from error
