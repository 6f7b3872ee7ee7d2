"""Files that lava-dl wrote, or that are written as it does: equal to Lava in every state."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.interop_study.netx_equality import (
    compare_lava,
    compare_onnx,
    lava_job,
    read_case,
)
from benchmarks.interop_study.netx_files import NetxCase, random_case
from hardware.loihi import environment
from hardware.loihi.target import run_jobs
from hardware.reference import run_fixed

UNAVAILABLE = environment.availability().reason
FILES, THROUGH_LAVA = 110, 24
MADE_BY_LAVA_DL = Path(__file__).parents[1] / "lava_dl_files"


def _made_by_lava_dl(folder: Path) -> list[NetxCase]:
    """Return the files of `tests/lava_dl_files`, with recordings."""
    random, cases = np.random.default_rng(5), []
    shapes = {"dense": (9, 1, 1), "recurrent": (9, 1, 1), "conv": (2, 6, 5)}
    for name, shape in shapes.items():
        shutil.copy(MADE_BY_LAVA_DL / f"{name}.net", folder)
        spikes = (random.random((3, 15, *shape)) < 0.4).astype(np.uint8)
        cases.append(NetxCase(folder / f"{name}.net", spikes, "count", 15, 1, ()))
    return cases


def test_onnxruntime_equals_the_reference(tmp_path: Path) -> None:
    kinds: Counter[str] = Counter()
    rates = []
    cases = [random_case(tmp_path / f"{seed}.net", seed) for seed in range(FILES)]
    for case in [*cases, *_made_by_lava_dl(tmp_path)]:
        network = read_case(case)
        assert compare_onnx(case, network, tmp_path).difference is None, case.path.name
        kinds.update(extra for kind in case.kinds for extra in kind.split("+"))
        spikes = run_fixed(network, case.spikes_BTCHW).spikes_BTN.values()
        rates.append([float(one.mean()) for one in spikes])
    wanted = {"conv", "dense", "dense_rec", "bias", "delay", "current", "groups", "dilation"}
    assert all(kinds[kind] >= 20 for kind in wanted), kinds
    assert kinds["own decays"] >= 10 <= kinds["input"]
    assert sum(all(0 < rate < 1 for rate in one) for one in rates) > FILES // 4
    every = [rate for one in rates for rate in one]
    assert np.mean([0 < rate < 1 for rate in every]) > 0.5


@pytest.mark.loihi
@pytest.mark.timeout(600)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_lava_equals_the_reference(tmp_path: Path) -> None:
    cases = [random_case(tmp_path / f"{seed}.net", seed) for seed in range(THROUGH_LAVA)]
    cases += _made_by_lava_dl(tmp_path)
    results, _ = run_jobs([lava_job(case) for case in cases], timeout_s=500)
    for case, result in zip(cases, results, strict=True):
        assert compare_lava(case, read_case(case), result).difference is None, case.path.name
