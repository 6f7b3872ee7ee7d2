"""How far ADMM has come, on a fixed set of recordings: residuals, slack, agreement, conditioning.

Axes: `T` time step, `B` recording, `O` output, `F` fan-in (`synapses`).

All of it starts from the state (z0, a0) of the hard forward pass; Δa, Δz and r are what `resync`
asks of a layer's spikes, membranes and drive, and x is what the layer reads. Layers count from 1:

    objective    what the labels' term of the objective is, a recording
    hard         accuracy of the hard network
    step         α of `batch: full`, or the trust in force of `batch: stream`
    residual_1   ‖r − D x‖/‖r‖, D the weight step of these recordings (below)
    slack_1      mean of (a0 + Δa − H(z0 + Δz − ϑ))²
    agreement_1  share of the spikes H(z0 + Δz − ϑ) that are those of a0
    rate_1       share of the steps at which a neuron fires
    condition_1  largest eigenvalue of XᵀX + μ·m·1, the Gram matrix in force, over the smallest

ADMM's constraint on the drive, I = W x, is linear in W at a fixed x; with I0 = W x and the wanted
I0 + r its primal residual after the weight step is (I0 + r) − (W + D)x = r − D x. D is the step
before any step size, D = (RᵀX/n)(XᵀX + μ·m·1)⁻¹ with the Gram matrix (a mean over rows) of the
training recordings and RᵀX summed over the n rows of these: 0 is a step that supplies all of what
was asked for, 1 one that supplies nothing; above 1 it overshoots, because the layer below fires
more than when the Gram matrix was taken. Where hidden weights are never moved (`trust` = 0) there
is no Gram matrix, and neither residual nor condition; a layer that nothing is asked of has the
residual 0.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from export.errors import HardspikeError
from pipeline.config import ConvSettings
from pipeline.training.admm.labels import asked_evidence, mismatch
from pipeline.training.admm.membrane import Neuron, State
from pipeline.training.admm.resync import Asked, asked_of_layers, high_evidence
from pipeline.training.admm.ridge import RidgeFactor
from pipeline.training.admm.steps import Batch, Steps
from pipeline.training.admm.synapses import Synapses


def convergence(steps: Steps, probe: Batch) -> dict[str, float]:
    """Return the measures by name; no more than `chunk` recordings are worked on at a time.

    Raises:
        HardspikeError: a measure is not finite.
    """
    stack, settings = steps.stack, steps.settings
    high, objective, correct = high_evidence(stack, settings), 0.0, 0
    layers = [_Layer(synapses) for synapses in stack.synapses]
    for spikes, labels_B in _parts(probe, settings.chunk):
        done = stack.forward(spikes)
        evidence_BK = done.evidence_BK
        objective += mismatch(evidence_BK, labels_B, settings.labels, high)
        _finite({"objective": objective})
        correct += int((evidence_BK.argmax(1) == labels_B).sum())
        asked_BK = asked_evidence(evidence_BK, labels_B, settings.labels, stack.energy, high)
        for asked in asked_of_layers(stack, done, asked_BK, settings):
            index = asked.layer
            layers[index].add(asked, done.states[index], stack.neurons[index], done.below(index))
    if steps.factors:
        for layer, factor in zip(layers, steps.factors, strict=True):
            layer.solve(factor)
        for spikes, _ in _parts(probe, settings.chunk):
            done = stack.forward(spikes)
            for index, layer in enumerate(layers):
                layer.add_supplied(done.below(index))
    count = len(probe[1])
    found = {"objective": objective / count, "hard": correct / count, "step": steps.size}
    for number, layer in enumerate(layers, 1):
        found |= {f"{name}_{number}": value for name, value in layer.named().items()}
    return _finite(found)


def _parts(probe: Batch, size: int) -> Iterator[Batch]:
    spikes, labels_B = probe
    for start in range(0, len(labels_B), size):
        yield spikes[:, start : start + size], labels_B[start : start + size]


class _Layer:
    """Sums of one layer over the recordings, and the weight step they ask for."""

    def __init__(self, synapses: Synapses) -> None:
        self._synapses = synapses
        self._cross_OF = torch.zeros_like(synapses.matrix_OF, dtype=torch.float64)
        self._rows, self._count = 0, 0
        self._asked = self._supplied = self._slack = self._agreeing = self._fired = 0.0
        self._step_OF: Tensor | None = None
        self._condition = math.nan

    def add(self, asked: Asked, state: State, neuron: Neuron, below: Tensor) -> None:
        """Add what is asked of the layer at some recordings, whose spikes `below` it reads."""
        relaxed = (state.membranes + asked.membranes > neuron.threshold).to(state.spikes.dtype)
        wanted = state.spikes + asked.spikes
        self._slack += _total((wanted - relaxed).square())
        self._agreeing += _total(relaxed == state.spikes)
        self._fired += _total(state.spikes)
        self._count += state.spikes.numel()
        self._asked += _total(asked.drive.square())
        self._cross_OF += self._synapses.cross(asked.drive, below)
        self._rows += self._synapses.places(asked.drive)

    def solve(self, factor: RidgeFactor) -> None:
        """Find the step D from what was added."""
        self._step_OF = factor.solved(self._cross_OF / self._rows)
        self._condition = factor.condition()

    def add_supplied(self, below: Tensor) -> None:
        """Add ‖D x‖² of some recordings."""
        assert self._step_OF is not None
        self._supplied += _total(_changed_drive(self._synapses, self._step_OF, below).square())

    def named(self) -> dict[str, float]:
        """Return the measures by name."""
        named = {
            "slack": self._slack / self._count,
            "agreement": self._agreeing / self._count,
            "rate": self._fired / self._count,
        }
        if self._step_OF is None:
            return named
        return {"residual": self._residual(), **named, "condition": self._condition}

    def _residual(self) -> float:
        """Return ‖r − D x‖/‖r‖ from ‖r‖² − 2⟨D, RᵀX⟩ + ‖D x‖²."""
        assert self._step_OF is not None
        if not self._asked:
            return 0.0
        left = self._asked - 2 * _total(self._step_OF * self._cross_OF) + self._supplied
        return math.sqrt(max(left, 0.0) / self._asked) if math.isfinite(left) else math.nan


def _changed_drive(synapses: Synapses, step_OF: Tensor, spikes: Tensor) -> Tensor:
    """Return D x of every image, `(I, O…)`."""
    layer, images = synapses.layer, spikes.flatten(0, 1)
    step = step_OF.to(images.dtype)
    weight = step[:, : layer.weight[0].numel()].reshape(layer.weight.shape)
    bias = step[:, -1] if layer.bias is not None else None
    if isinstance(layer.settings, ConvSettings):
        settings = layer.settings
        return functional.conv2d(images, weight, bias, settings.stride, settings.padding)
    return functional.linear(images.flatten(1), weight, bias)


def _total(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))


def _finite(named: dict[str, float]) -> dict[str, float]:
    for name, value in named.items():
        if not math.isfinite(value):
            raise HardspikeError(
                f"train: {name} is {value} after a pass; a larger train.ridge may help"
            )
    return named
