"""A rewritten graph as the contract's float network.

What is left after the rewrites must be a chain: the input, then synapses and neurons in turn, a
flatten in front of a dense layer, a delay behind neurons, weights from neurons back to themselves,
and the output behind the last neurons. What is not is a fault that names the node.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import (
    AvgPool2d,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Node,
    Output,
    StepNeuron,
    SumPool2d,
    kind_of,
)
from export.imported.shapes import infer_shapes
from export.network import (
    LIF,
    Array,
    Conv,
    Dense,
    HardSpikeNetwork,
    Layer,
    Readout,
    Shape,
    Synapse,
)

_ON_A_STEP = 1e-6
"""How far a delay may lie from a step, in steps, and count as on it: float32 rounds so much."""
_SUFFIX = ".neuron"


@dataclass(frozen=True)
class TimeBase:
    """What a file may leave open: T, the step in the file's unit, and the step in seconds."""

    steps: int
    dt: float
    seconds: float
    readout: Readout | None = None
    classes: tuple[str, ...] = ()
    input_max: int = 1


@dataclass(eq=False)
class Lowered:
    """The network, the layer that each node went into, and each delay's rounding in steps."""

    network: HardSpikeNetwork
    layer_of: dict[str, str]
    delay_errors: dict[str, float] = field(default_factory=dict)


def lower(graph: Graph, base: TimeBase) -> Lowered:
    """Return the contract's network of a rewritten graph.

    Raises:
        HardspikeError: a node that the contract has no place for; one line that names it, what was
            found and what is allowed.
    """
    shapes = infer_shapes(graph)
    start, _ = graph.the_one(Input), graph.the_one(Output)
    walk = _Walk(graph, shapes, base)
    name = start
    while not isinstance(graph.nodes[name], Output):
        name = walk.next_after(name)
        walk.take(name)
    readout: Readout = "count" if walk.layers[-1].neuron.fires else "membrane"
    if base.readout is not None and base.readout != readout:
        last = "has no membrane that outlives a spike" if readout == "count" else "never fires"
        raise HardspikeError(
            f"readout: found {base.readout}, and the last layer {last}; allowed is {readout}"
        )
    shape = shapes[start]
    network = HardSpikeNetwork(
        _input_shape(start, shape),
        tuple(walk.layers),
        base.readout or readout,
        base.steps,
        base.seconds,
        base.classes,
        base.input_max,
    )
    return Lowered(network, walk.layer_of, walk.delay_errors)


def _input_shape(name: str, shape: Shape) -> tuple[int, int, int]:
    """Return (C, H, W); a vector is N channels of one pixel."""
    if len(shape) not in (1, 3):
        raise HardspikeError(f"node {name}: found shape {shape}, allowed (N,) or (C, H, W)")
    height, width = shape[1:] if len(shape) == 3 else (1, 1)
    return shape[0], height, width


