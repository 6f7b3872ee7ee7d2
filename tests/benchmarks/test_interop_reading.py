"""NIR under a reading: by hand for a few steps, against the reference, and what explains what."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.interop_study.explain import ROUNDING, difference, explain
from benchmarks.interop_study.ours import NETWORKS, PREPARATIONS
from benchmarks.interop_study.reading import Reading, evaluate, read_graph
from benchmarks.interop_study.settings import (
    AFTER_LEAK,
    AT_THRESHOLD,
    EXPONENTIAL,
    FLOOR,
    LEFT_OVER,
    LOSES_INPUT,
    MANY_SPIKES,
    NO_RESET,
    SUBTRACT,
    WHOLE_INPUT,
    Change,
)
from export.errors import HardspikeError
from export.network import Array
from export.nir_graph import write_nir
from hardware.reference import run_float

DT = 0.5
KNOWN = (
    SUBTRACT,
    NO_RESET,
    AFTER_LEAK,
    LOSES_INPUT,
    LEFT_OVER,
    AT_THRESHOLD,
    MANY_SPIKES,
    EXPONENTIAL,
    WHOLE_INPUT,
    FLOOR,
)


def chain(*nodes: Any) -> Any:
    """Nodes in a row behind an input and in front of an output, none of them named."""
    names = ["input", *(f"n{index}" for index in range(len(nodes))), "output"]
    ends = (nir.Input(np.array([1])), nir.Output(np.array([1])))
    return nir.NIRGraph(
        dict(zip(names, (ends[0], *nodes, ends[1]), strict=True)),
        list(itertools.pairwise(names)),
        type_check=False,
    )


def lif(**more: float) -> Any:
    """One neuron that keeps half of its membrane a step of `DT`, and adds its input."""
    values = {"tau": 1.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | more
    return nir.LIF(**{name: np.array([value]) for name, value in values.items()})


def spikes(graph: Any, inputs: list[float], **more: Any) -> list[float]:
    """What the first node puts out for one recording."""
    given_BTN = np.array(inputs)[None, :, None]
    found = evaluate(graph, given_BTN, replace(Reading(DT), **more)).outputs["n0"]
    return [float(value) for value in found[0, :, 0]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0, 1, 0, 1, 0]),  # 1, then .5 + 1.25; reset; .5, then .25 + 1.25
        ({"at_threshold": True}, [1, 1, 0, 1, 0]),
        ({"reset": "none"}, [0, 1, 1, 1, 0]),  # 1, 1.75, 1.375, 1.9375, .97
        ({"reset": "subtract"}, [0, 1, 0, 1, 0]),  # what is left: .75, .875, then .69
        ({"late": "with its input"}, [0, 1, 0, 1, 0]),
        ({"late": "after the leak", "reset": "subtract"}, [0, 1, 0, 1, 0]),
        ({"many_spikes": True}, [1, 1, 0, 1, 0]),
        ({"ignored_r": True}, [0, 0, 0, 0, 0]),  # .5, .875, .69, .97
    ],
)
def test_a_few_steps_by_hand(changes: dict[str, Any], expected: list[float]) -> None:
    assert spikes(chain(lif()), [1.0, 1.25, 0.5, 1.25, 0.0], **changes) == expected


def test_late_resets_part_from_those_at_once() -> None:
    inputs = [3.0, 0.7, 0.8, 0.0]
    graph = chain(lif())
    assert spikes(graph, inputs) == [1, 0, 1, 0]  # 3; .7; .35 + .8
    assert spikes(graph, inputs, late="with its input") == [1, 0, 0, 0]  # the .7 is lost
    assert spikes(graph, inputs, reset="subtract") == [1, 1, 1, 0]  # 1 + .7; .35 + .8
    late = {"reset": "subtract", "late": "after the leak"}
    assert spikes(graph, inputs, **late) == [1, 1, 0, 0]  # 1.5 + .7 − 1 = 1.2; .6 + .8 − 1
    left = {"reset": "subtract", "late": "what is left"}
    assert spikes(graph, inputs, **left) == [1, 0, 0, 0]  # 1 + .7 − 1 decides; .85 + .8 − 1


@pytest.mark.parametrize("name", NETWORKS)
def test_our_files_under_the_plain_reading_give_the_references_spikes(
    name: str, tmp_path: Path
) -> None:
    network = NETWORKS[name]()
    write_nir(network, tmp_path / "network.nir")
    random = np.random.default_rng(5)
    inputs = (random.random((3, 20, *network.input_shape)) < 0.3).astype(np.uint8)
    trace = run_float(network, inputs)
    found = evaluate(read_graph(tmp_path / "network.nir"), inputs, Reading(network.dt)).outputs
    for layer in network.layers:
        node = found[f"{layer.name}.neuron"]
        if layer.neuron.fires:
            wanted = trace.spikes_BTN[layer.name]
            assert wanted.any()
            np.testing.assert_array_equal(node.reshape(wanted.shape), wanted)
        else:
            wanted = trace.membranes_BTN
            np.testing.assert_allclose(node.reshape(wanted.shape), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("toolkit", "index"),
    [
        ("snntorch", 0),
        ("norse", 0),
        ("sinabs", 1),
        ("sinabs", 2),
    ],
)
def test_a_preparation_changes_no_spike_under_the_reading_it_is_for(
    toolkit: str, index: int, tmp_path: Path
) -> None:
    preparation = PREPARATIONS[toolkit][index]
    network = NETWORKS["dense-lif"]()
    write_nir(network, tmp_path / "plain.nir")
    preparation.write(network, tmp_path / "prepared.nir")
    inputs = np.random.default_rng(6).random((2, 30, *network.input_shape)) < 0.3
    plain = evaluate(read_graph(tmp_path / "plain.nir"), inputs, Reading(network.dt))
    graph = read_graph(tmp_path / "prepared.nir")
    prepared = evaluate(graph, inputs, replace(Reading(preparation.dt), **preparation.reading))
    assert difference(graph, prepared.outputs, plain.outputs).differing == 0


def dense(seed: int) -> tuple[Any, Array]:
    """Two dense layers without a name in the plan, and spikes for them."""
    random = np.random.default_rng(seed)

    def layer(outputs: int, inputs: int) -> tuple[Any, Any]:
        weight = np.round(random.normal(0.3, 0.7, (outputs, inputs)) * 8) / 8
        ones = np.ones(outputs)
        neuron = nir.LIF(4 * DT * ones, 4 * ones, 0 * ones, ones, 0 * ones)
        return nir.Linear(weight), neuron

    graph = chain(*layer(6, 8), *layer(4, 6))
    return graph, (random.random((2, 25, 8)) < 0.4).astype(np.float64)


def named(changes: tuple[Change, ...]) -> set[str]:
    return {change.name for change in changes}


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000), st.sets(st.sampled_from(range(len(KNOWN))), max_size=2))
def test_what_was_changed_is_what_is_named_or_something_smaller_that_does_the_same(
    seed: int, chosen: set[int]
) -> None:
    graph, inputs = dense(seed)
    changes = tuple(KNOWN[index] for index in sorted(chosen))
    fields = [name for change in changes for name in change.fields]
    if len(set(fields)) < len(fields):
        return
    reading = Reading(DT)
    for change in changes:
        reading = change.applied(reading)
    outputs = evaluate(graph, inputs, reading).outputs
    theirs = {name: outputs[name] for name in ("n1", "n3")}
    found = explain(graph, inputs, theirs, Reading(DT), KNOWN)
    assert found is not None
    assert found.rounded == 0
    assert len(found.changes) <= len(changes)
    for change in found.changes:
        reading = Reading(DT)
        for other in found.changes:
            reading = other.applied(reading) if other is not change else reading
        without = evaluate(graph, inputs, reading).outputs
        assert difference(graph, without, theirs).differing


def test_a_decision_at_the_threshold_is_rounding_and_one_off_it_is_not() -> None:
    weight = np.array([[1 + ROUNDING / 3]])
    graph = chain(nir.Linear(weight), lif(tau=DT, r=1.0))
    inputs = np.array([0.0, 1.0, 0.0, 1.0])[None, :, None]
    theirs = {"n1": np.array([0.0, 1.0, 0.0, 0.0])[None, :, None]}
    found = explain(graph, inputs, theirs, Reading(DT), ())
    assert found is not None
    assert (found.rounded, found.changes) == (1, ())
    assert found.margin == pytest.approx(ROUNDING / 3, rel=1e-6)
    graph.nodes["n0"].weight = np.array([[1 + 3 * ROUNDING]])
    assert explain(graph, inputs, theirs, Reading(DT), ()) is None


def test_a_strict_threshold_is_named_as_such_and_not_as_rounding() -> None:
    graph = chain(nir.Linear(np.eye(1)), lif(tau=DT, r=1.0))
    inputs = np.array([0.0, 1.0, 0.0, 1.0])[None, :, None]
    found = explain(graph, inputs, {"n1": inputs}, Reading(DT), (AT_THRESHOLD,))
    assert found is not None
    assert (found.rounded, named(found.changes)) == (0, {"at-threshold"})


def test_recurrent_spikes_come_back_a_step_later() -> None:
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([1])),
            "lif": lif(tau=DT, r=1.0),
            "back": nir.Linear(np.array([[2.0]])),
            "output": nir.Output(np.array([1])),
        },
        [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")],
        type_check=False,
    )
    inputs = np.array([0.0, 1.5, 0.0, -2.0, 0.0])[None, :, None]
    found = evaluate(graph, inputs, Reading(DT)).outputs["lif"][0, :, 0]
    assert found.tolist() == [0, 1, 1, 0, 0]


def test_a_node_without_a_rule_and_a_cycle_without_a_neuron_are_one_line() -> None:
    inputs = np.zeros((1, 2, 1))
    with pytest.raises(HardspikeError, match="node n0: found Delay, for which there is no rule"):
        evaluate(chain(nir.Delay(np.array([1.0]))), inputs, Reading(DT))
    graph = chain(nir.Linear(np.eye(1)), nir.Linear(np.eye(1)))
    graph.edges.append(("n1", "n0"))
    with pytest.raises(HardspikeError, match="cycle without a neuron"):
        evaluate(graph, inputs, Reading(DT))
