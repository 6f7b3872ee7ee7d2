"""The cells of the matrix: every toolkit, both directions, every network."""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.interop_study.explain import difference, explain
from benchmarks.interop_study.importer import (
    as_built,
    check_says,
    in_words,
    plainly,
    run_imported,
)
from benchmarks.interop_study.ours import DT, NETWORKS, PREPARATIONS, STEPS
from benchmarks.interop_study.reading import Reading, evaluate, fires, read_graph
from benchmarks.interop_study.record import HERE, Cell, Study
from benchmarks.interop_study.settings import COUNT, SEED, TOOLKITS, Built, Toolkit
from benchmarks.interop_study.workers import Answer, Job, run_jobs
from benchmarks.study.packages import PackagesUnavailableError
from export.errors import HardspikeError
from export.imported.toolkits.reasons import REASONS
from export.network import Array, HardSpikeNetwork
from export.nir_graph import write_nir
from hardware.reference import run_float

Say = Callable[[str], None]
_RATE = 0.3
_NETWORK = re.compile(r'^    "([a-z-]+)": ', re.MULTILINE)


def run_toolkits(names: Sequence[str], before: Study, say: Say) -> Study:
    """Run the named toolkits and keep of `before` what they do not replace."""
    versions = dict(before.versions)
    absent = {name: why for name, why in before.absent.items() if name not in names}
    cells = [cell for cell in before.cells if cell.toolkit not in names]
    for toolkit in TOOLKITS:
        if toolkit.name not in names:
            continue
        say(f"{toolkit.title}: its packages, then its networks and ours")
        try:
            versions[toolkit.name], found = run_toolkit(toolkit)
        except PackagesUnavailableError as error:
            absent[toolkit.name] = str(error)
            versions.pop(toolkit.name, None)
            say(f"{toolkit.title}: not here ({error})")
            continue
        cells += found
        for cell in found:
            say(f"{toolkit.title}  {cell.direction}  {cell.network} {cell.prepared}: {cell.status}")
    order = [toolkit.name for toolkit in TOOLKITS]
    return before.model_copy(
        update={
            "versions": {name: versions[name] for name in order if name in versions},
            "absent": absent,
            "cells": tuple(sorted(cells, key=lambda cell: order.index(cell.toolkit))),
        }
    )


def run_toolkit(toolkit: Toolkit) -> tuple[dict[str, str], list[Cell]]:
    """Return a toolkit's versions and its cells, both directions.

    Raises:
        PackagesUnavailableError: its packages cannot be had.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        jobs = [Job("export", name, f"theirs-{name}") for name in their_networks(toolkit)]
        files = write_ours(toolkit, folder)
        jobs += [Job("run", one.network, stem, one.told.dt) for stem, one in files.items()]
        versions, answers = run_jobs(toolkit, folder, jobs)
        cells = [
            _theirs(toolkit, answer)
            if answer.job.kind == "export"
            else _ours(toolkit, answer, files[answer.job.file])
            for answer in answers
        ]
    return versions, cells


def their_networks(toolkit: Toolkit) -> list[str]:
    """Return the names of the networks that a worker builds, without importing it."""
    text = toolkit.worker.read_text(encoding="utf-8")
    return _NETWORK.findall(text[text.index("NETWORKS = {") :])


@dataclass(frozen=True)
class OurFile:
    """A network of ours as a file: how it was prepared, and the reading that it is right under."""

    network: str
    prepared: str
    told: Reading


def write_ours(toolkit: Toolkit, folder: Path) -> dict[str, OurFile]:
    """Write our networks for a toolkit, with inputs; return them by stem."""
    files = {}
    for name, make in NETWORKS.items():
        network = make()
        fitting = [one for one in PREPARATIONS[toolkit.name] if name in one.networks]
        for preparation in (None, *fitting):
            title = preparation.name if preparation else ""
            stem = f"ours-{name}-{title.replace(' ', '-').replace('.', '')}"
            told = Reading(DT)
            if preparation is None:
                write_nir(network, folder / f"{stem}.nir")
            else:
                preparation.write(network, folder / f"{stem}.nir")
                told = replace(Reading(preparation.dt), **preparation.reading)
            save_file({"input": _inputs(network).astype(np.float32)}, folder / f"{stem}.input")
            files[stem] = OurFile(name, title, told)
    return files


def _inputs(network: HardSpikeNetwork) -> Array:
    random = np.random.default_rng([SEED, 3])
    return (random.random((COUNT, STEPS, *network.input_shape)) < _RATE).astype(np.uint8)


def _theirs(toolkit: Toolkit, answer: Answer) -> Cell:
    """Compare what a toolkit's network did in it with what its file does here."""
    cell = Cell(
        toolkit=toolkit.name,
        direction="theirs to ours",
        network=answer.job.name,
        status="refused",
    )
    if answer.status != "ok":
        cause = f"{toolkit.title}, {answer.stage}: {answer.cause}"
        return cell.model_copy(update={"cause": cause})
    graph = read_graph(answer.graph_path)
    inputs, modules = answer.tensors()
    theirs, told = by_node(graph, modules), Reading(toolkit.dt)
    try:
        ours = run_imported(answer.graph_path, inputs, plainly(toolkit.dt))
    except HardspikeError as error:
        cause = f"{HERE}{str(error).replace(str(answer.graph_path), answer.graph_path.name)}"
        found = _compared(cell, graph, inputs, theirs, None, toolkit, told)
        found = told_from(found, answer, toolkit)
        status = "refused" if found.told_differing is None else found.status
        return found.model_copy(update={"status": status, "cause": cause})
    found = _compared(cell, graph, inputs, theirs, ours, toolkit, told)
    return told_from(found, answer, toolkit)


