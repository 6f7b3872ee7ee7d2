"""The train stage: recordings and a config in, the best weights and what they cost out."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from export.errors import HardspikeError
from export.files import write_json
from pipeline.config import SAST, Config, Imported
from pipeline.config_file import config_tree
from pipeline.data.events import I64, Dataset
from pipeline.data.paths import RANK
from pipeline.data.sources import load_dataset
from pipeline.data.splits import fold_split, split_validation
from pipeline.distributed import joined
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.progress import Reporter
from pipeline.run_dir import STATE
from pipeline.team import Team
from pipeline.training.admm.exchange import Exchange
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.train import train_admm
from pipeline.training.checkpoint import read_tensors, write_tensors
from pipeline.training.cost import TrainingCost
from pipeline.training.history_files import write_history
from pipeline.training.hybrid import train_sast
from pipeline.training.loop import TrainResult

_UNITS = {"sast": "epochs", "admm": "passes"}
MODEL, COST = "model.safetensors", "cost.json"


def train_stage(
    config: Config, key: str, folder: Path, reporter: Reporter, team: Team | None = None
) -> list[str]:
    """Train, write the weights, the history and the cost; return the names of their files.

    A state of the same `key` left by a killed run is gone on with. The other ranks of a `team` are
    called to train too.
    """
    if team is not None:
        team.call(config, key)
    result, exchange = _trained(config, key, folder / STATE, reporter, team)
    _write(result, config, exchange, folder)
    tensorboard = not isinstance(config.train, Imported) and config.train.tensorboard
    history = write_history(result.progress.history, folder, tensorboard)
    done = result.progress
    reporter.line(
        f"train     {done.epoch} {_UNITS[config.train.method]} on {result.device}, "
        f"{done.seconds:.1f} s, {done.samples / done.seconds:.0f} recordings/s, "
        f"best {done.best_epoch + 1}"
    )
    return [MODEL, COST, *history]


def train_for_others(config: Config, key: str, team: Team) -> None:
    """Train as another rank than the first: its sums count, and it writes nothing."""
    _trained(config, key, Path(STATE), Reporter(quiet=True), team)


def _trained(
    config: Config, key: str, state_path: Path, reporter: Reporter, team: Team | None
) -> tuple[TrainResult, Exchange]:
    with reporter.bar("data", "recordings") as progress:
        dataset = load_dataset(config.data, "train", progress)
    fit, held = split_validation(dataset.labels_B, config.data.validation_fraction, config.seed)
    network = build_network(config, dataset)
    with joined(team, _device(config), _alike(config, dataset)) as exchange:
        fit, held = (_share(config, dataset, chosen, exchange) for chosen in (fit, held))
        with reporter.bar("train", "minibatches") as progress:
            result = _method(config, exchange)(
                network,
                dataset.take(fit),
                dataset.take(held),
                seed=config.seed,
                state_path=state_path,
                fingerprint=key,
                report=progress,
                say=reporter.line,
            )
    return result, exchange


def _device(config: Config) -> str:
    return "cpu" if isinstance(config.train, Imported) else config.train.device


def _alike(config: Config, dataset: Dataset) -> dict[str, Any]:
    """Return what the ranks of one training must have alike, by a name for messages."""
    facts: dict[str, Any] = {
        "classes": list(dataset.classes),
        "shape of a recording": list(dataset.spikes_BTCHW.shape[1:]),
    }
    if config.train.method == "admm" and config.train.exchange == "recordings":
        seen = hashlib.sha256(dataset.labels_B.tobytes() + dataset.spikes_BTCHW.tobytes())
        facts["recordings (SHA-256)"] = seen.hexdigest()[:16]
    return facts


def _share(config: Config, dataset: Dataset, chosen: I64, exchange: Exchange) -> I64:
    """Return which of the chosen recordings are this rank's alone, stratified by class."""
    own_folder = RANK in getattr(config.data.source, "root", "")
    shared = config.train.method != "admm" or config.train.exchange == "recordings"
    if exchange.ranks == 1 or shared or own_folder:
        return chosen
    labels_B = dataset.labels_B[chosen]
    return chosen[fold_split(labels_B, exchange.ranks, exchange.rank, config.seed)[1]]


def _method(config: Config, exchange: Exchange) -> Callable[..., TrainResult]:
    match config.train:
        case SAST() as settings:
            return partial(train_sast, settings=settings)
        case ADMM() as settings:
            return partial(train_admm, settings=settings, exchange=exchange)
        case Imported():
            raise HardspikeError("train.method: found imported, which trains nothing")


def build_network(config: Config, dataset: Dataset) -> SpikingNetwork:
    """Return the untrained network for the shape and classes of `dataset`."""
    channels, height, width = dataset.spikes_BTCHW.shape[2:]
    return SpikingNetwork(config.layers, (channels, height, width), dataset.classes)


def _write(result: TrainResult, config: Config, exchange: Exchange, folder: Path) -> None:
    activation, progress = result.activation, result.progress
    header = {
        "surrogate": activation.surrogate,
        "slope": activation.slope,
        "forward": activation.forward,
        "network": config_tree(config.layers),
    }
    write_tensors(folder / MODEL, result.weights, {"hardspike": json.dumps(header)})
    cost = TrainingCost.of(progress, config.train.method, _device_name(result.device)).as_json()
    if exchange.ranks > 1:
        sent = sum(entry["bytes_sent"] for entry in progress.history)
        cost |= {
            "ranks": exchange.ranks,
            "exchange": config_tree(config)["train"]["exchange"],
            "bytes_sent": int(sent),
            "bytes_sent_per_pass": sent / progress.epoch,
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
        if header["network"] != config_tree(config.layers):
            raise HardspikeError(
                f"{folder / MODEL}: was trained as another network than the config's; "
                f"run `hardspike train {folder.parent}` first"
            )
        network = build_network(config, dataset)
        network.load_state_dict(tensors)
        return network, Activation(header["surrogate"], header["slope"], header["forward"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise HardspikeError(f"{folder / MODEL}: is not a trained network ({error})") from error
