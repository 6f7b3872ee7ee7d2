"""Every reading of a toolkit's file gives the spikes that its neurons' own steps give.

The graphs are as the exporters write them; the steps are in `steps`. Weights are of one, so that
what is held is the neuron; inputs are eighths, which IF neurons and thresholds in eighths meet.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.imported.graph import Graph, Input, Linear, Neuron, Output
from export.imported.lower import lower
from export.imported.reading import (
    Options,
    import_nir,
    never_firing,
    read_settled,
    settle,
    with_toolkit,
)
from export.imported.rewrites.run import rewrite_graph
from export.imported.toolkits.names import TOOLKIT_NAMES, ToolkitName
from export.imported.toolkits.read_as import MOST_OWN, TOOLKITS, settings_of
from export.imported.toolkits.reasons import REASONS
from export.network import Array
from hardware.reference import run_float
from tests.export.imported.nir_files import full, weights, write
from tests.export.imported.toolkits import steps

N, STEPS = 4, 24
NEAR = 1e-6
TAU = st.sampled_from([1.5, 2.0, 5.0, 10.0, 37.5])
SEED = st.integers(0, 2**16)
RESET = st.sampled_from(["zero", "subtract"])


def spikes_in(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 2, (STEPS, N)).astype(np.uint8)


def weight_in(seed: int) -> Any:
    return np.random.default_rng([seed, 1]).integers(-4, 13, (N, N)) / 8


def neurons(kind: str, **values: Any) -> Neuron:
    """Return neurons as a reader has them, in float32 as most exporters write."""
    found = {key: np.broadcast_to(np.float32(value), (N,)) for key, value in values.items()}
    none = {"v_leak": full((N,), 0.0), "v_reset": full((N,), 0.0)}
    if kind == "IF":
        none.pop("v_leak")
    if kind == "LI":
        none.pop("v_reset")
    return Neuron(kind, **{**none, **found})


def graph_of(neuron: Neuron, weight: Array, back: Array | None = None) -> Graph:
    nodes: dict[str, Any] = {
        "input": Input((N,)),
        "fc": Linear(weight, np.zeros(len(weight))),
        "lif": neuron,
        "output": Output(),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    if back is not None:
        nodes["back"] = Linear(back)
        edges += [("lif", "back"), ("back", "lif")]
    return Graph(nodes, tuple(edges))


def run(graph: Graph, spikes_TN: Array, options: Options) -> Array:
    """Return what the neurons of the imported network give, (T, N)."""
    graph = never_firing(graph)
    options = with_toolkit(graph, options)
    settled = settle(graph, options)
    read = read_settled(graph, options, settled)
    rewritten, _ = rewrite_graph(read.graph, settled.dt, settled.reset)
    network = lower(rewritten, settled.base).network
    trace = run_float(network, spikes_TN[None, :, :, None, None])
    if network.readout == "membrane":
        return np.asarray(trace.membranes_BTN[0])
    return np.asarray(trace.spikes_BTN["lif"][0])


def told(toolkit: ToolkitName, reset: Any, *said: str, dt: float | None = None) -> Options:
    return Options(dt=dt, reset=reset, steps=STEPS, toolkit=toolkit, settings=said)


def clear(expected: Any, x_TN: Array, threshold: float, *args: Any, **more: Any) -> Array:
    """Return the toolkit's spikes, where none of them hangs on a rounding."""
    found = [
        expected(x_TN, *args, threshold=threshold * (1 + way * NEAR), **more) for way in (-1, 0, 1)
    ]
    assume(all((one == found[1]).all() for one in found))
    return np.asarray(found[1])


