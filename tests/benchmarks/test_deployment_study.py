"""The committed study of deployment is what its committed records say, and its plan is sound."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.deployment_study import found as found_module
from benchmarks.deployment_study.found import read_all
from benchmarks.deployment_study.plan import plan
from benchmarks.deployment_study.settings import ARMS, FOLDS, NMNIST, RECORDS, SEEDS, SUITE
from benchmarks.deployment_study.withstand import FOLDER, SCHEMA, entry_of, suite_digest
from benchmarks.deployment_study.write import build_study
from benchmarks.study.entries import add_entry
from benchmarks.study.runs import by_training, missing, recorded
from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import write_netx
from pipeline.config_file import config_tree
from pipeline.robustness.settings import load_suite


def test_page_and_headline_are_rebuilt_from_the_records_to_the_byte() -> None:
    text, figures, _ = build_study(RECORDS)
    assert RECORDS.with_suffix(".md").read_text(encoding="utf-8") == text
    assert json.loads(RECORDS.with_suffix(".json").read_text(encoding="utf-8")) == figures


def test_what_is_on_record_is_planned_and_is_not_run_again() -> None:
    runs = plan()
    done = recorded(RECORDS)
    left = {run.name for one in missing(by_training(runs), done) for run in one}
    assert {name for _, name in done} <= {run.name for run in runs} - left


def test_every_arm_has_the_same_layers_recordings_and_readout() -> None:
    runs = plan()
    assert len({run.name for run in runs}) == len(runs) == len(ARMS) * FOLDS * SEEDS
    for seed in range(SEEDS):
        for fold in range(FOLDS):
            alike = [run.config for run in runs if run.name.endswith(f"fold{fold}-seed{seed}")]
            assert len(alike) == len(ARMS)
            first = alike[0]
            for config in alike[1:]:
                assert config.data == first.data
                assert config.layers.layers == first.layers.layers
                assert config.layers.readout == first.layers.readout == "membrane"
                assert config_tree(config.train)["shift_pixels"] == 1
                assert (config.seed, config.convert) == (seed, first.convert)


def test_an_entry_of_another_network_or_suite_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan()[0]
    row = {"kind": "drop", "cells": [{"correct": 5}, {"correct": 3}]}
    refused = {"kind": "contrast_threshold", "cells": [{"refused": "not here"}]}
    report = {
        "suite": config_tree(load_suite(SUITE)),
        "clean": {"n": 10, "correct": 9},
        "events": [row, refused],
        "faults": [],
    }
    synapse = Dense(np.array([[-4, 2], [0, 2]]))
    network = FixedPointNetwork((1, 1, 2), (Layer("a", synapse, LoihiLIF(0, 5)),), "count", 2, 1.0)
    write_netx(network, tmp_path / "model.net")
    entry = entry_of(report, run, tmp_path / "model.net")
    assert entry.mean_weights == (0.5,)
    assert (entry.events, entry.suite_sha256) == ({"drop": (5, 3)}, suite_digest())
    name = f"{NMNIST}-{next(iter(ARMS))}"
    add_entry(tmp_path / FOLDER / f"{name}.json", run.name, entry, SCHEMA)
    with pytest.raises(HardspikeError, match=f"{run.name}: .* of a network without a record"):
        read_all(tmp_path)
    record = recorded(RECORDS)[(run.file, run.name)]
    deployed = record.stages["deploy"].outputs["model.net"]
    (tmp_path / f"{name}.json").write_bytes((RECORDS / f"{name}.json").read_bytes())
    ours = entry.model_copy(update={"network_sha256": deployed})
    add_entry(tmp_path / FOLDER / f"{name}.json", run.name, ours, SCHEMA)
    assert read_all(tmp_path).withstood(next(iter(ARMS)))[record.match] == ours
    monkeypatch.setattr(found_module, "suite_digest", lambda: "2" * 64)
    with pytest.raises(HardspikeError, match=r"by another suite than robustness\.yaml has now"):
        read_all(tmp_path)
