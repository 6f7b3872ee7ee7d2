"""The error that integer weights make in a layer's membrane, as a quadratic form.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron, `O` output,
`K` synapse of an output, `J` term of an error (the K synapses, the bias, the threshold), `I` image
(one step of one recording), `S` sample (one position of an image).

Below threshold the membrane is linear in what arrives,

    z[t] = τ·z[t−1] + x[t],   c[t] = τ·c[t−1] + 1,   u_o[t] = W_o·z[t] + b_o·c[t]

(with a synaptic current, x is the filtered input)

so Ŵ, b̂, ϑ̂ in place of W, b, ϑ move the distance of output o from its threshold by

    e_o[t] = d_o · (z[t], c[t], −1),   d_o = (Ŵ_o − W_o, b̂_o − b_o, ϑ̂ − ϑ)
    mean of e_o² = d_o G d_oᵀ,         G = mean of (z, c, −1)(z, c, −1)ᵀ

over recordings, steps and, in a convolution, positions (z is then the patch that the position
sees, padding included). G depends on the inputs alone: gathered once, it gives the exact error of
any candidate. The inputs are those of the hard float network. The reset, which belongs to each
output, is left out: z runs on through the spikes, and through refractory periods. Where the outputs
of a layer differ in their decays, z is that of the one that keeps most.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.network import LIF, Conv, HardSpikeNetwork, Layer, LoihiLIF, Shape, Synapse
from hardware.arriving import delayed, synapse_product
from hardware.reference import chunk_size, run_float

Array = NDArray[Any]
WIDEST = 8192
"""Synapses of an output up to which a Gram matrix is gathered (512 MiB in float64)."""
_BLOCK_BYTES = 64 << 20
_RIDGE = 0.01


@dataclass(frozen=True, eq=False)
class InputStatistics:
    """What calibration recordings showed at the input of a layer.

    `gram_JJ` is G, float64; None where an output has more than `WIDEST` synapses. `largest_drive`
    is the largest |W x| of one step, in units of the float membrane.
    """

    gram_JJ: NDArray[np.float64] | None
    largest_drive: float


def input_statistics(
    network: HardSpikeNetwork, spikes_BTCHW: NDArray[np.uint8]
) -> tuple[InputStatistics, ...]:
    """Return what the recordings show at every layer's input in the hard float network.

    Sums are gathered recording by recording in float64; memory does not grow with their number.
    """
    sums = [
        _Sums(layer, shape) for layer, shape in zip(network.layers, network.shapes, strict=False)
    ]
    chunk = chunk_size(network)
    for start in range(0, len(spikes_BTCHW), chunk):
        part = spikes_BTCHW[start : start + chunk]
        outputs = run_float(network, part).spikes_BTN
        inputs = [
            part.reshape(*part.shape[:2], -1),
            *(delayed(outputs[layer.name], layer.delay_N) for layer in network.layers),
        ]
        for layer_sums, inputs_BTN in zip(sums, inputs, strict=False):
            layer_sums.add(inputs_BTN)
    return tuple(layer_sums.result() for layer_sums in sums)


def mean_square_error(difference_OJ: Array, gram_JJ: Array) -> NDArray[np.float64]:
    """Return d_o G d_oᵀ of each output, `(O,)`, in squared units of the float membrane."""
    return np.asarray(np.maximum(((difference_OJ @ gram_JJ) * difference_OJ).sum(axis=1), 0))


def damped(gram_JJ: Array) -> NDArray[np.float64]:
    """Return G with a hundredth of the synapses' mean diagonal added to its own.

    What few or no recordings show then still counts a little: synapses whose inputs stayed silent,
    and directions that so few samples cannot tell from zero. Where every input stayed silent the
    mean counts as 1, and the error is that of the weights alone.
    """
    shown = float(np.diag(gram_JJ)[:-2].mean())
    return np.asarray(gram_JJ + _RIDGE * (shown or 1.0) * np.eye(len(gram_JJ)))


def error_terms(layer: Layer[LIF], fixed: Layer[LoihiLIF]) -> NDArray[np.float64]:
    """Return d = (W′/k − W, bias′/k − b, vth/k − ϑ) of every output, `(O, J)`.

    What a layer lacks, a bias or a threshold, has no error.
    """
    outputs = len(layer.synapse.weight)
    weight_OK = fixed.synapse.weight.reshape(outputs, -1) / fixed.scale
    difference_OJ = np.zeros((outputs, weight_OK.shape[1] + 2))
    difference_OJ[:, :-2] = weight_OK - layer.synapse.weight.reshape(outputs, -1)
    if layer.synapse.bias_O is not None and fixed.synapse.bias_O is not None:
        difference_OJ[:, -2] = fixed.synapse.bias_O / fixed.scale - layer.synapse.bias_O
    if layer.neuron.fires:
        difference_OJ[:, -1] = fixed.neuron.threshold / fixed.scale - layer.neuron.threshold
    return difference_OJ


def relative_error(layer: Layer[LIF], fixed: Layer[LoihiLIF], gram_JJ: Array) -> float:
    """Return the root mean square membrane error over all outputs, as a share of the threshold.

    Of a readout without a threshold: as a share of its root mean square membrane.
    """
    mean = float(mean_square_error(error_terms(layer, fixed), gram_JJ).mean())
    if layer.neuron.fires:
        return math.sqrt(mean) / layer.neuron.threshold
    outputs = len(layer.synapse.weight)
    own_OJ = np.zeros((outputs, len(gram_JJ)))
    own_OJ[:, :-2] = layer.synapse.weight.reshape(outputs, -1)
    if layer.synapse.bias_O is not None:
        own_OJ[:, -2] = layer.synapse.bias_O
    whole = float(mean_square_error(own_OJ, gram_JJ).mean())
    return math.sqrt(mean / whole) if whole > 0 else 0.0


class _Sums:
    """Σ (z, c, −1)(z, c, −1)ᵀ and the largest drive of one layer, added up chunk by chunk."""

    def __init__(self, layer: Layer[LIF], input_shape: Shape) -> None:
        self.layer, self.input_shape = layer, input_shape
        synapses = layer.synapse.weight[0].size
        self.gram = np.zeros((synapses + 2, synapses + 2)) if synapses <= WIDEST else None
        self.samples, self.largest_drive = 0, 0.0

    def add(self, inputs_BTN: Array) -> None:
        synapse = self.layer.synapse
        drive = synapse_product(synapse, inputs_BTN, self.input_shape, synapse.weight.dtype)
        self.largest_drive = max(self.largest_drive, float(np.abs(drive).max(initial=0.0)))
        if self.gram is None:
            return
        for terms_SJ in _terms(self.layer, inputs_BTN, self.input_shape):
            self.gram += terms_SJ.T @ terms_SJ
            self.samples += len(terms_SJ)

    def result(self) -> InputStatistics:
        mean = None if self.gram is None else self.gram / max(self.samples, 1)
        return InputStatistics(mean, self.largest_drive)


def _terms(layer: Layer[LIF], inputs_BTN: Array, input_shape: Shape) -> Iterator[Array]:
    """Yield (z, c, −1) of every recording, step and position, `(S, J)`, block by block."""
    recordings, steps, _ = inputs_BTN.shape
    positions = math.prod(layer.synapse.output_shape(input_shape)[1:])
    current_BTN = _filtered(inputs_BTN, layer.neuron.current_decay)
    z_IN = _filtered(current_BTN, layer.neuron.decay).reshape(recordings * steps, -1)
    ones_BTN = np.ones((recordings, steps, 1))
    if layer.neuron.bias_filtered:
        ones_BTN = _filtered(ones_BTN, layer.neuron.current_decay)
    c_I = _filtered(ones_BTN, layer.neuron.decay).ravel()
    block = max(1, _BLOCK_BYTES // (8 * positions * (layer.synapse.weight[0].size + 2)))
    for start in range(0, len(z_IN), block):
        z_SK = _patches(layer.synapse, z_IN[start : start + block], input_shape)
        c_S = np.repeat(c_I[start : start + block], positions)
        yield np.column_stack([z_SK, c_S, np.full(len(c_S), -1.0)])


def _filtered(inputs_BTN: Array, decay: float) -> NDArray[np.float64]:
    """Return z[t] = τ·z[t−1] + x[t]."""
    z_BTN = inputs_BTN.astype(np.float64)
    for t in range(1, z_BTN.shape[1]):
        z_BTN[:, t] += decay * z_BTN[:, t - 1]
    return z_BTN


def _patches(synapse: Synapse, z_IN: Array, input_shape: Shape) -> Array:
    """Return what each output position of each image sees, `(I·positions, K)`."""
    if not isinstance(synapse, Conv):
        return z_IN
    (pad_h, pad_w), (stride_h, stride_w) = synapse.padding, synapse.stride
    image = z_IN.reshape(-1, *input_shape)
    image = np.pad(image, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    windows = sliding_window_view(image, synapse.weight_OIHW.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride_h, ::stride_w]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, synapse.weight_OIHW[0].size)