@given(TAU, RESET, st.booleans(), st.sampled_from([None, 0.5, 3.0]), SEED)
@settings(max_examples=40, deadline=None)
def test_sinabs_lif(tau: float, reset: str, norm: bool, syn: float | None, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    wanted = clear(
        steps.sinabs_lif, x @ w.T, 0.5, tau=tau, reset=reset, norm_input=norm, tau_syn=syn
    )
    said = ("spike_fn=SingleSpike", f"norm_input={norm}", f"tau_syn={syn}")
    graph = graph_of(neurons("LIF", r=1.0, tau=tau, v_threshold=0.5), w)
    assert (run(graph, x, told("sinabs", reset, *said)) == wanted).all()


@given(st.sampled_from(["None", "0.5", "3", "40.25"]), RESET, SEED)
@settings(max_examples=40, deadline=None)
def test_sinabs_iaf(syn: str, reset: str, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    tau_syn = None if syn == "None" else float(syn)
    if tau_syn is None:
        wanted = steps.sinabs_iaf(x @ w.T, 0.75, reset, tau_syn)
    else:
        wanted = clear(steps.sinabs_iaf, x @ w.T, 0.75, reset=reset, tau_syn=tau_syn)
    said = told("sinabs", reset, "spike_fn=SingleSpike", f"tau_syn={syn}")
    graph = graph_of(neurons("IF", r=1.0, v_threshold=0.75), w)
    assert (run(graph, x, said) == wanted).all()


@given(TAU, SEED)
@settings(max_examples=20, deadline=None)
def test_sinabs_readout(tau: float, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    found = run(graph_of(neurons("LI", r=1.0, tau=tau), w), x, told("sinabs", None))
    np.testing.assert_allclose(found, steps.sinabs_leak(x @ w.T, tau), rtol=1e-9)


@given(st.sampled_from(TOOLKIT_NAMES), RESET, SEED)
@settings(max_examples=40, deadline=None)
def test_integrate_and_fire_meets_its_threshold(
    toolkit: ToolkitName, reset: str, seed: int
) -> None:
    """Every sum is an eighth, as is the threshold: they meet all the time."""
    x, w = spikes_in(seed), weight_in(seed)
    above = toolkit in ("norse", "snntorch")
    if toolkit in ("norse", "spikingjelly"):
        reset = "zero"
    wanted = steps.integrate(x @ w.T, 0.75, reset, at_threshold=not above)
    node = {
        "norse": lambda: neurons("IF", r=1.0, v_threshold=0.75),
        "sinabs": lambda: neurons("IF", r=1.0, v_threshold=0.75),
        "spikingjelly": lambda: neurons("IF", r=1e4, v_threshold=0.75),
        "snntorch": lambda: neurons("LIF", r=np.inf, tau=np.inf, v_threshold=0.75),
    }[toolkit]()
    found = run(graph_of(node, w.astype(np.float32)), x, told(toolkit, reset))
    assert (found == wanted).all()


@given(st.sampled_from([20.0, 100.0, 400.0]), RESET, st.sampled_from([1e-3, 2e-3]), SEED)
@settings(max_examples=40, deadline=None)
def test_norse_box(tau_inv: float, reset: str, dt: float, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    said = told("norse", reset, dt=None if dt == 1e-3 else dt)
    box = neurons("LIF", r=1.0, tau=dt / tau_inv, v_threshold=0.25)
    wanted = clear(steps.norse_box, x @ w.T, 0.25, tau_inv=tau_inv, dt=dt, reset=reset)
    assert (run(graph_of(box, w), x, said) == wanted).all()
    leak = neurons("LI", r=1.0, tau=dt / tau_inv)
    membranes = steps.norse_box(x @ w.T, tau_inv, dt, np.inf, "zero")
    np.testing.assert_allclose(run(graph_of(leak, w), x, said), membranes, rtol=1e-5, atol=1e-6)


@given(st.sampled_from([50.0, 200.0]), st.sampled_from([100.0, 500.0]), SEED)
@settings(max_examples=20, deadline=None)
def test_norse_current(tau_inv: float, syn_inv: float, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    constants = {"tau": 1e-3 / tau_inv, "tau_syn": 1e-3 / syn_inv, "w_in": 1.0}
    cell = neurons("CubaLIF", r=1.0, v_threshold=0.5, **constants)
    wanted = clear(steps.norse_lif, x @ w.T, 0.5, tau_inv=tau_inv, tau_syn_inv=syn_inv, dt=1e-3)
    assert (run(graph_of(cell, w), x, told("norse", "zero")) == wanted).all()


def leaky(beta: float, alpha: float | None = None) -> Neuron:
    """Return snnTorch's neurons, with the divisions of its exporter in float32."""
    dt, kept = 1e-4, np.float32(beta)
    tau = dt / (1 - kept)
    more: dict[str, Any] = {}
    if alpha is not None:
        tau_syn = dt / (1 - np.float32(alpha))
        more = {"tau_syn": tau_syn, "w_in": tau_syn / dt}
    kind = "LIF" if alpha is None else "CubaLIF"
    return neurons(kind, r=tau / dt, tau=tau, v_threshold=0.75, **more)


@given(st.sampled_from([0.0, 0.5, 0.9, 0.95]), RESET, st.booleans(), SEED)
@settings(max_examples=60, deadline=None)
def test_snntorch_leaky(beta: float, reset: str, recurrent: bool, seed: int) -> None:
    """A reset by subtraction comes after the next leak; a recurrent one to zero takes its input."""
    x, w = spikes_in(seed), weight_in(seed)
    back = np.random.default_rng([seed, 2]).normal(0, 0.3, (N, N)) if recurrent else None
    wanted = clear(steps.snntorch, x @ w.T, 0.75, beta=beta, reset=reset, v_NN=back)
    assert (run(graph_of(leaky(beta), w, back), x, told("snntorch", reset)) == wanted).all()


@given(st.sampled_from([0.5, 0.9]), st.sampled_from([None, 0.25, 0.8]), st.booleans(), SEED)
@settings(max_examples=40, deadline=None)
def test_snntorch_resets_to_zero(beta: float, alpha: float | None, delay: bool, seed: int) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    wanted = clear(steps.snntorch, x @ w.T, 0.75, beta=beta, reset="zero", alpha=alpha, delay=delay)
    said = told("snntorch", "zero", f"reset_delay={delay}")
    assert (run(graph_of(leaky(beta, alpha), w), x, said) == wanted).all()


def test_a_rest_that_the_reading_makes_is_not_called_the_files() -> None:
    x = spikes_in(0)
    graph = graph_of(leaky(0.5, 0.5), weight_in(0))
    same = replace(told("snntorch", "zero"), refractory=1)
    assert (run(graph, x, same) == run(graph, x, told("snntorch", "zero"))).all()
    message = "refractory: found 1 step as snnTorch runs it and 3 given, allowed are equal ones"
    with pytest.raises(HardspikeError, match=message):
        run(graph, x, replace(same, refractory=3))


@given(TAU, st.booleans(), st.sampled_from([0.0, -0.5]), st.sampled_from([1e-4, 5e-4]), SEED)
@settings(max_examples=40, deadline=None)
def test_spikingjelly_lif(
    tau: float, decay_input: bool, v_reset: float, dt: float, seed: int
) -> None:
    x, w = spikes_in(seed), weight_in(seed)
    wanted = clear(
        steps.spikingjelly_lif, x @ w.T, 0.5, tau=tau, v_reset=v_reset, decay_input=decay_input
    )
    r = 1.0 if decay_input else tau
    rest = {"v_leak": v_reset, "v_reset": v_reset}
    node = neurons("LIF", r=r, tau=tau * dt, v_threshold=0.5, **rest)
    assert (run(graph_of(node, w), x, told("spikingjelly", None, dt=dt)) == wanted).all()


def lif(**changes: float) -> Any:
    values = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changes
    return nir.LIF(**{key: full((N,), value) for key, value in values.items()})


def nodes_of(neuron: Any, size: int = N) -> dict[str, Any]:
    return {
        "input": nir.Input(np.array([N])),
        "fc": nir.Affine(weights(size, N), full((size,), 0.0)),
        "lif": neuron,
        "output": nir.Output(np.array([size])),
    }


REFUSED: dict[str, tuple[ToolkitName, Any, dict[str, Any], str]] = {
    "a node": ("snntorch", nir.IF(full(N, 1), full(N, 1)), {}, "does not write such a node"),
    "r": ("norse", lif(r=2.0), {}, "r: found 2, allowed 1"),
    "tau": ("snntorch", lif(), {}, "r: found 1, allowed tau/dt with dt = 0.0001"),
    "v_leak": ("sinabs", lif(v_leak=0.5), {}, "v_leak: found 0.5, allowed none"),
    "v_reset": ("sinabs", lif(v_reset=0.5), {}, "v_reset: found 0.5, allowed none"),
    "rest": ("spikingjelly", lif(v_leak=0.5), {}, "v_leak: found 0.5, allowed v_reset"),
    "IF's dt": (
        *("spikingjelly", nir.IF(full(N, 1000), full(N, 1), full(N, 0)), {}),
        "r: found 1000, allowed 1/dt (10000), with dt = 0.0001; if the export had another, give",
    ),
    "dt": ("sinabs", lif(), {"dt": 0.1}, "--dt: found 0.1, allowed 1: sinabs writes for no other"),
    "reset": ("spikingjelly", lif(), {"reset": "subtract"}, "--reset: found 'subtract', allowed"),
    "a reset that it has not": (
        *("norse", nir.IF(full(N, 1), full(N, 1), full(N, 0)), {"reset": "subtract"}),
        "allowed 'zero': an IAFCell has no other",
    ),
    "a setting": (
        "norse",
        lif(),
        {"settings": ("tau=3",)},
        "found 'tau=3', allowed of Norse: none",
    ),
    "its value": (
        *("sinabs", lif(), {"settings": ("tau_syn=-1",)}),
        "tau_syn: found '-1', allowed None or a number from 0.1 to 1000000, in digits and a point",
    ),
    **{
        f"a value of {value!r}": (
            *("sinabs", lif(), {"settings": (f"tau_syn={value}",)}),
            f"--setting: tau_syn: found {value!r}, allowed None or a number from",
        )
        for value in (
            *(" 5", "5 ", "1_0", "1e3", "1e300", "+5", "05", ".5", "5.", "٥", "", "nan", "inf"),
            *("0", "0.0999", "1000000.1"),
        )
    },
    "a setting of no node": (
        *(
            "sinabs",
            nir.LI(full(N, 5), full(N, 1), full(N, 0)),
            {"settings": ("norm_input=False",)},
        ),
        "--setting: norm_input: found with neurons LI, allowed with LIF: sinabs has it in no other",
    ),
    "a setting of no node, an IF": (
        *("sinabs", nir.IF(full(N, 1), full(N, 1)), {"settings": ("norm_input=True",)}),
        "norm_input: found with neurons IF, allowed with LIF: sinabs has it in no other",
    ),
    "two values": (
        *("sinabs", lif(), {"settings": ("tau_syn=1", "tau_syn=2")}),
        "tau_syn: found 1 and 2, allowed one",
    ),
    "nobody's setting": (
        *("sinabs", lif(), {"toolkit": None, "settings": ("tau_syn=1",)}),
        "--setting: found without --from",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_the_toolkits_is_one_line(case: str, tmp_path: Path) -> None:
    toolkit, neuron, more, line = REFUSED[case]
    said = {"toolkit": toolkit, "reset": "zero", "steps": STEPS, **more}
    path = write(tmp_path / "net.nir", nodes_of(neuron))
    with pytest.raises(HardspikeError) as caught:
        import_nir(path, Options(**said))
    (found,) = str(caught.value).splitlines()
    assert found.startswith(f"{path}: ")
    assert line in found


@pytest.mark.parametrize("toolkit", TOOLKIT_NAMES)
def test_a_file_of_ours_is_nobody_elses(toolkit: ToolkitName, tmp_path: Path) -> None:
    path = write(tmp_path / "net.nir", nodes_of(lif()), dt="0.01")
    with pytest.raises(HardspikeError, match="as hardspike writes it"):
        import_nir(path, told(toolkit, "zero"))


def test_numbers_that_make_no_neuron_are_named_as_they_stand(tmp_path: Path) -> None:
    for changes, line in (
        ({"tau": -3.0}, "tau: found -3, allowed above 0"),
        ({"v_threshold": np.nan}, "v_threshold: found nan in 4 places"),
    ):
        path = write(tmp_path / "net.nir", nodes_of(lif(**changes)))
        for toolkit in TOOLKIT_NAMES:
            with pytest.raises(HardspikeError, match=line):
                import_nir(path, told(toolkit, "zero"))


def test_more_neurons_than_weights_to_themselves_are_named(tmp_path: Path) -> None:
    count = MOST_OWN + 1
    values = {"r": 10.0, "tau": 1e-3, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    node = Neuron("LIF", **{key: np.full(count, value) for key, value in values.items()})  # type: ignore[arg-type]
    nodes: dict[str, Any] = {"input": Input((count,)), "lif": node, "output": Output()}
    graph = Graph(nodes, (("input", "lif"), ("lif", "output")))
    options = told("snntorch", "subtract")
    read = read_settled(graph, options, settle(graph, with_toolkit(graph, options)))
    assert read.graph.nodes.keys() == nodes.keys()
    assert f"vectors of up to {MOST_OWN}, found ({count},)" in read.apart["lif"]


def test_a_number_is_one_however_it_is_written() -> None:
    sinabs = TOOLKITS["sinabs"]
    for text, value in (("5", "5"), ("5.0", "5"), ("0.10", "0.1"), ("1000000", "1000000")):
        found, names = settings_of(sinabs, (f"tau_syn={text}", f"tau_syn={value}"))
        assert found["tau_syn"] == value
        assert names == {"tau_syn"}


def test_settings_name_their_default_first() -> None:
    defaults = {
        name: {key: one.values[0] for key, one in toolkit.settings.items()}
        for name, toolkit in TOOLKITS.items()
    }
    assert defaults == {
        "snntorch": {"reset_delay": "True"},
        "norse": {},
        "spikingjelly": {},
        "sinabs": {"norm_input": "True", "spike_fn": "MultiSpike", "tau_syn": "None"},
    }
    assert list(TOOLKITS) == list(TOOLKIT_NAMES)
    assert list(REASONS) == sorted(REASONS)