def by_node(graph: Any, modules: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs under the names of the nodes: a recurrent module's neuron is `….lif`.

    Raises:
        HardspikeError: a module has no node.
    """
    found = {}
    for module, values in modules.items():
        names = [name for name in (module, f"{module}.lif") if name in graph.nodes]
        if not names:
            raise HardspikeError(f"module {module}: found no node of its name in the file")
        found[names[0]] = values
    return found


def _ours(toolkit: Toolkit, answer: Answer, file: OurFile) -> Cell:
    """Compare what our file does in a toolkit with what the network does here."""
    cell = Cell(
        toolkit=toolkit.name,
        direction="ours to theirs",
        network=file.network,
        prepared=file.prepared,
        status="refused",
    )
    if answer.status != "ok":
        cause = f"{toolkit.title}, {answer.stage}: {answer.cause}"
        return cell.model_copy(update={"cause": cause})
    graph = read_graph(answer.graph_path)
    inputs, theirs = answer.tensors()
    expected = _expected(file.network, graph)
    return _compared(cell, graph, inputs, theirs, expected, toolkit, file.told)


def _expected(name: str, graph: Any) -> dict[str, Array]:
    """Return what the reference computes for our network, (B, T, N), by node."""
    network = NETWORKS[name]()
    trace = run_float(network, _inputs(network))
    last = f"{network.layers[-1].name}.neuron"
    found: dict[str, Array] = {f"{key}.neuron": one for key, one in trace.spikes_BTN.items()}
    if not fires(graph.nodes[last]):
        found[last] = trace.membranes_BTN
    return found


def _compared(
    cell: Cell,
    graph: Any,
    inputs: Array,
    theirs: Mapping[str, Array],
    ours: Mapping[str, Array] | None,
    toolkit: Toolkit,
    told: Reading,
) -> Cell:
    """Fill in a cell from both runs.

    What is explained is the reading of the graph; so `ours` must be what that reading gives, but
    for rounding.
    """
    plain = evaluate(graph, inputs, told).outputs
    if ours is None:
        ours = plain
    if odd := [name for name, values in theirs.items() if values.size != ours[name].size]:
        shapes = f"{theirs[odd[0]].shape[2:]}, allowed {ours[odd[0]].shape[2:]}"
        cause = f"{toolkit.title}, run: node {odd[0]}: found outputs of {shapes}"
        return cell.model_copy(update={"status": "refused", "cause": cause})
    ours = {name: ours[name].reshape(values.shape) for name, values in theirs.items()}
    if explain(graph, inputs, ours, told, ()) is None:
        slip = difference(graph, plain, ours)
        cause = f"hardspike's own run departs from the reading it was told at {slip.first}"
        return cell.model_copy(update={"status": "unexplained", "cause": cause})
    found = difference(graph, ours, theirs)
    facts: dict[str, Any] = {
        "places": found.places,
        "differing": found.differing,
        "first": found.first,
    }
    if not found.differing:
        return cell.model_copy(update={**facts, "status": "equal"})
    why = explain(graph, inputs, theirs, told, toolkit.changes)
    if why is None:
        cause = "no set of known departures makes the spikes equal"
        return cell.model_copy(update={**facts, "status": "unexplained", "cause": cause})
    return cell.model_copy(
        update={
            **facts,
            "status": "explained",
            "changes": tuple(change.name for change in why.changes),
            "rounded": why.rounded,
            "margin": why.margin,
        }
    )


def told_from(cell: Cell, answer: Answer, toolkit: Toolkit) -> Cell:
    """Tell the import who wrote a cell's file, and what its user knows besides.

    `options` are those with which the spikes are equal; where they are not, `check` is what
    `hardspike check` then prints of the node that parts first, and it must name all departures.
    """
    options = as_built(toolkit, toolkit.built.get(answer.job.name, Built()))
    graph = read_graph(answer.graph_path)
    inputs, modules = answer.tensors()
    said: dict[str, Any] = {"told": in_words(options)}
    try:
        ours = run_imported(answer.graph_path, inputs, options)
    except HardspikeError:
        node, differing = "", None
    else:
        found = difference(graph, ours, by_node(graph, modules))
        if found.differing <= cell.rounded:
            return cell.model_copy(update={**said, "told_differing": 0, "options": said["told"]})
        node, differing = found.first.rpartition(",")[0], found.differing
        said["told_first"] = found.first
    says = check_says(answer.graph_path, options, node)
    cell = cell.model_copy(update={**said, "told_differing": differing, "check": says})
    if unnamed := unnamed_reasons(cell):
        cause = f"`check {said['told']}` does not name {', '.join(unnamed)}"
        return cell.model_copy(update={"status": "unexplained", "cause": cause})
    return cell


def unnamed_reasons(cell: Cell) -> list[str]:
    """Return the departures of a cell that neither its options nor `check` names.

    With the toolkit told a cell that was equal has no reason to part.
    """
    if cell.status == "equal":
        return ["why"]
    known = [name for name in cell.changes if name in REASONS]
    return [name for name in known if name not in cell.check]
