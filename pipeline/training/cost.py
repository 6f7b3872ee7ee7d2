"""What a training cost, as `train/cost.json` has it. Validation and writing are not in it."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from pipeline.training.checkpoint import Progress
from pipeline.training.energy import NO_COUNTER
from pipeline.training.flops import NOT_COUNTED


@dataclass(frozen=True)
class TrainingCost:
    """`seconds` of training alone, on `device`; `peak_memory_bytes` of the process, or of the GPU.

    `flops` are counted (`pipeline.training.flops`), those of all ranks together. `joules` are those
    of the whole processor or GPU that `energy_counter` names, None where no counter could be read
    at every moment of the training. `best_epoch` counts from 1.
    """

    method: str
    device: str
    threads: int
    seconds: float
    samples_per_second: float
    gradient_evaluations: int
    peak_memory_bytes: int
    flops: int
    flops_not_counted: str
    joules: float | None
    energy_counter: str | None
    epochs: int
    best_epoch: int

    @classmethod
    def of(cls, progress: Progress, method: str, device: str) -> "TrainingCost":
        """Return the cost of a finished training on the device of that name."""
        return cls(
            method=method,
            device=device,
            threads=torch.get_num_threads(),
            seconds=progress.seconds,
            samples_per_second=progress.samples / progress.seconds,
            gradient_evaluations=progress.gradient_evaluations,
            peak_memory_bytes=progress.peak_memory_bytes,
            flops=progress.flops,
            flops_not_counted=NOT_COUNTED,
            joules=progress.joules,
            energy_counter=progress.energy_counter,
            epochs=progress.epoch,
            best_epoch=progress.best_epoch + 1,
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values; joules that nothing counted are the words "no counter"."""
        tree = asdict(self)
        return tree if self.joules is not None else tree | {"joules": NO_COUNTER}
