"""The weight steps of ADMM from gathered sums: a minibatch at a time, or over all recordings.

Axes: `O` output, `F` fan-in, `K` class.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.training.admm.exchange import Exchange
from pipeline.training.admm.resync import Sums, gathered, high_evidence, measured
from pipeline.training.admm.ridge import RidgeFactor
from pipeline.training.admm.settings import ADMM, Full, Stream
from pipeline.training.admm.stack import Stack
from pipeline.training.admm.synapses import Synapses

Batch = tuple[Tensor, Tensor]
"""Spikes `(T, B, …)` and labels `(B,)`."""
_FIRST_LAYER_UNTIL = 31
_READOUT_MEMORY = 0.95
"""The readout's sums are those of the last 20 minibatches, about."""


@dataclass
class Memory:
    """What lives on from step to step. `alpha` is the last step size of `batch: full`.

    `renewals` counts those of each layer's Gram matrix.
    """

    steps: int = 0
    alpha: float = 1.0
    renewals: list[int] = field(default_factory=list)
    grams_FF: list[Tensor] = field(default_factory=list)
    crosses_OF: list[Tensor] = field(default_factory=list)
    features_FF: Tensor | None = None
    targets_KF: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Return everything but the factors, which follow from the Gram matrices."""
        named = {f"gram.{index}": one for index, one in enumerate(self.grams_FF)}
        named |= {f"cross.{index}": one for index, one in enumerate(self.crosses_OF)}
        if self.features_FF is not None and self.targets_KF is not None:
            named |= {"features": self.features_FF, "targets": self.targets_KF}
        numbers = [self.steps, self.alpha, *self.renewals]
        return named | {"numbers": torch.tensor(numbers, dtype=torch.float64)}

    @classmethod
    def restored(cls, tensors: dict[str, Tensor], device: torch.device) -> "Memory":
        """Return what `tensors` was made from."""
        steps, alpha, *renewals = tensors["numbers"].tolist()
        moved = {key: value.to(device) for key, value in tensors.items()}
        grams = [moved[f"gram.{i}"] for i in range(sum(key.startswith("gram.") for key in moved))]
        crosses = [moved[f"cross.{i}"] for i in range(sum(key[:6] == "cross." for key in moved))]
        pair = moved.get("features"), moved.get("targets")
        return cls(int(steps), alpha, [int(one) for one in renewals], grams, crosses, *pair)


class Steps:
    """Takes ADMM's steps on a stack.

    `size` is that of the last step: α of `batch: full`, or the trust in force; `renewed` are the
    layers whose Gram matrices it renewed.
    """

    def __init__(
        self, stack: Stack, settings: ADMM, exchange: Exchange, memory: Memory | None = None
    ) -> None:
        self.stack, self.settings, self.exchange = stack, settings, exchange
        self.memory = memory if memory is not None else Memory()
        self.factors = [RidgeFactor(gram, settings.ridge) for gram in self.memory.grams_FF]
        self.size = self.memory.alpha if isinstance(settings.batch, Full) else 0.0
        self.renewed: Sequence[int] = ()

    def refit_readout(self, parts: Iterable[Batch]) -> Sums:
        """Fit the readout to the hard network's features of all recordings; return their sums."""
        total = self._measured(parts)
        self._fit_readout(total.features_FF, total.targets_KF)
        return total

    def stream(self, parts: Sequence[Batch], total_steps: int) -> Sums:
        """Take one step of `batch: stream` on a minibatch, given in parts of bounded size."""
        settings, memory, batch = self.settings, self.memory, self.settings.batch
        assert isinstance(batch, Stream)
        renewed = self.renewed = self.due(memory.steps)
        sums = self._gathered(parts, renewed) if batch.trust else self._measured(parts)
        share = 0.5 * (1 + math.cos(math.pi * memory.steps / max(total_steps, 1)))
        trust = batch.trust * (share if batch.schedule == "cosine" else 1.0)
        if trust:
            self._renew(sums, renewed, batch.memory)
            for layer, factor in enumerate(self.factors):
                mean_OF = sums.cross_OF[layer] / sums.places[layer]
                self._move(layer, factor, mean_OF, trust, batch.momentum)
        if settings.labels.kind == "squared" or not batch.trust:
            self._remember_readout(sums)
            self._fit_readout(memory.features_FF, memory.targets_KF)
        else:
            self._step_readout(sums, trust)
        memory.steps += 1
        self.size = trust
        return sums

    def full(self, parts: Callable[[], Iterable[Batch]]) -> Sums:
        """Take one step of `batch: full`; `parts` goes over all recordings anew."""
        settings, stack, memory = self.settings, self.stack, self.memory
        assert isinstance(settings.batch, Full)
        renewed = self.renewed = self.due(memory.steps)
        sums = self._gathered(parts(), renewed)
        if not memory.steps:
            memory.alpha = settings.batch.alpha
        self._renew(sums, renewed, 0.0)
        start = [synapses.matrix_OF.clone() for synapses in stack.synapses]
        crosses = _means(sums.cross_OF, sums.places)
        change = [f.solved(cross) for f, cross in zip(self.factors, crosses, strict=True)]
        trials = []
        for alpha in (memory.alpha / 2, memory.alpha, 2 * memory.alpha):
            self._assign(start, change, alpha)
            trials.append((self._mismatch_after_refit(parts()), alpha))
        memory.alpha = min(trials)[1]
        self._assign(start, change, memory.alpha)
        self._mismatch_after_refit(parts())
        memory.steps += 1
        self.size = memory.alpha
        return sums

    def due(self, step: int) -> Sequence[int]:
        """Return the layers whose Gram matrices are renewed at the step of this number, from 0."""
        settings, layers = self.settings, len(self.stack.synapses)
        if isinstance(settings.batch, Stream):
            return _due(layers, step, settings.batch.renew_every)
        # What the first layer reads changes by augmentation alone.
        known = step > 0 and settings.shift_pixels == 0
        return range(int(known), layers)

    def _gathered(self, parts: Iterable[Batch], renewed: Collection[int]) -> Sums:
        return self._summed(
            gathered(self.stack, spikes, labels_B, self.settings, renewed)
            for spikes, labels_B in parts
        )

    def _measured(self, parts: Iterable[Batch]) -> Sums:
        return self._summed(
            measured(self.stack, self.stack.forward(spikes), labels_B, self.settings)
            for spikes, labels_B in parts
        )

    def _summed(self, parts: Iterable[Sums]) -> Sums:
        """Return the sum over all parts of all ranks."""
        rest = iter(parts)
        total = next(rest)
        for sums in rest:
            total.add(sums)
        total.add_up(self.exchange)
        return total

    def _renew(self, sums: Sums, renewed: Sequence[int], keep: float) -> None:
        """Take the new Gram matrices of some layers into the old ones, as means over their rows."""
        grams, renewals = self.memory.grams_FF, self.memory.renewals
        for layer, total_FF in zip(renewed, sums.gram_FF, strict=True):
            if layer == len(grams):
                grams.append(total_FF / sums.places[layer])
                renewals.append(1)
                self.factors.append(RidgeFactor(grams[layer], self.settings.ridge))
                continue
            share = min(keep, renewals[layer] / (renewals[layer] + 1))
            renewals[layer] += 1
            grams[layer].mul_(share).add_(total_FF, alpha=(1 - share) / sums.places[layer])
            self.factors[layer] = RidgeFactor(grams[layer], self.settings.ridge)

    def _move(
        self, layer: int, factor: RidgeFactor, mean_OF: Tensor, trust: float, momentum: float
    ) -> None:
        """Move a layer by `trust` of its own norm along the weight step."""
        crosses = self.memory.crosses_OF
        if layer == len(crosses):
            crosses.append(mean_OF)
        else:
            crosses[layer] = momentum * crosses[layer] + mean_OF
        synapses = self.stack.synapses[layer]
        # The direction alone is used, and ridges are wide here: single precision will do.
        step_OF = factor.nearly_solved(crosses[layer].to(synapses.layer.weight.dtype))
        _walk(synapses, step_OF, trust)

    def _remember_readout(self, sums: Sums) -> None:
        memory = self.memory
        if sums.features_FF is None or sums.targets_KF is None:
            return
        if memory.features_FF is None or memory.targets_KF is None:
            memory.features_FF, memory.targets_KF = sums.features_FF, sums.targets_KF
            return
        memory.features_FF = _READOUT_MEMORY * memory.features_FF + sums.features_FF
        memory.targets_KF = _READOUT_MEMORY * memory.targets_KF + sums.targets_KF

    def _fit_readout(self, features_FF: Tensor | None, targets_KF: Tensor | None) -> None:
        readout = self.stack.readout
        if readout is None or features_FF is None or targets_KF is None:
            return
        fitted = RidgeFactor(features_FF, self.settings.output_ridge).solved(targets_KF)
        readout.assign(fitted.to(readout.layer.weight.dtype))

    def _step_readout(self, sums: Sums, trust: float) -> None:
        """Move the readout along the weight step of what the cross-entropy asks for."""
        readout = self.stack.readout
        if readout is None:
            return
        self._remember_readout(sums)
        features_FF, targets_KF = self.memory.features_FF, self.memory.targets_KF
        assert features_FF is not None
        assert targets_KF is not None
        step_OF = RidgeFactor(features_FF, self.settings.output_ridge).solved(targets_KF)
        _walk(readout, step_OF, trust)

    def _assign(self, start: Sequence[Tensor], change: Sequence[Tensor], alpha: float) -> None:
        for synapses, matrix, step in zip(self.stack.synapses, start, change, strict=True):
            synapses.assign(matrix + alpha * step.to(matrix.dtype))

    def _mismatch_after_refit(self, parts: Iterable[Batch]) -> float:
        """Refit the readout and return ‖Y − F W‖² over all recordings, from the sums alone."""
        sums = self.refit_readout(parts)
        readout = self.stack.readout
        if readout is None or sums.features_FF is None or sums.targets_KF is None:
            return sums.mismatch
        weight = readout.matrix_OF.double()
        spread = (weight @ sums.features_FF * weight).sum() - 2 * (weight * sums.targets_KF).sum()
        return sums.recordings * high_evidence(self.stack, self.settings) ** 2 + float(spread)


def _means(sums: Sequence[Tensor], places: Sequence[float]) -> list[Tensor]:
    """Return sums over rows as means over them, layer by layer."""
    return [one / rows for one, rows in zip(sums, places, strict=True)]


def _walk(synapses: Synapses, step_OF: Tensor, trust: float) -> None:
    """Move a layer along a step by `trust` of the norm of its weights."""
    matrix_OF, size = synapses.matrix_OF, float(step_OF.norm())
    if size:
        length = trust * float(matrix_OF.norm()) / size
        synapses.assign(matrix_OF + length * step_OF.to(matrix_OF.dtype))


def _due(layers: int, step: int, every: int) -> Sequence[int]:
    """Return the layers whose Gram matrices are renewed at a step.

    At steps 0, 1, 3, 7, 15, 31, and every so many. The first layer's stop at 31, for its inputs do
    not depend on the weights.
    """
    doubled = step + 1 == 1 << _doublings(step) and step <= _FIRST_LAYER_UNTIL
    return range(layers) if doubled else range(1, layers) if step % every == 0 else ()


def _doublings(step: int) -> int:
    """Return how many of the steps 0, 1, 3, 7, … come before a step."""
    return step.bit_length()
