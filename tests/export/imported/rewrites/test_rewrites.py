"""Every rewrite leaves what a graph computes as it was, to the bit, on whole numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.imported.graph import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Flatten,
    Graph,
    Linear,
    Neuron,
    Node,
    Scale,
    StepNeuron,
    SumPool2d,
    Threshold,
)
from export.imported.rewrites.average_pooling import AverageAsSum
from export.imported.rewrites.conv1d import Conv1dAsConv2d
from export.imported.rewrites.linear import MergeLinear
from export.imported.rewrites.plain_convolution import PlainConvolution
from export.imported.rewrites.rewrite import Rewrite, carry_out
from export.imported.rewrites.run import rewrite_graph
from export.imported.rewrites.scale import FoldScale
from export.imported.rewrites.sum_pooling import FoldSumPooling
from export.imported.rewrites.time_step import TimeStep
from export.imported.rewrites.without_synapse import WithoutSynapse
from export.imported.rewrites.written_out import WriteOut
from export.imported.shapes import infer_shapes
from export.network import Reset
from tests.export.imported.graphs import chain, integrate_and_fire, output_of, whole

small = settings(max_examples=25, deadline=None, database=None, derandomize=True)
seeds = st.integers(0, 2**16)
sizes = st.integers(1, 3)


def rewritten(rewrite: Rewrite, graph: Graph, name: str) -> Graph:
    """Carry out a rewrite that must be possible."""
    found = carry_out(rewrite, graph, infer_shapes(graph), name)
    assert found is not None
    after, applied = found
    assert name in applied.nodes
    return after


def equal(before: Graph, after: Graph, seed: int, **how: Any) -> None:
    np.testing.assert_array_equal(output_of(before, seed, **how), output_of(after, seed, **how))


def shaped(*nodes: Node, shape: tuple[int, ...]) -> Graph:
    """Return a chain, or let hypothesis draw another where its shapes do not meet."""
    graph = chain(*nodes, shape=shape)
    try:
        infer_shapes(graph)
    except HardspikeError:
        assume(False)
    return graph


@small
@given(
    seed=seeds,
    length=st.integers(4, 9),
    pool=st.tuples(sizes, sizes, st.integers(0, 1)),
    conv=st.tuples(sizes, sizes, st.integers(0, 2)),
)
def test_sum_pooling_folds_or_is_left_alone(
    seed: int, length: int, pool: tuple[int, int, int], conv: tuple[int, int, int]
) -> None:
    """Whatever it accepts is equal; what it refuses could not be."""
    rng = np.random.default_rng(seed)
    (k, s, p), (kernel, stride, padding) = pool, conv
    weight = whole(rng, 2, 2, kernel, kernel + 1)
    graph = shaped(
        SumPool2d((k, k), (s, s + 1), (p, 0)),
        Conv2d(weight, whole(rng, 2), (stride, 1), (padding, padding)),
        shape=(2, length, length + 1),
    )
    shapes = infer_shapes(graph)
    found = carry_out(FoldSumPooling(), graph, shapes, "n0")
    if found is None:
        assert padding or shapes["n0"][1] * s != length or shapes["n0"][2] * (s + 1) != length + 1
    else:
        assert "n0" not in found[0].nodes
        equal(graph, found[0], seed)


def test_pooling_that_tiles_folds_with_padding() -> None:
    weight = whole(np.random.default_rng(0), 3, 2, 3, 3)
    graph = chain(SumPool2d((2, 2), (2, 2)), Conv2d(weight, None, (1, 1), (1, 1)), shape=(2, 6, 8))
    after = rewritten(FoldSumPooling(), graph, "n0")
    node = after.nodes["n1"]
    assert isinstance(node, Conv2d)
    assert (node.weight_OIHW.shape, node.stride, node.padding) == ((3, 2, 6, 6), (2, 2), (2, 2))
    assert node.weight_OIHW.dtype == np.float32
    equal(graph, after, 0)


@pytest.mark.parametrize("length", [7, 9])
def test_padding_that_would_see_a_cut_row_is_not_folded(length: int) -> None:
    weight = whole(np.random.default_rng(0), 1, 1, 3, 3)
    graph = chain(
        SumPool2d((2, 2), (2, 2)), Conv2d(weight, None, (1, 1), (1, 1)), shape=(1, length, 8)
    )
    assert carry_out(FoldSumPooling(), graph, infer_shapes(graph), "n0") is None


@small
@given(seed=seeds, kernel=sizes, stride=sizes, padding=st.integers(0, 1))
def test_average_pooling(seed: int, kernel: int, stride: int, padding: int) -> None:
    """Kernels of 1, 2 and 4 have shares that are exact in binary."""
    size = {1: 1, 2: 2, 3: 4}[kernel]
    graph = shaped(
        AvgPool2d((size, 1), (stride, 1), (min(padding, size // 2), 0)),
        integrate_and_fire((2, (6 + 2 * min(padding, size // 2) - size) // stride + 1, 5)),
        shape=(2, 6, 5),
    )
    after = rewritten(AverageAsSum(), graph, "n0")
    assert isinstance(after.nodes["n0"], SumPool2d)
    equal(graph, after, seed)


@small
@given(seed=seeds, groups=sizes, dilation=st.tuples(sizes, sizes), stride=sizes)
def test_groups_and_dilation(
    seed: int, groups: int, dilation: tuple[int, int], stride: int
) -> None:
    rng = np.random.default_rng(seed)
    assume(groups > 1 or dilation != (1, 1))
    weight = whole(rng, 2 * groups, 2, 2, 3)
    conv = Conv2d(weight, whole(rng, 2 * groups), (stride, 1), (1, 0), dilation, groups)
    graph = shaped(conv, shape=(2 * groups, 8, 9))
    after = rewritten(PlainConvolution(), graph, "n0")
    node = after.nodes["n0"]
    assert isinstance(node, Conv2d)
    assert (node.groups, node.dilation) == (1, (1, 1))
    equal(graph, after, seed)


@small
@given(seed=seeds, stride=sizes, padding=st.integers(0, 2), dilation=sizes)
def test_conv1d(seed: int, stride: int, padding: int, dilation: int) -> None:
    rng = np.random.default_rng(seed)
    conv = Conv1d(whole(rng, 3, 2, 2), whole(rng, 3), stride, padding, dilation, 1)
    length = (9 + 2 * padding - dilation - 1) // stride + 1
    graph = shaped(
        Scale(whole(rng, 2, 9)),
        conv,
        integrate_and_fire((3, length)),
        Flatten(0, -1),
        Linear(whole(rng, 2, 3 * length)),
        shape=(2, 9),
    )
    after = rewritten(Conv1dAsConv2d(), graph, "n1")
    assert not any(isinstance(node, Conv1d) for node in after.nodes.values())
    equal(graph, after, seed)


NEIGHBOURS: dict[str, Any] = {
    "linear before": lambda rng: (Linear(whole(rng, 4, 3), whole(rng, 4)), Scale(whole(rng, 4))),
    "linear behind": lambda rng: (Scale(whole(rng, 3)), Linear(whole(rng, 4, 3), whole(rng, 4))),
    "two": lambda rng: (Scale(whole(rng, 3)), Scale(whole(rng, 3))),
    "one for all": lambda rng: (Scale(np.float64(2.0) * np.ones(())), Linear(whole(rng, 4, 3))),
}
IMAGES: dict[str, Any] = {
    "conv before": lambda rng, s: (Conv2d(whole(rng, 3, 2, 2, 2), whole(rng, 3)), s((3, 3, 4))),
    "conv behind": lambda rng, s: (
        s((2, 4, 5)),
        Conv2d(whole(rng, 3, 2, 2, 2), whole(rng, 3), (1, 2), (1, 1)),
    ),
    "pool behind": lambda rng, s: (s((2, 4, 5)), SumPool2d((2, 2), (2, 1)), Flatten(0, -1)),
    "flatten behind": lambda rng, s: (s((2, 4, 5)), Flatten(0, -1), Linear(whole(rng, 2, 40))),
}


@pytest.mark.parametrize("case", NEIGHBOURS)
@pytest.mark.parametrize("seed", range(3))
def test_scales_of_vectors(case: str, seed: int) -> None:
    graph = chain(*NEIGHBOURS[case](np.random.default_rng(seed)), shape=(3,))
    name = next(key for key, node in graph.nodes.items() if isinstance(node, Scale))
    after = rewritten(FoldScale(), graph, name)
    assert name not in after.nodes
    equal(graph, after, seed)


@pytest.mark.parametrize("case", IMAGES)
@pytest.mark.parametrize("seed", range(3))
def test_scales_of_channels(case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def scale(shape: tuple[int, ...]) -> Scale:
        return Scale(np.broadcast_to(whole(rng, shape[0])[:, None, None], shape))

    graph = chain(*IMAGES[case](rng, scale), shape=(2, 4, 5))
    name = next(key for key, node in graph.nodes.items() if isinstance(node, Scale))
    equal(graph, rewritten(FoldScale(), graph, name), seed)


def test_a_scale_of_each_pixel_does_not_go_into_a_convolution() -> None:
    rng = np.random.default_rng(0)
    scale = Scale(np.arange(40.0).reshape(2, 4, 5))
    graph = chain(scale, Conv2d(whole(rng, 3, 2, 2, 2)), shape=(2, 4, 5))
    assert carry_out(FoldScale(), graph, infer_shapes(graph), "n0") is None


def test_a_product_that_float32_would_round_is_kept_in_float64() -> None:
    weight = np.array([[0.1]], np.float32)
    graph = chain(Scale(np.array([0.3])), Linear(weight), shape=(1,))
    node = rewritten(FoldScale(), graph, "n0").nodes["n1"]
    assert isinstance(node, Linear)
    assert node.weight_OI.dtype == np.float64
    assert node.weight_OI[0, 0] == np.float64(weight[0, 0]) * 0.3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("biases", [(True, True), (True, False), (False, True)])
def test_two_linear_nodes(seed: int, biases: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(seed)
    one, two = (
        whole(rng, size) if there else None for size, there in zip((4, 2), biases, strict=True)
    )
    graph = chain(Linear(whole(rng, 4, 3), one), Linear(whole(rng, 2, 4), two), shape=(3,))
    after = rewritten(MergeLinear(), graph, "n0")
    assert "n0" not in after.nodes
    equal(graph, after, seed)


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_norm_behind_a_convolution(seed: int) -> None:
    """NIR has no batch norm: at inference it is a 1×1 convolution of as many groups as channels."""
    rng = np.random.default_rng(seed)
    norm = Conv2d(whole(rng, 3, 1, 1, 1), whole(rng, 3), groups=3)
    conv = Conv2d(whole(rng, 3, 2, 2, 2), whole(rng, 3), (2, 1), (1, 1))
    graph = chain(conv, norm, shape=(2, 5, 4))
    plain = rewritten(PlainConvolution(), graph, "n1")
    after = rewritten(MergeLinear(), plain, "n0")
    assert "n0" not in after.nodes
    equal(graph, after, seed)


@small
@given(seed=seeds, kernel=sizes, stride=sizes, padding=st.integers(0, 1), pool=st.booleans())
def test_written_out_in_a_dense_layer(
    seed: int, kernel: int, stride: int, padding: int, pool: bool
) -> None:
    rng = np.random.default_rng(seed)
    node: Node = (
        SumPool2d((kernel, 2), (stride, 1), (padding, 0))
        if pool
        else Conv2d(whole(rng, 3, 2, kernel, 2), whole(rng, 3), (stride, 1), (padding, 1))
    )
    shape = infer_shapes(shaped(node, shape=(2, 5, 6)))["n0"]
    linear = Linear(whole(rng, 4, int(np.prod(shape))), whole(rng, 4))
    graph = chain(node, Flatten(0, -1), linear, shape=(2, 5, 6))
    after = rewritten(WriteOut(), graph, "n0")
    assert "n0" not in after.nodes
    equal(graph, after, seed)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_neurons_without_synapses_get_ones(shape: tuple[int, ...]) -> None:
    half, none = np.full(shape, 0.5), np.zeros(shape)
    neuron = StepNeuron(shape, half, 2.0, "zero", none, none)
    graph = chain(neuron, shape=shape)
    after = rewritten(WithoutSynapse(), graph, "n0")
    assert isinstance(after.nodes["n0.identity"], Linear if len(shape) == 1 else Conv2d)
    equal(graph, after, 0)


def neuron(kind: str, rng: np.random.Generator, size: int) -> Neuron:
    """Return neurons whose steps of 1/2 are exact in binary, several thresholds among them."""
    full: dict[str, Any] = {
        "r": 2.0 ** rng.integers(-1, 2, size),
        "tau": np.full(size, 2.0),
        "v_leak": rng.integers(-1, 2, size) / 4,
        "v_threshold": 2.0 ** rng.integers(-1, 2, size),
        "v_reset": np.zeros(size),
        "tau_syn": np.full(size, 1.0),
        "w_in": 2.0 ** rng.integers(-1, 2, size),
    }
    has = {
        "LIF": ("tau", "v_leak", "v_threshold", "v_reset"),
        "IF": ("v_threshold", "v_reset"),
        "LI": ("tau", "v_leak"),
        "I": (),
        "CubaLIF": ("tau", "v_leak", "v_threshold", "v_reset", "tau_syn", "w_in"),
        "CubaLI": ("tau", "v_leak", "tau_syn", "w_in"),
    }[kind]
    return Neuron(kind, full["r"], **{key: full[key] for key in has})


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", ["LIF", "IF", "LI", "I", "CubaLIF", "CubaLI"])
@given(seed=seeds)
@settings(max_examples=12, deadline=None, database=None, derandomize=True)
def test_a_step_of_the_contract_is_a_step_of_the_neuron(kind: str, reset: Reset, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = chain(Linear(whole(rng, 4, 3, dtype=np.float64)), neuron(kind, rng, 4), shape=(3,))
    after = rewritten(TimeStep(0.5, reset), graph, "n1")
    assert isinstance(after.nodes["n1"], StepNeuron)
    equal(graph, after, seed, dt=0.5, reset=reset)


def test_a_membrane_is_counted_from_its_reset() -> None:
    """The oracle starts at v_reset; in front of equal thresholds the shift changes no spike."""
    full = np.full(3, 1.0)
    node = Neuron("LIF", full, full * 2, full * 0.5, full * 2, full * -1)
    graph = chain(Linear(8 * np.eye(3)), node, shape=(3,))
    after = rewritten(TimeStep(0.5, "zero"), graph, "n1")
    step = after.nodes["n1"]
    assert isinstance(step, StepNeuron)
    assert (step.threshold, step.decay.tolist()) == (3.0, [0.75] * 3)
    assert step.bias.tolist() == [0.375] * 3
    assert 0 < output_of(graph, dt=0.5).mean() < 1
    equal(graph, after, 0, dt=0.5)


def test_a_threshold_is_a_neuron_without_memory() -> None:
    graph = chain(Threshold(np.array([1.0, 2.0, 4.0])), shape=(3,))
    after = rewritten(TimeStep(1.0, "subtract"), graph, "n0")
    assert {type(node) for node in after.nodes.values()} >= {StepNeuron, Scale}
    assert 0 < output_of(graph).mean() < 1
    equal(graph, after, 0)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"tau": np.array([0.1, 0.1])}, "n1 (LIF): tau: found 0.1, allowed from dt (0.5) up"),
        ({"v_threshold": np.zeros(2)}, "n1 (LIF): v_threshold: found 0 above v_reset, allowed"),
    ],
)
def test_what_has_no_step_is_named(change: dict[str, Any], line: str) -> None:
    rng = np.random.default_rng(0)
    node = neuron("LIF", rng, 2)
    values = {key: getattr(node, key) for key in ("r", "tau", "v_leak", "v_threshold", "v_reset")}
    graph = chain(Linear(np.eye(2)), Neuron("LIF", **values | change), shape=(2,))
    with pytest.raises(HardspikeError) as caught:
        rewrite_graph(graph, 0.5, "zero")
    assert line in str(caught.value)


@small
@given(seed=seeds)
def test_all_rewrites_together(seed: int) -> None:
    """A network with everything in it comes out as it went in."""
    rng = np.random.default_rng(seed)
    nodes = (
        Scale(np.full((2, 8, 8), 2.0)),
        Conv2d(whole(rng, 4, 1, 3, 3), whole(rng, 4), (1, 1), (1, 1), groups=2),
        Conv2d(whole(rng, 4, 1, 1, 1), whole(rng, 4), groups=4),
        integrate_and_fire((4, 8, 8), 4.0),
        AvgPool2d((2, 2), (2, 2)),
        Conv2d(whole(rng, 3, 4, 3, 3), None, (1, 1), (1, 1)),
        integrate_and_fire((3, 4, 4), 2.0),
        SumPool2d((2, 2), (2, 2)),
        Flatten(0, -1),
        Linear(whole(rng, 6, 12)),
        Linear(whole(rng, 3, 6), whole(rng, 3)),
        integrate_and_fire((3,), 4.0),
    )
    graph = chain(*nodes, shape=(2, 8, 8))
    after, applied = rewrite_graph(graph, 1.0, "zero")
    assert {type(node) for node in after.nodes.values()} <= {
        *(type(graph.nodes["input"]), type(graph.nodes["output"])),
        *(Conv2d, Linear, StepNeuron, Flatten),
    }
    assert len(applied) > 8
    equal(graph, after, seed)
