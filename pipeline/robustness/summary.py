"""From the cells of a suite to its matrix and its two numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import sha256
from pipeline.config import Config
from pipeline.config_file import config_tree
from pipeline.metrics import wilson_interval
from pipeline.robustness.cells import Cell
from pipeline.robustness.settings import Suite, severity, title
from pipeline.run_dir import git_commit, versions

SCHEMA = "hardspike.robustness/1"
FOLDER, JSON = "robustness", "robustness.json"
Found = Mapping[Cell, Mapping[str, Any]]


def build_report(
    config: Config,
    run: Path,
    suite: Suite,
    found: Found,
    seed: int,
    target: Mapping[str, str],
) -> dict[str, Any]:
    """Return the whole matrix in plain JSON values.

    Accuracy retained is accuracy over clean accuracy. A fault's accuracy is the mean over its
    draws; its interval is over the recordings alone, so that `n` is their number, not n × draws.
    `mean_retained` is the mean over rows of the row's mean over severities, without refused ones.

    Raises:
        HardspikeError: no clean recording is recognised.
    """
    clean = found[Cell()]
    if clean["correct"] == 0:
        raise HardspikeError(
            f"{run}: none of {clean['n']} clean recordings is recognised, so that no share of "
            "them can be retained; allowed is one or more"
        )
    base = clean["correct"] / clean["n"]
    rows = {
        "events": [_row(row, found, 1, base) for row in suite.events],
        "faults": [_row(row, found, suite.fault_draws, base) for row in suite.faults],
    }
    return {
        "schema": SCHEMA,
        "name": config.name,
        "suite": config_tree(suite),
        "seed": seed,
        **target,
        "network_sha256": sha256(run / "deploy" / "model.net"),
        "data": config_tree(config.data),
        "weight_bits": config.convert.weight_bits,
        "clean": _figures([clean]),
        **rows,
        "mean_retained": {name: _mean_of(part, "mean_retained") for name, part in rows.items()},
        "versions": versions(),
        "git_commit": git_commit(),
    }


def _row(row: Sequence[Any], found: Found, draws: int, base: float) -> dict[str, Any]:
    entries = []
    for asked in row:
        results = [found[Cell(asked, draw)] for draw in range(draws)]
        facts = {"severity": severity(asked), **asked.model_dump(mode="json")}
        refused = [result["refused"] for result in results if "refused" in result]
        if refused:
            entries.append(facts | {"refused": refused[0]})
            continue
        figures = _figures(results)
        entries.append(facts | figures | {"retained": figures["accuracy"] / base})
    return {
        "kind": row[0].kind,
        "title": title(row[0]),
        "mean_accuracy": _mean_of(entries, "accuracy"),
        "mean_retained": _mean_of(entries, "retained"),
        "cells": entries,
    }


def _figures(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return n, correct, accuracy and its interval; of several draws each one's correct too."""
    n, each = results[0]["n"], [result["correct"] for result in results]
    correct = each[0] if len(each) == 1 else sum(each) / len(each)
    figures = {
        "n": n,
        "correct": correct,
        "accuracy": correct / n,
        "ci95": list(wilson_interval(correct, n)),
    }
    return figures if len(each) == 1 else figures | {"correct_by_draw": each}


def _mean_of(entries: Sequence[Mapping[str, Any]], key: str) -> float | None:
    """Return the mean of what there is, None of nothing."""
    values = [entry[key] for entry in entries if entry.get(key) is not None]
    return sum(values) / len(values) if values else None
