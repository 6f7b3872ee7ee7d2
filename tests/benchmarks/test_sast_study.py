"""The committed study is what its committed records say."""

import functools
import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from benchmarks.records import RunRecord, read_records
from benchmarks.sast_study.headline import best_arms
from benchmarks.sast_study.in_short import in_short
from benchmarks.sast_study.plan import (
    ARMS,
    BY_VALIDATION,
    CONFIGS,
    GRID,
    NMNIST,
    RECOMMENDED,
    RECORDS,
    SACCADE,
    SWAPPED,
    plan,
)
from benchmarks.sast_study.tables import arm_table, best_of_grid, grid_table, smooth
from benchmarks.sast_study.theory import (
    MEASURED_ARMS,
    measured_runs,
    read_measured,
    theory_table,
)
from benchmarks.sast_study.trials import HELD_OUT, read_trials, trials
from benchmarks.sast_study.write import build_study
from benchmarks.statistics import summary
from benchmarks.study.runs import Planned, is_of_config, missing, recorded
from benchmarks.study.tables import Records, as_json, deployed, paired
from pipeline.config import SAST
from pipeline.config_file import load_config
from pipeline.theory.table import violated
from pipeline.training.schedules import slope_at


@functools.cache
def on_record() -> tuple[RunRecord, ...]:
    return read_records(RECORDS)


@functools.cache
def planned() -> list[list[Planned]]:
    return plan()


@functools.cache
def done() -> Any:
    return recorded(RECORDS)


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


def test_the_headline_holds_the_same_arms_together_on_all_folds_and_on_some() -> None:
    records = Records.of(on_record())
    arms = best_arms(records)
    rest = records.on_folds({2, 3, 4})
    committed = json.loads(RECORDS.with_suffix(".json").read_text(encoding="utf-8"))
    assert committed["headline_arms"] == arms._asdict()
    for bits in (8, 4):
        found = paired(
            rest.values(NMNIST, arms.deployed, deployed, bits),
            rest.values(NMNIST, arms.smooth, smooth),
        )
        shown = committed["headline_on_folds_not_tuned_on"][f"int{bits}_minus_best_smooth_points"]
        assert shown == as_json(summary(found))


def test_the_figures_bear_the_answer_in_one_sentence() -> None:
    assert in_short(Records.of(on_record()))[0].startswith("SAST mends a network")


def test_the_records_are_complete() -> None:
    assert missing(planned(), done()) == []


def test_sast_of_the_steep_arm_is_the_grids_best_by_validation() -> None:
    settings = load_config(CONFIGS / ARMS["sast-steep"][1]).train
    assert isinstance(settings, SAST)
    assert (settings.slope.start, settings.rho) == best_of_grid(Records.of(on_record()))
    plain = load_config(CONFIGS / ARMS["plain-steep"][1]).train
    assert plain == settings.model_copy(update={"rho": 0.0})


@pytest.mark.parametrize(
    ("arm", "base"),
    [
        ("theory-plain", "theory"),
        ("plain-pruned", "plain-hard-pick"),
        ("recipe-hard-matched", "recipe-hard"),
        SWAPPED,
        BY_VALIDATION,
    ],
)
def test_partners_differ_in_what_is_asked_alone(arm: str, base: str) -> None:
    one, other = (load_config(CONFIGS / ARMS[name][1]) for name in (arm, base))
    asked = {"plain-pruned": {"prune"}, "recipe-hard-matched": {"rho", "epochs"}}
    assert isinstance(one.train, SAST)
    assert isinstance(other.train, SAST)
    differing = {
        key for key in SAST.model_fields if getattr(one.train, key) != getattr(other.train, key)
    }
    assert differing == asked.get(arm, {"rho"})
    assert (one.data, one.network, one.seed) == (other.data, other.network, other.seed)


