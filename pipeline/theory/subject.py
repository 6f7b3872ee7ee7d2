"""The trained network of a run in float64, and the recordings that it is measured on.

Axes: `T` time step, `B` recording, `C` channel, `H` height, `W` width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from export.network import Readout
from pipeline.config import Config
from pipeline.data.events import COUNT_MAX, Dataset
from pipeline.data.settings import step_ms
from pipeline.data.sources import load_dataset
from pipeline.data.splits import split_validation
from pipeline.model import SpikingNetwork, to_time_first
from pipeline.neuron import Activation
from pipeline.theory.smooth_forward import Batch
from pipeline.theory.states import TheoryLayer, theory_layers
from pipeline.train import load_trained

FEWEST = 2
_STATES_AT_ONCE = 10_000_000


@dataclass(frozen=True, eq=False)
class Subject:
    """What is measured. `batches` hold float64 spikes `(T, B, C, H, W)` and labels `(B,)`;
    `trained_on` counts the recordings of training.

    A network that was trained with hard spikes is measured as its smooth twin of the same slope.
    """

    network: SpikingNetwork
    activation: Activation
    layers: tuple[TheoryLayer, ...]
    batches: list[Batch]
    input_max: int
    split: str
    seed: int
    trained_on: int

    @property
    def steps(self) -> int:
        """T."""
        return len(self.batches[0][0])

    @property
    def count(self) -> int:
        """The number of recordings."""
        return sum(len(labels) for _, labels in self.batches)

    @property
    def readout(self) -> Readout:
        """How the last layer is read."""
        return self.network.readout

    def singles(self, limit: int) -> list[torch.Tensor]:
        """Return the first recordings one by one, `(T, 1, C, H, W)` each."""
        each = [
            spikes[:, index : index + 1]
            for spikes, labels in self.batches
            for index in range(len(labels))
        ]
        return each[:limit]


def subject_of(
    config: Config, run: Path, samples: int, seed: int, progress: Callable[[int, int], None]
) -> Subject:
    """Return the run's network and up to `samples` recordings drawn from `seed`.

    Recordings are those held for validation, or the test split's where fewer than two were held.

    Raises:
        HardspikeError: recordings are missing, or the trained network is damaged.
    """
    data, split, trained_on = _recordings(config, progress)
    network, activation = load_trained(config, data, run / "train")
    network = network.double()
    smooth = Activation(activation.surrogate, activation.slope, "smooth")
    input_max = 1 if config.data.binning.mode == "binary" else COUNT_MAX
    steps = config.data.binning.steps
    layers = theory_layers(network.contract(steps, step_ms(config.data) / 1000, input_max), smooth)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(data.labels_B))[:samples])
    states = steps * sum(math.prod(layer.operator.output_shape) for layer in layers)
    parts = min(len(chosen), -(-len(chosen) * states // _STATES_AT_ONCE))
    batches = [_batch(data.take(part)) for part in np.array_split(chosen, parts)]
    return Subject(network, smooth, layers, batches, input_max, split, seed, trained_on)


def _recordings(config: Config, progress: Callable[[int, int], None]) -> tuple[Dataset, str, int]:
    data = load_dataset(config.data, "train", progress)
    fit, held = split_validation(data.labels_B, config.data.validation_fraction, config.seed)
    if len(held) >= FEWEST:
        return data.take(held), "validation", len(fit)
    return load_dataset(config.data, "test", progress), "test", len(fit)


def _batch(data: Dataset) -> Batch:
    spikes_TBCHW = to_time_first(data.spikes_BTCHW, torch.device("cpu")).double()
    return spikes_TBCHW, torch.as_tensor(data.labels_B)
