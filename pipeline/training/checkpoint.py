"""The training state on disk: everything the next epoch depends on, in one safetensors file.

Nothing random is stored: every epoch draws from a generator of its own, seeded by (seed, epoch).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from export.errors import HardspikeError
from export.files import write_bytes

_SCHEMA = "hardspike.training/1"


@dataclass
class Progress:
    """What training has done so far. `history` has one entry an epoch and no wall time in it.

    `joules` is None where a part of the training had no counter, or another one than the rest;
    `energy_counter` says what was counted. `steps` is kind of step → how much of it was done, from
    which FLOPs are counted at the end; `flops` has those of what training began with.
    """

    fingerprint: str
    epoch: int = 0
    gradient_evaluations: int = 0
    samples: int = 0
    seconds: float = 0.0
    joules: float | None = 0.0
    energy_counter: str | None = None
    peak_memory_bytes: int = 0
    steps: dict[str, int] = field(default_factory=dict)
    flops: int = 0
    best_epoch: int = -1
    best_score: tuple[float, float] = (-1.0, 0.0)
    history: list[dict[str, float]] = field(default_factory=list)

    def add_cost(
        self, seconds: float, joules: float | None, counter: str | None, peak_memory_bytes: int
    ) -> None:
        """Add a part of the training, with the joules of one counter or None."""
        another = bool(self.seconds) and counter != self.energy_counter
        if self.joules is None or joules is None or another:
            self.joules, self.energy_counter = None, None
        else:
            self.joules, self.energy_counter = self.joules + joules, counter
        self.seconds += seconds
        self.peak_memory_bytes = max(self.peak_memory_bytes, peak_memory_bytes)

    def add_training(self, other: "Progress") -> None:
        """Add the cost of another training that this one begins or ends with."""
        self.add_cost(other.seconds, other.joules, other.energy_counter, other.peak_memory_bytes)
        self.samples += other.samples
        self.flops += other.flops

    def count_step(self, kind: str, amount: int = 1) -> None:
        """Note that a step of some kind was taken."""
        self.steps[kind] = self.steps.get(kind, 0) + amount


def save_state(
    path: Path,
    progress: Progress,
    network: nn.Module,
    best: dict[str, Tensor],
    optimizer: dict[str, Tensor],
) -> None:
    """Write the state after an epoch in one step; `optimizer` is what else the next one needs."""
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in best.items()}
    tensors |= {f"optimizer.{key}": value for key, value in optimizer.items()}
    write_tensors(path, tensors, {"schema": _SCHEMA, "progress": json.dumps(asdict(progress))})


def load_state(
    path: Path,
    fingerprint: str,
    network: nn.Module,
    restore_optimizer: Callable[[dict[str, Tensor]], None],
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Restore network and optimiser; return the progress and the best weights.

    None when there is no state, or one of another experiment (`fingerprint`).

    Raises:
        HardspikeError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        tensors, metadata = read_tensors(path)
        progress = Progress(**json.loads(metadata["progress"]))
        if progress.fingerprint != fingerprint:
            return None
        progress.best_score = (progress.best_score[0], progress.best_score[1])
        network.load_state_dict(_below(tensors, "network."))
        restore_optimizer(_below(tensors, "optimizer."))
        return progress, _below(tensors, "best.")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise HardspikeError(
            f"{path}: is not a training state ({error}); delete it to train from the start"
        ) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of a torch optimiser for `save_state`."""
    return {
        f"{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a torch optimiser the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors as safetensors in one step."""
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_bytes(path, save(plain, metadata=metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a safetensors file.

    Raises:
        HardspikeError: the file is absent or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            return {key: file.get_tensor(key) for key in keys}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HardspikeError(f"{path}: is not readable as safetensors ({error})") from error