class _Walk:
    """Goes along the chain and makes layers of it."""

    def __init__(self, graph: Graph, shapes: dict[str, Shape], base: TimeBase) -> None:
        self.graph, self.shapes, self.base = graph, shapes, base
        self.layers: list[Layer[LIF]] = []
        self.layer_of: dict[str, str] = {}
        self.delay_errors: dict[str, float] = {}
        self._synapse: tuple[str, Linear | Conv2d] | None = None
        self._seen = set[str]()

    def next_after(self, name: str) -> str:
        """Return the node that follows in the chain; what leads back to `name` is not one."""
        back = self._back(name)
        targets = [target for target in self.graph.after(name) if target not in back]
        if len(targets) != 1:
            raise HardspikeError(
                f"node {name}: found {len(targets)} nodes that read it"
                f"{_listed(targets)}, allowed one: branches that part or end are not supported"
            )
        sources = [
            source
            for source in self.graph.before(targets[0])
            if source not in self._back(targets[0])
        ]
        if sources != [name] or targets[0] in self._seen:
            raise HardspikeError(
                f"node {targets[0]}: found input from {', '.join(sources)}, allowed one node, and "
                "weights from its own neurons"
            )
        self._seen.add(targets[0])
        return targets[0]

    def _back(self, name: str) -> list[str]:
        """Return the weights that read a population and that it alone reads."""
        if not isinstance(self.graph.nodes[name], StepNeuron):
            return []
        return [
            target
            for target in self.graph.after(name)
            if self.graph.after(target) == [name] and self.graph.before(target) == [name]
        ]

    def take(self, name: str) -> None:
        """Put a node into the layer that it belongs to."""
        match node := self.graph.nodes[name]:
            case Linear() | Conv2d():
                self._take_synapse(name, node)
            case StepNeuron():
                self._take_neuron(name, node)
            case Flatten() if len(self.shapes[name]) == 1:
                pass
            case Delay():
                self._take_delay(name, node)
            case Output() if self._synapse is None and self.layers:
                self._check_last(name)
            case _:
                raise HardspikeError(f"node {name} ({kind_of(node)}): {_refused(node)}")

    def _check_last(self, name: str) -> None:
        late = self.layers[-1].delay_N
        if late is not None and late.any():
            raise HardspikeError(
                f"node {name}: found a delay in front of it, allowed between layers only"
            )

    def _take_synapse(self, name: str, node: Linear | Conv2d) -> None:
        if self._synapse is not None:
            raise HardspikeError(
                f"node {name} ({kind_of(node)}): found behind {self._synapse[0]} without neurons "
                "between them, allowed are synapses and neurons in turn, or what can be merged"
            )
        if isinstance(node, Conv2d) and (node.groups != 1 or node.dilation != (1, 1)):
            raise HardspikeError(
                f"node {name} (Conv2d): found groups or dilation too large to be written out"
            )
        self._synapse = (name, node)

    def _take_neuron(self, name: str, node: StepNeuron) -> None:
        if self.layers and not self.layers[-1].neuron.fires:
            raise HardspikeError(
                f"node {self.layers[-1].name}: found neurons that never fire before {name}, "
                "allowed as the last layer only: what a layer hands on are spikes"
            )
        if self._synapse is None:
            raise HardspikeError(f"node {name}: found {self.shapes[name]} neurons without synapses")
        source, synapse = self._synapse
        back = self._recurrent(name)
        extra = None if back is None else back.bias_O
        weights = _synapse(name, synapse, node, self.shapes[name], extra)
        outputs = len(weights.weight)
        decay, decay_O = _shares(name, "time constants", node.decay, outputs)
        current, current_O = _shares(name, "tau_syn", node.current_decay, outputs)
        filtered = current > 0 and weights.bias_O is not None and not node.bias.any()
        layer = Layer(
            name.removesuffix(_SUFFIX),
            weights,
            LIF(decay, node.threshold, node.reset, current, filtered, node.refractory),
            recurrent=None if back is None else Dense(back.weight_OI),
            membrane_decay_O=decay_O,
            current_decay_O=current_O,
        )
        self.layers.append(layer)
        self.layer_of |= {source: layer.name, name: layer.name}
        self._synapse = None

    def _recurrent(self, name: str) -> Dense | None:
        back = self._back(name)
        if len(back) > 1:
            raise HardspikeError(
                f"node {name}: found {len(back)} ways back{_listed(back)}, allowed 1"
            )
        if not back:
            return None
        node = self.graph.nodes[back[0]]
        if not isinstance(node, Linear) or len(self.shapes[name]) != 1:
            raise HardspikeError(
                f"node {back[0]} ({kind_of(node)}): found between neurons {name} and themselves, "
                "allowed is Linear or Affine over a vector"
            )
        self.layer_of[back[0]] = name.removesuffix(_SUFFIX)
        return Dense(node.weight_OI, _some(node.bias_O))

    def _take_delay(self, name: str, node: Delay) -> None:
        if self._synapse is not None or not self.layers or self.layers[-1].delay_N is not None:
            raise HardspikeError(
                f"node {name} (Delay): found at another place than behind neurons, allowed there"
            )
        steps = np.broadcast_to(node.delay, self.shapes[name]).astype(np.float64) / self.base.dt
        rounded = np.rint(steps)
        if not (np.isfinite(steps).all() and rounded.min() >= 0 and rounded.max() < 1 << 16):
            raise HardspikeError(
                f"node {name} (Delay): found {steps.min():.6g} to {steps.max():.6g} steps, "
                "allowed 0 to 65535"
            )
        error = float(np.abs(steps - rounded).max())
        if error > _ON_A_STEP:
            self.delay_errors[name] = error
        self.layers[-1] = replace(self.layers[-1], delay_N=rounded.astype(np.int64).ravel())
        self.layer_of[name] = self.layers[-1].name


def _synapse(
    name: str, node: Linear | Conv2d, neuron: StepNeuron, shape: Shape, extra: Array | None
) -> Synapse:
    """Return the contract's synapse, with what the neurons and their way back add to the bias."""
    bias = _some(node.bias_O)
    if extra is not None:
        bias = extra if bias is None else bias + extra
    if bias is not None and neuron.current_decay.any() and neuron.bias.any():
        raise HardspikeError(
            f"node {name}: found a bias in front of a synaptic current and v_leak behind it, "
            "allowed is one of them"
        )
    if neuron.bias.any():
        own = neuron.bias
        if isinstance(node, Conv2d):
            if len(shape) != 3 or not (own == own[:, :1, :1]).all():
                raise HardspikeError(
                    f"node {name}: v_leak: found several values in a channel of a convolution, "
                    "allowed one a channel"
                )
            own = own[:, 0, 0]
        bias = own if bias is None else bias + own
    if isinstance(node, Linear):
        return Dense(node.weight_OI, bias)
    return Conv(node.weight_OIHW, bias, node.stride, node.padding)


def _shares(name: str, what: str, shares: Array, outputs: int) -> tuple[float, Array | None]:
    """Return the largest share, and one an output where they differ."""
    shares_ON = shares.reshape(outputs, -1)
    if not (shares_ON == shares_ON[:, :1]).all():
        raise HardspikeError(
            f"node {name}: {what}: found several values in a channel of a convolution, "
            "allowed one a channel"
        )
    largest = float(shares.max())
    return largest, None if (shares == largest).all() else shares_ON[:, 0]


def _some(bias: Array | None) -> Array | None:
    """Return the bias, None where it is zero all over."""
    return None if bias is None or not bias.any() else bias


def _refused(node: Node) -> str:
    match node:
        case SumPool2d() | AvgPool2d():
            return (
                "found where it folds into no synapse: behind it must come a convolution without "
                "padding, one whose padding meets no cut window, or a flatten and a dense layer"
            )
        case Output():
            return "found behind no neurons, allowed is to read spikes or membranes"
        case Flatten():
            return "found one that leaves several axes, allowed is one that leaves a vector"
        case _:
            return "found where it folds into no synapse, and the contract has no such layer"


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""