def test_the_quickstart_trains_by_the_recommended_recipe() -> None:
    """Its epochs are fewer, and its warm-up is the same share of them."""
    quick, recipe = (
        load_config(CONFIGS / file) for file in ("quickstart.yaml", ARMS[RECOMMENDED][1])
    )
    assert isinstance(quick.train, SAST)
    assert isinstance(recipe.train, SAST)
    scale = Fraction(quick.train.epochs, recipe.train.epochs)
    warm = recipe.train.rho_warmup
    same = {
        "epochs": recipe.train.epochs,
        "rho_warmup": warm,
        "slope": recipe.train.slope,
    }
    assert quick.train.model_copy(update=same) == recipe.train
    assert quick.train.rho_warmup.zero_epochs == scale * warm.zero_epochs
    assert quick.train.rho_warmup.ramp_epochs == scale * warm.ramp_epochs
    slopes = {
        slope_at(settings, epoch)
        for settings in (quick.train, recipe.train)
        for epoch in range(settings.epochs)
    }
    assert slopes == {5.0}
    for key in ("readout", "weight_gain", "tau", "threshold", "surrogate"):
        assert getattr(quick.layers, key) == getattr(recipe.layers, key)
    assert quick.data.validation_fraction == recipe.data.validation_fraction


def test_no_trial_shares_its_split_with_a_run_of_the_study() -> None:
    """Folds are shared, seeds are not; and validation recordings alone were looked at."""
    tried = read_trials(RECORDS)
    assert set(tried) == {trial.name for trial in trials()}
    for trial in trials():
        assert is_of_config(tried[trial.name].config, trial.config)
    seeds = {run.seed for run in on_record()}
    assert not seeds & {one.seed for one in tried.values()}
    assert {one.config["data"]["validation_fraction"] for one in tried.values()} == {HELD_OUT}


def test_the_theorys_figures_are_of_the_studys_configs_and_no_bound_is_violated() -> None:
    measured, runs = read_measured(RECORDS), measured_runs()
    assert list(measured) == list(MEASURED_ARMS)
    for arm, one in measured.items():
        assert is_of_config(one.config, runs[arm].config)
        assert violated(one.report["rows"]) == []
    assert len({one.weights for one in measured.values()}) == len(measured)
    text = (RECORDS.parents[1] / "sast-theory.md").read_text(encoding="utf-8")
    for arm in ("plain", "sast", "theory"):
        assert f"L̂ = {measured[arm].report['loss']['smoothness_estimate']:.3g}" in text
    table = theory_table(measured)
    assert {len(row) for row in table} == {len(measured) + 1}


def test_every_row_of_the_tables_has_its_runs_on_record() -> None:
    records = Records.of(on_record())
    for dataset in (NMNIST, SACCADE):
        for arm, row in zip(
            records.arms(dataset, ARMS), arm_table(records, dataset)[1:], strict=True
        ):
            assert (row[0], row[2]) == (ARMS[arm][0], str(len(records.runs(dataset, arm, 8))))
    grid = sum(int(row[2]) for row in grid_table(records)[1:])
    assert 2 * grid == len(records.by_file[GRID])


def test_what_is_on_record_is_what_the_plan_asks_for_and_is_not_run_again() -> None:
    left = {run.name for runs in missing(planned(), done()) for run in runs}
    names = Counter(run.name for runs in planned() for run in runs)
    assert max(names.values()) == 1
    assert {name for _, name in done()} <= set(names)
    assert not left & {name for _, name in done()}


def test_every_run_on_record_gave_onnx_runtime_the_references_spikes() -> None:
    for record in on_record():
        target = record.figures.targets["onnxruntime"]
        assert (target.status, target.spike_agreement) == ("ok", 1.0)


def test_a_run_of_another_config_is_due_again() -> None:
    run = next(run for runs in planned() for run in runs if (run.file, run.name) in done())
    assert missing([[run]], done()) == []
    changed = run.config.model_copy(update={"seed": run.config.seed + 100})
    assert missing([[replace(run, config=changed)]], done()) == [[replace(run, config=changed)]]


@pytest.mark.parametrize(
    "path",
    sorted(set(CONFIGS.rglob("*.yaml")) - {CONFIGS / "robustness.yaml"}),
    ids=lambda path: path.stem,
)
def test_every_committed_experiment_file_is_in_order(path: object) -> None:
    load_config(CONFIGS / str(path))
