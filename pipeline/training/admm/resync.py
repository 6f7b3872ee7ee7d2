"""One step of the resynchronised form: sums over recordings, gathered from hard forward states.

Axes: `T` time step, `B` recording, `K` class, `O` output, `F` fan-in (`synapses`).

Every step starts from the true state of the hard network, so that no slack is left over from the
step before, and solves ADMM's sub-problems for deviations from it, from the labels downwards:

    Δf          from the labels (`labels`);   r_L[t] = δ^(T−t)/G · Δf,  G = Σ δ^(2(T−t))
    Δa          = (WᵀW + γ·m·1)⁻¹Wᵀ r          of the layer above (`synapses`)
    Δz, r       the drive that gives them (`membrane`)
    XᵀX, RᵀX    the sums of the weight step ΔW = (RᵀX)(XᵀX + μ·m·1)⁻¹ (`ridge`)

`docs/admm.md` derives it and says how it differs from what was published.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.training.admm.exchange import Exchange
from pipeline.training.admm.labels import asked_evidence, mismatch
from pipeline.training.admm.membrane import asked_drive
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import Pass, Stack
from pipeline.training.admm.synapses import dense_back_solved


@dataclass
class Sums:
    """What a step needs of its recordings; sums of parts of a batch add up.

    `cross_OF` and `places` have an entry a spiking layer, from the first; `gram_FF` has one of
    each layer that it was asked for. `features_FF` and `targets_KF` are FᵀF and YᵀF of a
    `membrane` readout, Y what is asked of the evidence. All float64.
    """

    cross_OF: list[Tensor] = field(default_factory=list)
    gram_FF: list[Tensor] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    features_FF: Tensor | None = None
    targets_KF: Tensor | None = None
    recordings: int = 0
    correct: int = 0
    mismatch: float = 0.0

    def tensors(self) -> list[Tensor]:
        """Return the tensors, for adding up in place."""
        readout = [self.features_FF, self.targets_KF]
        return [*self.cross_OF, *self.gram_FF, *(one for one in readout if one is not None)]

    def add(self, other: "Sums") -> None:
        """Add the sums of other recordings."""
        for mine, others in zip(self.tensors(), other.tensors(), strict=True):
            mine += others
        self._set_numbers([a + b for a, b in zip(self._numbers(), other._numbers(), strict=True)])

    def add_up(self, exchange: Exchange) -> None:
        """Put the sums over all ranks in their place."""
        if exchange.ranks == 1:
            return
        numbers = torch.tensor(self._numbers(), dtype=torch.float64)
        targets = [] if self.targets_KF is None else [self.targets_KF]
        features = [] if self.features_FF is None else [self.features_FF]
        exchange.add_up([*self.cross_OF, *targets, numbers], [*self.gram_FF, *features])
        self._set_numbers(numbers.tolist())

    def _numbers(self) -> list[float]:
        return [self.recordings, self.correct, self.mismatch, *self.places]

    def _set_numbers(self, numbers: list[float]) -> None:
        self.recordings, self.correct = round(numbers[0]), round(numbers[1])
        self.mismatch, self.places = numbers[2], numbers[3:]


@dataclass(frozen=True)
class Asked:
    """What is asked of one spiking layer: Δa of its spikes, Δz of its membranes, r of its drive."""

    layer: int
    spikes: Tensor
    membranes: Tensor
    drive: Tensor


def high_evidence(stack: Stack, settings: ADMM) -> float:
    """Return what is asked of the evidence for the right class."""
    return 1.0 if stack.readout is not None else settings.target * len(stack.weights_T)


def asked_of_layers(stack: Stack, done: Pass, change_BK: Tensor, settings: ADMM) -> Iterator[Asked]:
    """Yield what is asked of every spiking layer, from the last to the first."""
    if not stack.synapses:
        return
    last = len(stack.synapses) - 1
    spikes = _asked_by_readout(stack, change_BK, settings).view_as(done.states[last].spikes)
    for layer in range(last, -1, -1):
        state = done.states[layer]
        drive, membranes = asked_drive(state, spikes, stack.neurons[layer], settings.membrane)
        yield Asked(layer, spikes, membranes, drive)
        if layer:
            spikes = stack.synapses[layer].back_solved(drive, settings.damping)


def _asked_by_readout(stack: Stack, change_BK: Tensor, settings: ADMM) -> Tensor:
    share_T = (stack.weights_T / stack.energy).view(-1, 1, 1)
    if stack.readout is None:
        return share_T * change_BK
    weight = stack.readout.layer.weight.detach()
    return share_T * dense_back_solved(weight, change_BK, settings.output_damping)


def gathered(
    stack: Stack, spikes: Tensor, labels_B: Tensor, settings: ADMM, renewed: Collection[int]
) -> Sums:
    """Return the sums over some recordings, `spikes` being `(T, B, …)`.

    Gram matrices are gathered of the `renewed` layers alone, in their order.
    """
    done = stack.forward(spikes)
    high = high_evidence(stack, settings)
    change_BK = asked_evidence(done.evidence_BK, labels_B, settings.labels, stack.energy, high)
    sums = measured(stack, done, labels_B, settings, change_BK)
    crosses = []
    for asked in asked_of_layers(stack, done, change_BK, settings):
        synapses = stack.synapses[asked.layer]
        crosses.append(synapses.cross(asked.drive, done.below(asked.layer)))
        sums.places.insert(0, synapses.places(asked.drive))
    sums.cross_OF = crosses[::-1]
    sums.gram_FF = [stack.synapses[layer].gram(done.below(layer)) for layer in renewed]
    return sums


def measured(
    stack: Stack, done: Pass, labels_B: Tensor, settings: ADMM, change_BK: Tensor | None = None
) -> Sums:
    """Return the sums of the readout alone, and how far the evidence is off the labels."""
    high, evidence = high_evidence(stack, settings), done.evidence_BK
    sums = Sums(recordings=len(labels_B))
    sums.mismatch = mismatch(evidence, labels_B, settings.labels, high)
    sums.correct = int((evidence.argmax(1) == labels_B).sum())
    if done.features_BF is not None:
        features = done.features_BF.double()
        wanted = functional.one_hot(labels_B, evidence.shape[1]).double()
        if settings.labels.kind == "cross-entropy" and change_BK is not None:
            wanted = change_BK.double()
        sums.features_FF, sums.targets_KF = features.T @ features, wanted.T @ features
    return sums
