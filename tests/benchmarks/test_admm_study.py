"""The committed study is what its committed records say, and its plan is what tuning chose."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.admm_study import published, race, ranks
from benchmarks.admm_study.plan import equal_seconds, plan, tuned
from benchmarks.admm_study.settings import (
    ARMS,
    FOLDS,
    GRIDS,
    NETWORKS,
    NMNIST,
    RACE_SCHEDULES,
    RANK_CHUNK,
    RECORDS,
    SACCADE,
    SEEDS,
    TUNED_ON,
    TUNING_FRACTION,
)
from benchmarks.admm_study.trees import experiment, in_words, named
from benchmarks.admm_study.tuning import SCHEMA, Tried, chosen, trials
from benchmarks.admm_study.write import build_study
from benchmarks.study.entries import add_entry
from benchmarks.study.runs import missing, recorded
from export.errors import HardspikeError
from pipeline.config import SAST
from pipeline.config_file import config_tree
from pipeline.training.admm.settings import ADMM


def test_page_and_headline_are_rebuilt_from_the_records_to_the_byte() -> None:
    text, figures, _ = build_study(RECORDS)
    assert RECORDS.with_suffix(".md").read_text(encoding="utf-8") == text
    assert json.loads(RECORDS.with_suffix(".json").read_text(encoding="utf-8")) == figures


def test_what_is_on_record_is_planned_and_is_not_run_again() -> None:
    trainings, _ = plan()
    done = recorded(RECORDS)
    planned = Counter(run.name for runs in trainings for run in runs)
    assert max(planned.values(), default=1) == 1
    left = {run.name for runs in missing(trainings, done) for run in runs}
    assert {name for _, name in done} <= set(planned) - left


def tuning_of(folder: Path, best: int) -> Path:
    """Write an entry for every trial; on every network the setting at `best` is best."""
    for trial in trials():
        place = [named(one) for one in _grid_of(trial.file)].index(named(trial.setting))
        entry = Tried(
            config=config_tree(trial.config),
            setting=dict(trial.setting),
            fold=getattr(trial.config.data.source, "fold", None),
            seed=0,
            validation=0.9 if place == best else 0.5 + 0.01 * place,
            best=1,
            epochs=20,
            seconds=30.0 if "-admm" in trial.file else 20.0,
        )
        add_entry(folder / f"{trial.file}.json", trial.name, entry, SCHEMA)
    return folder


def _grid_of(file: str) -> list[dict[str, object]]:
    settings: dict[str, dict[str, object]] = {}
    for trial in trials():
        if trial.file == file:
            settings.setdefault(named(trial.setting), dict(trial.setting))
    return list(settings.values())


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tuning_of(tmp_path_factory.mktemp("tuning"), best=1)


def test_methods_have_as_many_settings_and_never_see_a_test_recording() -> None:
    assert len({len(settings) for settings in GRIDS.values()}) == 1
    counts = Counter(trial.file.rpartition("-")[0] for trial in trials())
    assert counts
    for trial in trials():
        assert trial.config.data.validation_fraction == TUNING_FRACTION
        assert trial.config.seed == 0


def test_the_setting_with_the_best_mean_is_chosen_and_of_equal_ones_the_first(
    tuning: Path, tmp_path: Path
) -> None:
    choice = chosen(NMNIST, "dense-1", "admm", tuning)
    assert choice.setting == _grid_of(f"{NMNIST}-dense-1-admm")[1]
    assert (choice.validation, choice.seconds) == (0.9, 30.0)
    level = tuning_of(tmp_path, best=-1)
    path = level / f"{NMNIST}-dense-1-admm.json"
    tree = json.loads(path.read_text())
    for entry in tree["entries"].values():
        entry["validation"] = 0.7
    path.write_text(json.dumps(tree))
    assert chosen(NMNIST, "dense-1", "admm", level).setting == GRIDS["admm"][0]


def test_a_trial_without_an_entry_or_of_another_config_is_named(
    tuning: Path, tmp_path: Path
) -> None:
    with pytest.raises(HardspikeError, match=r"dense-1-admm-.* is not on record"):
        chosen(NMNIST, "dense-1", "admm", tmp_path)
    name = f"{NMNIST}-dense-1-admm.json"
    tree = json.loads((tuning / name).read_text())
    next(iter(tree["entries"].values()))["config"]["train"]["damping"] = 7.0
    (tmp_path / name).write_text(json.dumps(tree))
    with pytest.raises(HardspikeError, match="is not on record"):
        chosen(NMNIST, "dense-1", "admm", tmp_path)


def test_the_plan_has_every_network_fold_and_seed_once_tuning_is_there(
    tuning: Path, tmp_path: Path
) -> None:
    trainings, untuned = plan(tuning)
    assert untuned == []
    runs = [run for runs in trainings for run in runs]
    assert len({run.name for run in runs}) == len(runs)
    for dataset, architectures in NETWORKS.items():
        for architecture in architectures:
            for arm in ("admm", "surrogate", "random-hidden"):
                eight = [
                    run
                    for run in runs
                    if run.file == f"{dataset}-{architecture}-{arm}"
                    and run.config.convert.weight_bits == 8
                ]
                assert len(eight) == SEEDS * (FOLDS if dataset == NMNIST else 1)
    assert [run.config.seed for run in trainings[0]] == [0, 0]
    assert trainings[-1][0].config.seed == SEEDS - 1
    nothing, lacking = plan(tmp_path)
    assert nothing == []
    assert len(lacking) > len(ARMS)


def test_arms_take_the_settings_of_their_method(tuning: Path) -> None:
    trainings, _ = plan(tuning)
    configs = {run.name: run.config for runs in trainings for run in runs}
    start = configs[f"{NMNIST}-conv-warm-start-fold0-seed0-8bit"].train
    ours = configs[f"{NMNIST}-conv-admm-fold0-seed0-8bit"].train
    plain = configs[f"{NMNIST}-conv-surrogate-fold0-seed0-8bit"].train
    sast = configs[f"{NMNIST}-conv-sast-fold0-seed0-8bit"].train
    assert isinstance(start, SAST)
    assert isinstance(ours, ADMM)
    assert isinstance(plain, SAST)
    assert isinstance(sast, SAST)
    assert start.warm_start is not None
    assert (start.warm_start.ridge, start.warm_start.batch) == (ours.ridge, ours.batch)
    assert start.optimizer == plain.optimizer == sast.optimizer
    assert (plain.rho, plain.forward) == (0.0, "hard")
    assert sast.rho > 0
    assert (plain.epochs, ours.passes) == (40, 40)
    assert ours.shift_pixels == plain.shift_pixels == 2
    saccade = configs[f"{SACCADE}-dense-1-admm-seed0-8bit"]
    assert isinstance(saccade.train, ADMM)
    assert saccade.train.shift_pixels == 1
    assert TUNED_ON.get((SACCADE, "dense-1")) == (NMNIST, "dense-1")
    assert (
        saccade.train.ridge == chosen(NMNIST, "dense-1", "admm", tuning).setting["train"]["ridge"]
    )


def test_equal_seconds_are_admms_passes_in_epochs_of_the_surrogate(tuning: Path) -> None:
    """ADMM took 30 s for what took the surrogate 20 s."""
    passes = experiment("admm", NMNIST, "dense-1", 0, 0)["train"]["passes"]
    assert equal_seconds(NMNIST, "dense-1", tuning) == round(1.5 * passes)
    epochs = tuned(NMNIST, "dense-1", "equal-seconds", tuning)["train"]["epochs"]
    assert epochs == round(1.5 * passes)


def test_settings_have_names_for_files_and_words_for_tables() -> None:
    setting = {"train": {"optimizer": {"learning_rate": 0.002}, "slope": {"start": 5.0}}}
    assert named(setting) == "learning_rate0.002-slope5"
    assert in_words(setting) == "learning_rate 0.002, slope 5"


def test_the_other_parts_have_configs_in_order(tuning: Path) -> None:
    heats = list(race.heats(tuning))
    assert len(heats) == SEEDS * len(RACE_SCHEDULES)
    for heat in heats:
        ours, surrogate = (config.train for config in heat.configs)
        assert isinstance(ours, ADMM)
        assert isinstance(surrogate, SAST)
        assert ours.passes == surrogate.epochs
    for run in ranks.planned(tuning):
        assert isinstance(run.config.train, ADMM)
        assert run.config.train.chunk == RANK_CHUNK
        batch = run.config.train.batch
        assert batch.kind == "stream"
        assert batch.batch_size >= 3 * RANK_CHUNK
    for run in published.planned():
        assert isinstance(run.config.train, ADMM)
        assert (run.config.train.variant, run.config.train.reset) == ("published", "soft")
