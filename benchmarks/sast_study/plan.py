"""What the study runs: arms, splits and the grid, each as an ordinary config.

An arm is an experiment file of `configs/`. On N-MNIST-1k it runs as it stands, over five folds and
two seeds; on saccade-mnist it takes a quarter of the quickstart's training recordings and the
quickstart's layers, over three seeds, but for the few arms of `ON_NMNIST_ALONE`. Every training is
deployed at 8 and at 4 bits.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.study.runs import Planned, by_training
from pipeline.config_file import extended, parse_config, read_tree

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
RECORDS = ROOT / "docs" / "studies" / "sast"
RUNS = Path("runs/study-sast")

NMNIST, SACCADE, GRID = "nmnist-1k", "saccade-mnist", "grid"
BITS = (8, 4)
FOLDS, FOLD_SEEDS, SACCADE_SEEDS = 5, 2, 3
GRID_SLOPES, GRID_RHOS = (1.0, 2.0, 5.0), (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
SACCADE_TRAIN = 1000

ARMS: Mapping[str, tuple[str, str]] = {
    "plain": ("plain surrogate-forward", "controls/plain.yaml"),
    "sast": ("SAST", "nmnist-1k.yaml"),
    "plain-hard-pick": ("plain, epoch by hard accuracy", "controls/plain-hard-pick.yaml"),
    "sast-hard-pick": ("SAST, epoch by hard accuracy", "controls/sast-hard-pick.yaml"),
    "plain-long": ("plain, β = 1.5, 70 epochs", "controls/plain-long.yaml"),
    "sast-long": ("SAST, β = 1.5, ρ = 0.5, 70 epochs", "controls/sast-long.yaml"),
    "plain-steep": ("plain, constant slope of 5", "controls/plain-steep.yaml"),
    "sast-steep": ("SAST, best of the grid (β = 5, ρ = 0.05)", "controls/sast-steep.yaml"),
    "plain-pruned": ("plain, two fifths pruned", "controls/plain-pruned.yaml"),
    "slope": ("slope schedule", "controls/slope.yaml"),
    "slope-sast": ("slope schedule and SAST", "controls/slope-sast.yaml"),
    "hard-forward": ("hard forward", "controls/hard-forward.yaml"),
    "compute-matched": ("plain, as many gradients as SAST", "controls/compute-matched.yaml"),
    "slope-matched": ("slope schedule, as many gradients", "controls/slope-matched.yaml"),
    "random": ("random weight perturbation", "controls/random-perturbation.yaml"),
    "theory": ("theory alignment", "controls/theory-alignment.yaml"),
    "theory-plain": ("theory alignment without SAST", "controls/theory-plain.yaml"),
    "plain-calibrated": ("plain, thresholds calibrated", "controls/plain-calibrated.yaml"),
    "sast-calibrated": ("SAST, thresholds calibrated", "controls/sast-calibrated.yaml"),
    "low-bit": ("fine-tuned at 4 bits", "controls/low-bit.yaml"),
    "recipe": ("recipe", "controls/recipe.yaml"),
    "recipe-without-sast": ("recipe without SAST", "controls/recipe-without-sast.yaml"),
    "recipe-dense": ("recipe, no weight pruned", "controls/recipe-dense.yaml"),
    "recipe-hard": ("recipe, hard forward", "controls/recipe-hard.yaml"),
    "recipe-hard-without-sast": (
        "recipe, hard forward, without SAST",
        "controls/recipe-hard-without-sast.yaml",
    ),
    "recipe-hard-matched": (
        "recipe, hard forward, without SAST, as many gradients",
        "controls/recipe-hard-matched.yaml",
    ),
    "recipe-hard-dense": (
        "recipe, hard forward, no weight pruned",
        "controls/recipe-hard-dense.yaml",
    ),
    "recipe-smooth": ("recipe, slope kept low", "controls/recipe-smooth.yaml"),
}
"""Name → what it is called in the tables, and its experiment file."""
RECOMMENDED = "recipe-hard"
"""The arm that the study recommends; `configs/quickstart.yaml` uses it."""

SWAPPED = ("plain-hard-pick", "sast-hard-pick")
"""The arms that show what the hard threshold costs, and what of it SAST avoids. Their slope and ρ
were chosen with test accuracy in sight.
"""
BY_VALIDATION = ("plain-long", "sast-long")
"""The same at the best of the settings that were tried later, by validation recordings alone."""

ON_NMNIST_ALONE = (
    *BY_VALIDATION,
    "plain-steep",
    "sast-steep",
    "plain-pruned",
    "theory-plain",
    "recipe-hard-matched",
)
"""Arms that are not run on saccade-mnist."""

_EARLY = (
    "plain",
    "sast",
    *SWAPPED,
    "plain-calibrated",
    "sast-calibrated",
    "slope",
    "slope-sast",
    "hard-forward",
    "recipe",
    "recipe-hard",
    "recipe-hard-without-sast",
    "recipe-without-sast",
    "recipe-smooth",
)
"""What runs first where there is a choice."""

_EVALUATE = {
    "targets": ["reference", "onnxruntime"],
    "threads": 1,
    "corruptions": [{"kind": "drop", "share": 0.5}, {"kind": "noise", "hz_per_pixel": 1.0}],
}


def plan() -> list[list[Planned]]:
    """Return all runs, those that share a training together; what matters most comes first.

    Raises:
        HardspikeError: an experiment file has faults.
    """
    first, *others = range(FOLD_SEEDS)
    runs = [*_arms_on(NMNIST, [first])]
    later = [*_arms_on(SACCADE, range(SACCADE_SEEDS)), *_arms_on(NMNIST, others)]
    runs += [*(run for run in later if _arm(run) in _EARLY), *_grid()]
    runs += [run for run in later if _arm(run) not in _EARLY]
    return by_training(runs)


def _arm(run: Planned) -> str:
    return run.file.removeprefix(f"{SACCADE}-").removeprefix(f"{NMNIST}-")


def _arms_on(dataset: str, seeds: Iterable[int]) -> Iterator[Planned]:
    folds = range(FOLDS) if dataset == NMNIST else (None,)
    for seed in seeds:
        for fold in folds:
            for arm, (_, file) in ARMS.items():
                if dataset == SACCADE and arm in ON_NMNIST_ALONE:
                    continue
                tree = read_tree(CONFIGS / file)
                split = f"seed{seed}" if fold is None else f"fold{fold}-seed{seed}"
                source = {} if fold is None else {"folds": FOLDS, "fold": fold}
                if dataset == SACCADE:
                    tree = _on_quickstart(tree)
                    source = {"train": SACCADE_TRAIN}
                changes = {"seed": seed, "data": {"source": source}}
                for bits in BITS:
                    name = f"{dataset}-{arm}-{split}-{bits}bit"
                    yield _planned(f"{dataset}-{arm}", name, extended(tree, changes), bits)


def _on_quickstart(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return an arm on the quickstart's recordings and layers, all else its own."""
    quickstart = read_tree(CONFIGS / "quickstart.yaml")
    held = {"validation_fraction": tree["data"]["validation_fraction"]}
    layers = {"layers": quickstart["network"]["layers"]}
    return {**tree, "data": quickstart["data"] | held, "network": tree["network"] | layers}


def _grid() -> Iterator[Planned]:
    for seed in range(FOLD_SEEDS):
        for slope in GRID_SLOPES:
            for rho in GRID_RHOS:
                train = {"rho": rho, "slope": {"start": slope}}
                changes = {"seed": seed, "train": train, "data": {"source": {"folds": FOLDS}}}
                tree = extended(read_tree(CONFIGS / "nmnist-1k.yaml"), changes)
                for bits in BITS:
                    name = f"{GRID}-beta{slope:g}-rho{rho:g}-seed{seed}-{bits}bit"
                    yield _planned(GRID, name, tree, bits)


def _planned(file: str, name: str, tree: Mapping[str, Any], bits: int) -> Planned:
    own = {"name": name, "convert": {"weight_bits": bits}}
    whole = extended(dict(tree), own) | {"evaluate": _EVALUATE}
    return Planned(file, name, parse_config(whole, name))
