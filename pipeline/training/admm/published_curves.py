"""What a pass of the published iteration did: its objective, its residuals and its real network.

Axes: `T` time step, `B` recording, `N` neuron, `K` class, `F` input.

Curves, of which those with a number are one a layer, from 1:

    objective             per recording; the sum of the next four
    objective_labels      ‖z_L[T] − y‖²
    objective_membranes   Σ ρ/2 ‖z[t] − δz[t−1] − W a_below[t] + ϑa[t−1]‖²
    objective_spikes      Σ β/2 ‖a − H(z − ϑ)‖²
    objective_multiplier  λᵀ(z_L[T] − δz_L[T−1] − W_L a_{L−1}[T])
    residual_membranes_1  root mean square of the constraint of z
    residual_spikes_1     root mean square of a − H(z − ϑ)
    agreement_own_1       share of (step, recording, neuron) where a > ½ is H(z − ϑ)
    agreement_true_1      share of them where a > ½ is the spike of the hard network
    overlap_true_1        of all that either fires, the share where both do; 1 where none does
    training_hard         accuracy of the hard network: its own spikes, soft reset, same weights

Silence agrees with silence: where spikes are rare `overlap_true` says more than `agreement_true`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.training.admm.membrane import Neuron
from pipeline.training.admm.published_updates import sought_drive
from pipeline.training.admm.settings import Published
from pipeline.training.admm.stack import Pass


@dataclass(frozen=True)
class Chunk:
    """Some recordings' inputs and variables.

    `inputs` `(T, B, F)`, `membranes` `(T, B, N)` of every layer, relaxed `spikes` of all but the
    last, the multiplier and y.
    """

    inputs: Tensor
    membranes: list[Tensor]
    spikes: list[Tensor]
    multiplier_BK: Tensor
    wanted_BK: Tensor

    def below(self, layer: int) -> Tensor:
        """Return what a layer reads, `(T, B, F)`."""
        return self.spikes[layer - 1] if layer else self.inputs


class Curves:
    """Sums over recordings, from which the curves of a pass are made. All float64."""

    def __init__(self, neurons: Sequence[Neuron], weights: Published, device: torch.device) -> None:
        self._neurons, self._weights = neurons, weights
        layers = len(neurons)
        self._whole = torch.zeros(4, dtype=torch.float64, device=device)
        self._membranes = torch.zeros((layers, 2), dtype=torch.float64, device=device)
        self._spikes = torch.zeros((layers - 1, 6), dtype=torch.float64, device=device)

    def tensors(self) -> list[Tensor]:
        """Return the sums; those of other ranks add up in place."""
        return [self._whole, self._membranes, self._spikes]

    def add(self, chunk: Chunk, drives: Sequence[Tensor], forward: Pass) -> None:
        """Add some recordings.

        `drives` is W a_below of every layer, `forward` the hard network's pass over their inputs.
        """
        residuals = []
        for layer, drive in enumerate(drives):
            spikes = chunk.spikes[layer] if layer < len(chunk.spikes) else None
            sought = sought_drive(chunk.membranes[layer], spikes, self._neurons[layer])
            residuals.append(sought - drive)
            self._membranes[layer] += _sums(residuals[-1].square(), torch.ones_like(sought))
        for layer, spikes in enumerate(chunk.spikes):
            self._add_spikes(layer, spikes, chunk, forward.states[layer].spikes > 0)
        wanted_BK = chunk.wanted_BK
        self._whole += _sums(
            torch.ones_like(wanted_BK[:, 0]),
            forward.evidence_BK.argmax(1) == wanted_BK.argmax(1),
            (chunk.membranes[-1][-1] - wanted_BK).square(),
            chunk.multiplier_BK * residuals[-1][-1],
        )

    def named(self) -> dict[str, float]:
        """Return the curves by name."""
        recordings, correct, labels, multiplier = self._whole.tolist()
        rho, beta = self._weights.rho, self._weights.beta
        terms = {
            "labels": labels / recordings,
            "membranes": rho / 2 * float(self._membranes[:, 0].sum()) / recordings,
            "spikes": beta / 2 * float(self._spikes[:, 0].sum()) / recordings,
            "multiplier": multiplier / recordings,
        }
        named = {"objective": sum(terms.values())}
        named |= {f"objective_{name}": value for name, value in terms.items()}
        for layer, (squares, count) in enumerate(self._membranes.tolist(), 1):
            named[f"residual_membranes_{layer}"] = (squares / count) ** 0.5
        for layer, (squares, count, own, true, both, either) in enumerate(self._spikes.tolist(), 1):
            named[f"residual_spikes_{layer}"] = (squares / count) ** 0.5
            named[f"agreement_own_{layer}"] = own / count
            named[f"agreement_true_{layer}"] = true / count
            named[f"overlap_true_{layer}"] = both / either if either else 1.0
        return named | {"training_hard": correct / recordings}

    def _add_spikes(self, layer: int, spikes: Tensor, chunk: Chunk, true: Tensor) -> None:
        own = chunk.membranes[layer] > self._neurons[layer].threshold
        relaxed = spikes > 0.5
        self._spikes[layer] += _sums(
            (spikes - own.to(spikes.dtype)).square(),
            torch.ones_like(spikes),
            relaxed == own,
            relaxed == true,
            relaxed & true,
            relaxed | true,
        )


def _sums(*values: Tensor) -> Tensor:
    return torch.stack([one.double().sum() for one in values])
