"""Continuous neurons as steps of the contract.

One forward-Euler step of length dt, the synaptic current before the membrane, with
α = dt/τ and αₛ = dt/τ_syn (α·r is dt·r, and nothing leaks, without τ; αₛ is 1 without τ_syn):

    i ← (1 − αₛ)·i + αₛ·w_in·x
    v ← (1 − α)·v + α·v_leak + α·r·i;     a spike where v > v_threshold, then v = v_reset

With u = f·(v − v_reset) and j = f·α·r·i, that is a step of the contract,

    j ← c·j + gain·x,   u ← τ·u + j + bias,   a spike where u > ϑ, then u = 0

    c = 1 − αₛ,  τ = 1 − α,  gain = f·α·r·αₛ·w_in,  bias = f·α·(v_leak − v_reset)
    ϑ = f·(v_threshold − v_reset),  f = 1, or what gives neurons of several thresholds the first's

The gain becomes a Scale in front of the neurons; others fold it into weights.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import Graph, Neuron, Scale, StepNeuron, Threshold
from export.imported.rewrites.rewrite import Applied, Shapes
from export.network import Array, Reset, Shape

_ROUNDING = 2.0**-50
"""How far a gain of 1 may be off: a few roundings of float64."""


@dataclass(frozen=True)
class TimeStep:
    """Makes neurons of `dt`, in the file's unit of time, and of a reset."""

    dt: float
    reset: Reset

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """Neurons and thresholds."""
        return isinstance(graph.nodes[name], Neuron | Threshold)

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put a Scale and a StepNeuron in the neuron's place.

        Raises:
            HardspikeError: a time constant is shorter than dt, or a threshold is not above its
                reset.
        """
        node, shape = graph.nodes[name], shapes[name]
        try:
            if isinstance(node, Threshold):
                step, gain = self._threshold(node, shape)
            elif isinstance(node, Neuron):
                step, gain = self._neuron(node, shape)
        except HardspikeError as error:
            kind = node.kind if isinstance(node, Neuron) else "Threshold"
            raise HardspikeError(f"node {name} ({kind}): {error}") from error
        after = graph.replaced(name, step)
        if (gain != 1).any():
            for index, source in enumerate(graph.before(name)):
                after = after.inserted(f"{name}.gain{index or ''}", Scale(gain), name, source)
        return after, Applied((name,), _in_words(node, step, gain))

    def _threshold(self, node: Threshold, shape: Shape) -> tuple[StepNeuron, Array]:
        threshold, factor = _one_threshold(np.broadcast_to(node.threshold, shape))
        none = np.zeros(shape)
        return StepNeuron(shape, none, threshold, "zero", none, none), factor

    def _neuron(self, node: Neuron, shape: Shape) -> tuple[StepNeuron, Array]:
        values = {
            key: np.broadcast_to(value, shape).astype(np.float64)
            for key, value in node.parameters.items()
        }
        rest = values.get("v_reset", np.zeros(shape))
        decay, alpha = self._share(node, values, "tau_mem" if "tau_mem" in values else "tau")
        current_decay, alpha_syn = self._share(node, values, "tau_syn")
        threshold, factor = np.inf, np.ones(shape)
        if "v_threshold" in values:
            threshold, factor = _one_threshold(values["v_threshold"] - rest)
        gain = (self.dt if alpha is None else alpha) * values["r"]
        gain = gain * (1.0 if alpha_syn is None else alpha_syn * values.get("w_in", 1.0))
        gain = np.where(np.abs(gain - 1) <= _ROUNDING, 1.0, gain) * factor
        bias = np.zeros(shape)
        if alpha is not None:
            bias = factor * alpha * (values["v_leak"] - rest)
        rest_steps = node.refractory if np.isfinite(threshold) else 0
        step = StepNeuron(shape, decay, threshold, self.reset, current_decay, bias, rest_steps)
        return step, gain

    def _share(
        self, node: Neuron, values: dict[str, Array], key: str
    ) -> tuple[Array, Array | None]:
        """Return the shares kept a step and α, for time constants; (1 or 0, None) without any."""
        if key not in values:
            return np.full_like(values["r"], 0.0 if key == "tau_syn" else 1.0), None
        constant = values[key]
        if not ((constant > 0) & (constant >= self.dt)).all():
            raise HardspikeError(
                f"{key}: found {constant.min():.6g}, allowed from dt ({self.dt:.6g}) up"
            )
        alpha = self.dt / constant
        said = node.current_decay if key == "tau_syn" else node.decay
        if said is None:
            return 1 - alpha, alpha
        return np.where(np.abs(said - (1 - alpha)) <= _ROUNDING, said, 1 - alpha), alpha


def _one_threshold(threshold: Array) -> tuple[float, Array]:
    """Return the first neuron's threshold, and the factors that give every neuron that one."""
    if not (threshold > 0).all():
        raise HardspikeError(
            f"v_threshold: found {threshold.min():.6g} above v_reset, allowed above 0"
        )
    first = float(threshold.flat[0])
    if np.isinf(threshold).all():  # neurons that never fire, as SpikingJelly writes a readout
        return first, np.ones_like(threshold)
    return first, first / threshold.astype(np.float64)


def _in_words(node: Any, step: StepNeuron, gain: Array) -> str:
    """Say what happened besides taking steps."""
    said = []
    if isinstance(node, Neuron):
        if (gain != 1).any():
            said.append("r and dt folded into weights")
        if step.bias.any():
            said.append("v_leak absorbed into the bias")
        if node.v_reset is not None and node.v_reset.any():
            said.append("membrane counted from v_reset")
        thresholds = node.v_threshold
        if thresholds is not None and not (thresholds == thresholds.flat[0]).all():
            said.append("thresholds folded into weights")
    else:
        said.append("a neuron without memory")
    return ", ".join(said)
