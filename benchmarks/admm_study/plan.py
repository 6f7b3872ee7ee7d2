"""What the main part runs: arms of the settings that tuning chose, as ordinary configs.

What matters most comes first: one seed on all folds, saccade-mnist, robustness and hybrids, then
the other seeds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.admm_study.settings import (
    ARMS,
    CONTROLS,
    EVALUATE,
    FIRST,
    FOLDS,
    HYBRIDS,
    NETWORKS,
    NMNIST,
    OLD_RESET,
    RESET_TERMS_ON,
    SACCADE,
    SEEDS,
    SHORT,
    Tree,
)
from benchmarks.admm_study.trees import experiment, split_name, with_setting
from benchmarks.admm_study.tuning import TUNING, chosen
from benchmarks.study.runs import Planned, by_training
from export.errors import HardspikeError
from pipeline.config_file import extended, parse_config

ALL_FOLDS = tuple(range(FOLDS))
_UNFOLDED: tuple[int | None, ...] = (None,)


def plan(tuning: Path = TUNING) -> tuple[list[list[Planned]], list[str]]:
    """Return all runs, those that share a training together, and the arms not tuned yet.

    Raises:
        HardspikeError: an experiment file has faults.
    """
    runs, settings = [], dict[tuple[str, str, str], Tree | None]()
    for dataset, architecture, arm, seed in _order():
        key = (dataset, architecture, arm)
        if key not in settings:
            settings[key] = _if_tuned(*key, tuning)
        setting = settings[key]
        if setting is not None:
            runs += list(_arm_on(*key, seed, setting))
    untuned = ["-".join(key) for key, setting in settings.items() if setting is None]
    return by_training(runs), untuned


def _if_tuned(dataset: str, architecture: str, arm: str, tuning: Path) -> Tree | None:
    try:
        return tuned(dataset, architecture, arm, tuning)
    except HardspikeError as error:
        if "not on record" not in str(error):
            raise
        return None


def _order() -> Iterator[tuple[str, str, str, int]]:
    """Yield recordings, architecture, arm and seed."""
    control, *robust = CONTROLS
    for dataset in (NMNIST, SACCADE):
        yield from _each(dataset, (*FIRST, control), 0)
    yield from _each(NMNIST, (*robust, *HYBRIDS, OLD_RESET), 0)
    for seed in range(1, SEEDS):
        for dataset in (NMNIST, SACCADE):
            yield from _each(dataset, FIRST, seed)


def _each(dataset: str, arms: Sequence[str], seed: int) -> Iterator[tuple[str, str, str, int]]:
    for architecture in NETWORKS[dataset]:
        for arm in arms:
            if arm in _wanted(architecture):
                yield dataset, architecture, arm, seed


def _wanted(architecture: str) -> tuple[str, ...]:
    controls = CONTROLS if architecture in SHORT else CONTROLS[:1]
    resets = (OLD_RESET,) if architecture in RESET_TERMS_ON else ()
    return (*FIRST, *controls, *(HYBRIDS if architecture == "conv" else ()), *resets)


def _arm_on(
    dataset: str, architecture: str, arm: str, seed: int, setting: Tree
) -> Iterator[Planned]:
    robust = dataset == NMNIST and architecture in SHORT and seed == 0
    file = f"{dataset}-{architecture}-{arm}"
    for fold in ALL_FOLDS if dataset == NMNIST else _UNFOLDED:
        tree = with_setting(experiment(arm, dataset, architecture, fold, seed), setting)
        for bits in (8, 4) if robust else (8,):
            name = f"{file}-{split_name(fold, seed)}-{bits}bit"
            # At 8 bits the nearest levels do as well, in a fraction of the time.
            rounding = "nearest" if bits == 8 else "membrane"
            own = {"name": name, "convert": {"weight_bits": bits, "rounding": rounding}}
            whole = extended(tree, own) | {"evaluate": EVALUATE}
            yield Planned(file, name, parse_config(whole, name))


def tuned(dataset: str, architecture: str, arm: str, tuning: Path = TUNING) -> dict[str, Any]:
    """Return what tuning lays over an arm's file.

    Raises:
        HardspikeError: the tuning of a method that the arm needs is not complete.
    """
    setting = dict(chosen(dataset, architecture, ARMS[arm].tuned, tuning).setting)
    if arm == "equal-seconds":
        epochs = equal_seconds(dataset, architecture, tuning)
        return extended(setting, {"train": {"epochs": epochs}})
    if arm == "warm-start":
        of_admm: Tree = chosen(dataset, architecture, "admm", tuning).setting
        return extended(setting, {"train": {"warm_start": of_admm["train"]}})
    return setting


def equal_seconds(dataset: str, architecture: str, tuning: Path = TUNING) -> int:
    """Return the epochs of the surrogate that take as long as ADMM's passes.

    From the seconds of the chosen settings in tuning, where both have as many passes as epochs:
    ADMM's first pass is dearer than the others, so that the surrogate gets a little too much.
    """
    methods = ("admm", "surrogate")
    admm, surrogate = (chosen(dataset, architecture, name, tuning) for name in methods)
    passes = int(experiment("admm", dataset, architecture, 0, 0)["train"]["passes"])
    return max(1, round(passes * admm.seconds / surrogate.seconds))
