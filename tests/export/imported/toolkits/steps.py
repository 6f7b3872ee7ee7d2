"""One step after the other of the toolkits' neurons, from their sources, in float64.

Axes: `T` step, `N` neuron. Inputs are what a synapse hands on, `x_TN`; outputs are spikes, or
membranes of neurons without a threshold. Nothing here is shared with `export.imported`.
"""

import math

import numpy as np

from export.network import Array


def sinabs_lif(
    x_TN: Array,
    tau: float,
    threshold: float,
    reset: str,
    *,
    norm_input: bool = True,
    tau_syn: float | None = None,
) -> Array:
    """`sinabs/layers/functional/lif.py`, with SingleSpike and MembraneReset or MembraneSubtract."""
    keep, spikes = math.exp(-1 / tau), np.zeros_like(x_TN)
    v, i = np.zeros_like(x_TN[0]), np.zeros_like(x_TN[0])
    for t, x in enumerate(x_TN):
        i = x if tau_syn is None else math.exp(-1 / tau_syn) * (i + x)
        v = keep * v + ((1 - keep) * i if norm_input else i)
        spikes[t] = v - threshold >= 0
        v = v - spikes[t] * (threshold if reset == "subtract" else v)
    return spikes


def sinabs_iaf(x_TN: Array, threshold: float, reset: str, tau_syn: float | None) -> Array:
    """`sinabs/layers/iaf.py`: the same step with a decay of 1 and norm_input=False."""
    return sinabs_lif(x_TN, math.inf, threshold, reset, norm_input=False, tau_syn=tau_syn)


def sinabs_leak(x_TN: Array, tau: float) -> Array:
    """`sinabs/layers/exp_leak.py`, with norm_input=False."""
    v, seen = np.zeros_like(x_TN[0]), np.zeros_like(x_TN)
    for t, x in enumerate(x_TN):
        seen[t] = v = math.exp(-1 / tau) * v + x
    return seen


def integrate(x_TN: Array, threshold: float, reset: str, *, at_threshold: bool) -> Array:
    """IAF of sinabs, IFNode of SpikingJelly (at the threshold), IAFCell of Norse (above it)."""
    v, spikes = np.zeros_like(x_TN[0]), np.zeros_like(x_TN)
    for t, x in enumerate(x_TN):
        v = v + x
        spikes[t] = v >= threshold if at_threshold else v > threshold
        v = v - spikes[t] * (threshold if reset == "subtract" else v)
    return spikes


def norse_box(x_TN: Array, tau_inv: float, dt: float, threshold: float, reset: str) -> Array:
    """`norse/torch/functional/lif_box.py`; an infinite threshold makes it `li_box`."""
    v, seen = np.zeros_like(x_TN[0]), np.zeros_like(x_TN)
    for t, x in enumerate(x_TN):
        v = v + dt * tau_inv * (x - v)
        fired = v > threshold
        seen[t] = fired if math.isfinite(threshold) else v
        v = np.where(fired, v - threshold if reset == "subtract" else 0.0, v)
    return seen


def norse_lif(
    x_TN: Array, tau_inv: float, tau_syn_inv: float, dt: float, threshold: float
) -> Array:
    """`norse/torch/functional/lif.py`: the current decays after it was used."""
    v, i, spikes = np.zeros_like(x_TN[0]), np.zeros_like(x_TN[0]), np.zeros_like(x_TN)
    for t, x in enumerate(x_TN):
        i = i + x
        v = v + dt * tau_inv * (i - v)
        i = i - dt * tau_syn_inv * i
        spikes[t] = v > threshold
        v = np.where(spikes[t] > 0, 0.0, v)
    return spikes


def snntorch(
    x_TN: Array,
    beta: float,
    threshold: float,
    reset: str,
    *,
    alpha: float | None = None,
    v_NN: Array | None = None,
    delay: bool = True,
) -> Array:
    """`snntorch/_neurons`: Leaky; Synaptic with `alpha`; RLeaky with `v_NN`, the weights back."""
    v, i, spikes = np.zeros_like(x_TN[0]), np.zeros_like(x_TN[0]), np.zeros_like(x_TN)
    spike = np.zeros_like(x_TN[0])
    for t, x in enumerate(x_TN):
        late = (v > threshold).astype(float)
        drive = x if v_NN is None else x + v_NN @ spike
        i = drive if alpha is None else alpha * i + drive
        if reset == "zero" and alpha is None and v_NN is None:
            v = beta * ((1 - late) * v) + i
        else:
            new = beta * v + i
            v = new - late * (threshold if reset == "subtract" else new)
        spikes[t] = spike = (v > threshold).astype(float)
        if not delay:
            assert reset == "zero"
            v = v - (spike - late) * v
    return spikes


def spikingjelly_lif(
    x_TN: Array, tau: float, threshold: float, v_reset: float, *, decay_input: bool
) -> Array:
    """`spikingjelly/activation_based/neuron/lif.py`."""
    v, spikes = np.full_like(x_TN[0], v_reset), np.zeros_like(x_TN)
    for t, x in enumerate(x_TN):
        v = v + (v_reset - v + x) / tau if decay_input else v + (v_reset - v) / tau + x
        spikes[t] = v >= threshold
        v = np.where(spikes[t] > 0, v_reset, v)
    return spikes
