"""The committed study is what its committed records say."""

import functools
import json
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.records import RunRecord, read_records
from benchmarks.sast_study.plan import ARMS, CONFIGS, GRID, NMNIST, RECORDS, SACCADE, plan
from benchmarks.sast_study.tables import arm_table, grid_table
from benchmarks.sast_study.write import build_study
from benchmarks.study.runs import missing, recorded
from benchmarks.study.tables import Records
from pipeline.config_file import load_config


@functools.cache
def on_record() -> tuple[RunRecord, ...]:
    return read_records(RECORDS)


HEADLINE = {
    "gap_plain_points",
    "gap_sast_points",
    "smooth_change_points",
    "int8_minus_best_smooth_points",
    "int4_minus_best_smooth_points",
    "step_ratio",
    "synops_ratio",
}


def test_page_and_headline_are_rebuilt_from_the_records_to_the_byte() -> None:
    text, figures, _ = build_study(RECORDS)
    assert RECORDS.with_suffix(".md").read_text(encoding="utf-8") == text
    assert json.loads(RECORDS.with_suffix(".json").read_text(encoding="utf-8")) == figures
    headline = figures["headline"]
    assert isinstance(headline, dict)
    assert set(headline) == HEADLINE
    for value in headline.values():
        assert set(value) == {"mean", "sd", "n"}


def test_every_row_of_the_tables_has_its_runs_on_record() -> None:
    records = Records.of(on_record())
    for dataset in (NMNIST, SACCADE):
        for arm, row in zip(
            records.arms(dataset, ARMS), arm_table(records, dataset)[1:], strict=True
        ):
            assert row[:2] == (ARMS[arm][0], str(len(records.runs(dataset, arm, 8))))
    grid = sum(int(row[2]) for row in grid_table(records)[1:])
    assert 2 * grid == len(records.by_file[GRID])


def test_what_is_on_record_is_what_the_plan_asks_for_and_is_not_run_again() -> None:
    trainings, done = plan(), recorded(RECORDS)
    left = {run.name for runs in missing(trainings, done) for run in runs}
    planned = Counter(run.name for runs in trainings for run in runs)
    assert max(planned.values()) == 1
    assert {name for _, name in done} <= set(planned)
    assert not left & {name for _, name in done}


def test_every_run_on_record_gave_onnx_runtime_the_references_spikes() -> None:
    for record in on_record():
        target = record.figures.targets["onnxruntime"]
        assert (target.status, target.spike_agreement) == ("ok", 1.0)


def test_a_run_of_another_config_is_due_again() -> None:
    done = recorded(RECORDS)
    run = next(run for runs in plan() for run in runs if (run.file, run.name) in done)
    assert missing([[run]], done) == []
    changed = run.config.model_copy(update={"seed": run.config.seed + 100})
    assert missing([[replace(run, config=changed)]], done) == [[replace(run, config=changed)]]


@pytest.mark.parametrize(
    "path",
    sorted(set(CONFIGS.rglob("*.yaml")) - {CONFIGS / "robustness.yaml"}),
    ids=lambda path: path.stem,
)
def test_every_committed_experiment_file_is_in_order(path: object) -> None:
    load_config(CONFIGS / str(path))
