"""The published iteration of ADMM for spiking networks (arXiv 2505.05527), update for update.

Axes: `T` time step, `B` recording, `C` channel, `H` height, `W` width, `N` neuron, `K` class,
`O` output, `F` fan-in.

The membranes z and relaxed spikes a of every layer, step and recording are variables beside the
weights W. With H(z − ϑ) = 1 where z > ϑ, y one for the right class and zero for the others, and
layers l = 1…L of which the last integrates and never fires:

    ‖z_L[T] − y‖² + Σ_l ρ/2 ‖z[t] − δz[t−1] − W a_below[t] + ϑa[t−1]‖² + Σ_{l<L} β/2 ‖a − H(z − ϑ)‖²
        + λᵀ(z_L[T] − δz_L[T−1] − W_L a_{L−1}[T])

A pass updates, for the hidden layers in turn, W, then a[t] and z[t] of the steps before the last in
turn, then a[T] and z[T]; then W, z[t], z[T] of the output; then, after `warming` passes,

    λ ← λ + ρ(z_L[T] − δz_L[T−1] − W_L a_{L−1}[T])

by which λ = 2(y − z_L[T]). Formulas of the updates: `published_updates`.

Only the abstract and introduction of the paper are public to us. The updates follow Taylor et al.
2016 (arXiv 1605.02026) and a public re-implementation that numbers them by the paper's equations;
from that one are also the start (z and a uniform in 0…1, W and λ zero) and the random order of
layers and steps, drawn anew every pass. Two things in it we do not follow: it evaluates the last
step's Δ2 with ρ² for ρ in one term, and what a spike is to make up for from membranes of before the
pass. Both are as the objective has them here, and with `order: forward` the second is the same.

What is not said by the formulas: a single constraint has a multiplier, that of the last output.
All others are penalties that nothing ever tightens, so z and a settle where they please both the
labels and the penalties, and the network of the same weights need not. `training_hard` and
`agreement_true` measure that network.

Memory: z and a of all recordings, 4·T·B·(2·ΣN + K) bytes, and the spikes as they came; beside
them no more than `chunk` recordings at a time and a few F×F matrices in float64. Ranks have
recordings of their own: their sums for W add up, everything else is separable.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.errors import HardspikeError
from pipeline.config import ConvSettings, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.training.admm.exchange import Alone, Exchange
from pipeline.training.admm.membrane import Neuron
from pipeline.training.admm.published_curves import Chunk, Curves
from pipeline.training.admm.published_updates import (
    SpikeUpdate,
    fitted_weights,
    hidden_membranes,
    last_output_membranes,
    output_membranes,
    pseudo_inverse,
    sought_drive,
)
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import Stack

_START, _ORDER = 0, 1
"""What is drawn: the seeds are (seed, 0, rank) and (seed, 1, pass)."""


def check_network(settings: NetworkSettings) -> None:
    """Refuse a network the published updates are not for.

    Raises:
        HardspikeError: a `count` readout, a convolution or a bias.
    """
    if settings.readout != "membrane":
        raise HardspikeError(
            f"network.readout: found {settings.readout}, and train.variant: published is for an "
            "output that never fires; allowed membrane"
        )
    for index, layer in enumerate(settings.layers):
        where = f"network.layers.{index}"
        if isinstance(layer, ConvSettings):
            raise HardspikeError(
                f"{where}.type: found conv, and train.variant: published has updates for dense "
                "layers alone; allowed dense, or train.variant: resync"
            )
        if layer.bias:
            raise HardspikeError(
                f"{where}.bias: found true, and train.variant: published has no bias; "
                "allowed false, or train.variant: resync"
            )


class PublishedIteration:
    """The variables of the published iteration; `network` holds its weights.

    States are of the weights' dtype and device, sums and solves in float64. Before the first
    `step` the network's weights are of no account: the iteration starts from zero. `step` is
    `advance`, which is what training costs, and `curves`, a forward pass more.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        data: Dataset,
        settings: ADMM,
        seed: int,
        exchange: Exchange | None = None,
    ) -> None:
        check_network(network.settings)
        self.network, self.settings, self.seed = network, settings, seed
        self.exchange = exchange if exchange is not None else Alone()
        self.stack = Stack(network, data.spikes_BTCHW.shape[1], "soft")
        assert self.stack.readout is not None
        self.synapses = [*self.stack.synapses, self.stack.readout]
        last = self.stack.readout.layer
        self.neurons = [*self.stack.neurons, Neuron(last.decay, last.threshold, "soft")]
        self.passes = 0
        self._inputs_BTF = torch.as_tensor(data.spikes_BTCHW).flatten(2).to(last.weight.device)
        labels_B = torch.as_tensor(data.labels_B).to(last.weight.device)
        self._wanted_BK = functional.one_hot(labels_B, len(last.weight)).to(last.weight.dtype)
        self._input_inverse_FF: Tensor | None = None
        self._draw_states()

    def step(self) -> dict[str, float]:
        """Take one pass over all recordings and return its curves (`published_curves`)."""
        self.advance()
        return self.curves()

    @torch.inference_mode()
    def advance(self) -> None:
        """Take one pass over all recordings."""
        if not self.passes:
            for synapses in self.synapses:
                synapses.assign(torch.zeros_like(synapses.matrix_OF))
        layers, steps = self._order()
        for layer in layers:
            self._fit_weights(layer)
            self._update_hidden_states(layer, steps)
        self._fit_weights(len(self.synapses) - 1)
        warm = self.passes >= self.settings.published.warming
        for chunk in self._chunks():
            self._update_output_states(chunk, steps, warm)
        self.passes += 1

    @torch.inference_mode()
    def curves(self) -> dict[str, float]:
        """Return the curves of the pass just taken; it changes nothing."""
        curves = Curves(self.neurons, self.settings.published, self._wanted_BK.device)
        for chunk in self._chunks():
            drives = [
                synapses.drive(chunk.below(layer)) for layer, synapses in enumerate(self.synapses)
            ]
            curves.add(chunk, drives, self.stack.forward(chunk.inputs))
        self.exchange.add_up(curves.tensors())
        return curves.named()

    def tensors(self) -> dict[str, Tensor]:
        """Return all variables but the weights; with those, and the seed, it is the whole state."""
        named = {f"membranes.{index}": one for index, one in enumerate(self._membranes)}
        named |= {f"spikes.{index}": one for index, one in enumerate(self._spikes)}
        passes = torch.tensor(self.passes, dtype=torch.int64)
        return named | {"multiplier": self._multiplier_BK, "passes": passes}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned.

        Raises:
            HardspikeError: they are of other recordings or another network.
        """
        mine = self.tensors()
        shapes = {key: tuple(value.shape) for key, value in mine.items()}
        found = {key: tuple(value.shape) for key, value in tensors.items()}
        if found != shapes:
            raise HardspikeError(
                f"the state of training: found {found}, allowed {shapes}; it is of other recordings"
            )
        for key, value in tensors.items():
            mine[key].copy_(value)
        self.passes = int(tensors["passes"])

    def _draw_states(self) -> None:
        weight = self.synapses[-1].layer.weight
        recordings, steps = self._inputs_BTF.shape[:2]
        generator = np.random.default_rng((self.seed, _START, self.exchange.rank))

        def drawn(neurons: int) -> Tensor:
            kind = np.float64 if weight.dtype == torch.float64 else np.float32
            values = generator.random((steps, recordings, neurons), dtype=kind)
            return torch.from_numpy(values).to(weight)

        sizes = [len(synapses.layer.weight) for synapses in self.synapses]
        self._membranes = [drawn(size) for size in sizes]
        self._spikes = [drawn(size) for size in sizes[:-1]]
        self._multiplier_BK = torch.zeros_like(self._wanted_BK)

    def _order(self) -> tuple[Sequence[int], Sequence[int]]:
        """Return the hidden layers, and the steps before the last, in the order of this pass."""
        layers, steps = len(self._spikes), len(self._membranes[0]) - 1
        if self.settings.published.order == "forward":
            return range(layers), range(steps)
        generator = np.random.default_rng((self.seed, _ORDER, self.passes))
        return generator.permutation(layers).tolist(), generator.permutation(steps).tolist()

    def _chunks(self) -> Iterator[Chunk]:
        """Yield views of some recordings' variables; writing to them changes the states."""
        size = self.settings.chunk
        for start in range(0, len(self._wanted_BK), size):
            part = slice(start, start + size)
            inputs = self._inputs_BTF[part].transpose(0, 1).to(self._wanted_BK.dtype)
            yield Chunk(
                inputs,
                [membranes[:, part] for membranes in self._membranes],
                [spikes[:, part] for spikes in self._spikes],
                self._multiplier_BK[part],
                self._wanted_BK[part],
            )

    def _fit_weights(self, layer: int) -> None:
        """W ← (Σ x aᵀ)(Σ a aᵀ)⁺ over all recordings, those of other ranks included."""
        cross_OF, known_FF = self._cross(layer), self._input_inverse_FF if layer == 0 else None
        grams_FF = [] if known_FF is not None else [self._gram(layer)]
        self.exchange.add_up([cross_OF], grams_FF)
        inverse_FF = known_FF if known_FF is not None else pseudo_inverse(grams_FF[0])
        if layer == 0:  # what the network reads never changes
            self._input_inverse_FF = inverse_FF
        synapses = self.synapses[layer]
        fitted_OF = fitted_weights(cross_OF, inverse_FF)
        synapses.assign(fitted_OF.to(synapses.layer.weight.dtype))

    def _cross(self, layer: int) -> Tensor:
        weight, rho = self.synapses[layer].layer.weight, self.settings.published.rho
        total_OF = torch.zeros(weight.shape, dtype=torch.float64, device=weight.device)
        for chunk in self._chunks():
            drive = self._sought(chunk, layer, rho).double()
            total_OF += drive.flatten(0, 1).T @ chunk.below(layer).double().flatten(0, 1)
        return total_OF

    def _gram(self, layer: int) -> Tensor:
        weight = self.synapses[layer].layer.weight
        columns = weight.shape[1]
        total_FF = torch.zeros((columns,) * 2, dtype=torch.float64, device=weight.device)
        for chunk in self._chunks():
            rows_XF = chunk.below(layer).double().flatten(0, 1)
            total_FF += rows_XF.T @ rows_XF
        return total_FF

    def _sought(self, chunk: Chunk, layer: int, rho: float) -> Tensor:
        """Return x of every step, and at the output's last step x + λ/ρ, `(T, B, N)`."""
        spikes = chunk.spikes[layer] if layer < len(chunk.spikes) else None
        drive = sought_drive(chunk.membranes[layer], spikes, self.neurons[layer])
        if spikes is None:
            drive[-1] += chunk.multiplier_BK / rho
        return drive

    def _update_hidden_states(self, layer: int, steps: Sequence[int]) -> None:
        above_OF = self.synapses[layer + 1].matrix_OF
        update = SpikeUpdate(above_OF, self.neurons[layer], self.settings.published)
        for chunk in self._chunks():
            drive = self.synapses[layer].drive(chunk.below(layer))
            asked = self._sought(chunk, layer + 1, self.settings.published.rho) @ above_OF
            for step in (*steps, len(drive) - 1):
                self._update_hidden_step(chunk, layer, step, drive, asked[step], update)

    def _update_hidden_step(
        self,
        chunk: Chunk,
        layer: int,
        t: int,
        drive: Tensor,
        asked_BN: Tensor,
        update: SpikeUpdate,
    ) -> None:
        neuron, weights = self.neurons[layer], self.settings.published
        z, a = chunk.membranes[layer], chunk.spikes[layer]
        fires = (z[t] > neuron.threshold).to(z.dtype)
        later = z[t + 1] - drive[t + 1] if t + 1 < len(z) else None
        if later is None:
            a[t] = update.last(asked_BN, fires)
        else:
            a[t] = update.before_last(asked_BN, fires, later - neuron.decay * z[t])
        pulled = drive[t]
        if t:
            pulled = pulled + neuron.decay * z[t - 1] - neuron.threshold * a[t - 1]
        z[t] = hidden_membranes(pulled, later, a[t], neuron, weights)

    def _update_output_states(self, chunk: Chunk, steps: Sequence[int], warm: bool) -> None:
        layer, rho = len(self.synapses) - 1, self.settings.published.rho
        decay, z = self.neurons[layer].decay, chunk.membranes[layer]
        drive, last = self.synapses[layer].drive(chunk.below(layer)), len(z) - 1
        for t in steps:
            pulled = drive[t] + decay * z[t - 1] if t else drive[t]
            multiplier = chunk.multiplier_BK if t == last - 1 else None
            z[t] = output_membranes(pulled, z[t + 1] - drive[t + 1], multiplier, decay, rho)
        pulled = drive[last] + decay * z[last - 1] if last else drive[last]
        z[last] = last_output_membranes(pulled, chunk.wanted_BK, chunk.multiplier_BK, rho)
        if warm:
            chunk.multiplier_BK.add_(z[last] - pulled, alpha=rho)
