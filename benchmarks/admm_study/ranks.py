"""One training by one process and by two under torchrun: how far apart their weights end.

The sums are the same but for the order of additions. Spikes that lie at the threshold may flip by
that, so that weights part the more the longer they train.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.admm_study.plan import tuned
from benchmarks.admm_study.settings import (
    NMNIST,
    RANK_CHUNK,
    RANK_PASSES,
    RANKS,
    RECORDS,
    ROOT,
    RUNS,
    SEEDS,
)
from benchmarks.admm_study.trees import experiment, with_setting
from benchmarks.admm_study.tuning import TUNING
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import Planned, is_of_config
from export.errors import HardspikeError
from export.files import read_json, write_json
from pipeline.config_file import config_tree, extended, parse_config
from pipeline.schema import Model
from pipeline.training.checkpoint import read_tensors

SCHEMA = "hardspike.study-ranks/1"
FOLDER, FILE = RECORDS / "ranks", "dense-1"


class Pair(Model):
    """One training by one and by more processes, and how their last weights differ."""

    config: dict[str, Any]
    seed: int
    passes: int
    ranks: tuple[int, ...]
    seconds: tuple[float, ...]
    peak_bytes: tuple[int, ...]
    max_difference: float
    largest_weight: float


def planned(tuning: Path = TUNING) -> Iterator[Planned]:
    """Yield what is trained by one process and by more."""
    base = with_setting(experiment("admm", NMNIST, FILE, 0, 0), tuned(NMNIST, FILE, "admm", tuning))
    for seed in range(SEEDS):
        for passes in RANK_PASSES:
            name = f"ranks-{NMNIST}-{FILE}-passes{passes}-seed{seed}"
            train = {"passes": passes, "chunk": RANK_CHUNK}
            own = {"name": name, "seed": seed, "train": train, "data": {"validation_fraction": 0.0}}
            yield Planned(FILE, name, parse_config(extended(base, own), name))


def compare_ranks(jobs: int, only: str, say: Say) -> list[str]:
    """Train what has no entry yet, one at a time whatever `jobs` says."""
    due = [run for run in planned() if only in run.name and not _is_done(run)]
    say(f"{len(due)} comparisons of ranks are due")
    return side_by_side([(run.name, partial(_run, run)) for run in due], 1, say)


def read_pairs(folder: Path) -> dict[str, Pair]:
    """Return the comparisons by name."""
    return read_entries(folder / f"{FILE}.json", Pair, SCHEMA)


def _is_done(run: Planned) -> bool:
    entry = read_pairs(FOLDER).get(run.name)
    return entry is not None and is_of_config(entry.config, run.config)


def _run(run: Planned) -> str:
    folders = [_train(run, ranks) for ranks in RANKS]
    costs = [read_json(folder / "train" / "cost.json") for folder in folders]
    one, other = (read_tensors(folder / "train" / "model.safetensors")[0] for folder in folders)
    pair = Pair(
        config=config_tree(run.config),
        seed=run.config.seed,
        passes=costs[0]["epochs"],
        ranks=RANKS,
        seconds=tuple(round(cost["seconds"], 3) for cost in costs),
        peak_bytes=tuple(cost["peak_memory_bytes"] for cost in costs),
        max_difference=max(float((one[key] - other[key]).abs().max()) for key in one),
        largest_weight=max(float(one[key].abs().max()) for key in one),
    )
    add_entry(FOLDER / f"{run.file}.json", run.name, pair, SCHEMA)
    for folder in folders:
        shutil.rmtree(folder)
    return f"{pair.max_difference:.2g} of weights up to {pair.largest_weight:.2g}"


def _train(run: Planned, ranks: int) -> Path:
    folder = RUNS / f"{run.name}-{ranks}"
    shutil.rmtree(folder, ignore_errors=True)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, *(torchrun if ranks > 1 else ()), "-m", "pipeline", "train"]
    with tempfile.TemporaryDirectory(prefix="hardspike-ranks-") as place:
        config = Path(place) / "config.yaml"
        write_json(config, config_tree(run.config))
        done = subprocess.run(
            [*command, str(config), "--out", str(folder), "--json"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise HardspikeError(f"{ranks} ranks ended with: {done.stderr[-300:].strip()}")
    found = json.loads(done.stdout).get("ranks", 1)
    if found != ranks:
        raise HardspikeError(f"found {found} ranks in train/cost.json, asked for {ranks}")
    return folder
