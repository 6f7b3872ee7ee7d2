"""Comparisons: which runs, which columns, means, the Pareto front and its picture."""

import statistics
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.files import write_json
from pipeline.compare import Comparison, Run, compare, default_picture, differing_keys
from pipeline.compare_figures import Figures
from pipeline.compare_table import as_json, build_rows, require_cost, table_rows
from pipeline.config_file import config_tree, load_config
from pipeline.metrics import wilson_interval
from pipeline.pareto_picture import pareto_front, pareto_picture
from pipeline.run_dir import StageFolder
from pipeline.stages import STAGES

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"
N = 200


def finished_run(
    folder: Path,
    overrides: Sequence[str] = (),
    correct: int = 150,
    seconds: float = 10.0,
    **more: Any,
) -> Path:
    """Write a run's files and manifests up to evaluate, as its stages leave them."""
    config = load_config(CONFIG, overrides)
    tree = config_tree(config)
    files: dict[str, dict[str, Any]] = {
        "train": {
            "cost.json": {
                "seconds": seconds,
                "gradient_evaluations": 126,
                "device": "cpu",
                "threads": more.get("threads", 1),
            }
            | more.get("cost", {})
        },
        "convert": {
            "ladder.json": {
                "ladder": [
                    {"step": "smooth", "accuracy": 0.9},
                    {"step": "hard_float", "accuracy": 0.8},
                ][more.get("hard_forward", 0) :],
                "classes": [str(digit) for digit in range(10)],
            }
        },
        "deploy": {"model.json": {}},
        "evaluate": {
            "evaluation.json": {
                "targets": {
                    "reference": {
                        "accuracy": correct / N,
                        "ci95": wilson_interval(correct, N),
                        "n": N,
                    }
                },
                "corruptions": [
                    {"name": name, "accuracy": share, "n": N}
                    for name, share in more.get("corruptions", {}).items()
                ],
                "synops_per_sample": 31_000.0,
            }
        },
    }
    write_json(folder / "config.json", tree)
    for stage in STAGES[:-1]:
        inputs = {
            f"{name}/{path}": sha
            for name in stage.reads
            for path, sha in StageFolder(folder, name).outputs().items()
        }
        for name, value in files[stage.name].items():
            write_json(folder / stage.name / name, value)
        sections = {name: tree[name] for name in stage.sections}
        StageFolder(folder, stage.name).finish(
            "key", sections, inputs, list(files[stage.name]), time.time(), {}
        )
    return folder


def figures(deployed: float, seconds: float, bits: int = 8, **more: Any) -> Figures:
    known: dict[str, Any] = {
        "smooth": 0.95,
        "hard": 0.9,
        "deployed": deployed,
        "ci95": wilson_interval(round(deployed * N), N),
        "n": N,
        "classes": 10,
        "bits": bits,
        "synops": 1000.0,
        "seconds": seconds,
        "gradient_evaluations": 100,
        "flops": 10**12,
        "joules": None,
        "device": "cpu",
        "threads": 1,
        "corruptions": {},
    }
    return Figures(**(known | more))


def made(*runs: tuple[dict[str, Any], Figures]) -> Comparison:
    """A comparison without files."""
    found = [Run(Path(f"runs/r{i}"), settings, given) for i, (settings, given) in enumerate(runs)]
    return Comparison(found, [], differing_keys([run.settings for run in found]))


def test_a_folder_of_runs_stands_for_its_runs_and_each_counts_once(tmp_path: Path) -> None:
    for seed, name in ((10, "a"), (2, "b"), (0, "c")):
        finished_run(tmp_path / name, [f"seed={seed}"])
    found = compare([tmp_path, tmp_path / "b", tmp_path / "." / "c"])
    assert [run.path.name for run in found.runs] == ["c", "b", "a"], "by seed, as a number"
    assert found.keys == ["seed"]
    assert not found.faults
    assert default_picture(found.runs).resolve() == tmp_path / "compare.png"
    named = compare([tmp_path / "a", tmp_path / "c"])
    assert [run.path.name for run in named.runs] == ["a", "c"], "in the order given"


def test_only_keys_that_differ_are_columns(tmp_path: Path) -> None:
    finished_run(tmp_path / "a", ["convert.weight_bits=4", "train.slope.end=null"], 120)
    finished_run(tmp_path / "b", ["network.layers.0.channels=4"], 160, hard_forward=1)
    header, *body = table_rows(build_rows(compare([tmp_path / "a", tmp_path / "b"])))
    assert list(header[:3]) == ["run", "channels", "end"]
    assert "weight_bits" not in " ".join(header), "the bits have a column of their own"
    a, b = (dict(zip(header, row, strict=True)) for row in body)
    assert (a["channels"], b["channels"]) == ("8", "4")
    assert (a["end"], b["end"]) == ("–", "10")
    assert (a["bits"], b["bits"]) == ("4", "8")
    assert (a["smooth %"], a["hard %"], a["lost"]) == ("90.0", "80.0", "10.0")
    assert (b["smooth %"], b["lost"]) == ("–", "–")
    assert (a["deployed %"], a["n"], a["SynOps"]) == ("60.0", "200", "31,000")
    low, high = wilson_interval(120, N)
    assert a["95%"] == f"{100 * low:.1f}–{100 * high:.1f}"
    assert (a["train s"], a["gradients"]) == ("10.0", "126")


def test_flops_and_joules_are_columns_where_they_were_counted() -> None:
    counted = figures(0.9, 10, flops=3 * 10**12, joules=250.0)
    older = figures(0.8, 20, flops=None)
    header, *body = table_rows(build_rows(made(({"seed": 0}, counted), ({"seed": 1}, older))))
    one, other = (dict(zip(header, row, strict=True)) for row in body)
    assert (one["FLOPs"], one["joules"]) == ("3e+12", "250")
    assert (one["points/s"], one["points/J"]) == ("8", "0.32")
    assert (other["FLOPs"], other["joules"]) == ("–", "–")
    assert (other["points/s"], other["points/J"]) == ("3.5", "–")
    header, *_ = table_rows(build_rows(made(({"seed": 0}, older))))
    assert not {"FLOPs", "joules", "points/J"} & set(header)


def test_a_cost_that_a_run_lacks_is_refused_and_one_that_all_have_is_drawn(tmp_path: Path) -> None:
    counted = figures(0.9, 10, flops=3 * 10**12, joules=250.0)
    rows = build_rows(made(({"seed": 0}, counted), ({"seed": 1}, figures(0.8, 20, flops=10**14))))
    for cost in ("seconds", "gradient_evaluations", "flops"):
        require_cost(rows, cost)
    pareto_picture(rows, "flops", tmp_path / "flops.png")
    assert (tmp_path / "flops.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(HardspikeError, match=r"--cost joules: runs/r1 has none") as caught:
        require_cost(rows, "joules")
    assert "\n" not in str(caught.value)


def test_words_for_no_counter_are_no_joules(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "a", cost={"flops": 5, "joules": "no counter"})
    (found,) = compare([run]).runs
    assert (found.figures.flops, found.figures.joules) == (5, None)


def test_corruptions_and_machines_are_columns_where_there_are_any(tmp_path: Path) -> None:
    finished_run(tmp_path / "a", corruptions={"drop 50%": 0.4}, threads=2)
    finished_run(tmp_path / "b", ["seed=1"], corruptions={"drop 50%": 0.3, "noise 5 Hz": 0.25})
    header, *body = table_rows(build_rows(compare([tmp_path])))
    a, b = (dict(zip(header, row, strict=True)) for row in body)
    assert (a["drop 50% %"], a["noise 5 Hz %"]) == ("40.0", "–")
    assert (b["drop 50% %"], b["noise 5 Hz %"]) == ("30.0", "25.0")
    assert (a["trained on"], b["trained on"]) == ("cpu, 2 threads", "cpu, 1 thread")


def test_unfinished_and_damaged_runs_are_named_and_the_rest_compared(tmp_path: Path) -> None:
    finished_run(tmp_path / "a")
    for name in ("b", "c", "d", "e"):
        finished_run(tmp_path / name, ["seed=1"])
    (tmp_path / "b" / "evaluate" / "manifest.json").unlink()
    (tmp_path / "c" / "train" / "cost.json").write_text("{}")
    (tmp_path / "d" / "config.json").write_text("{")
    write_json(tmp_path / "e" / "config.json", config_tree(load_config(CONFIG)))
    found = compare([tmp_path])
    assert [run.path.name for run in found.runs] == ["a"]
    parts = ["not finished", "SHA-256", "not JSON", "out of date"]
    for name, line, part in zip("bcde", found.faults, parts, strict=True):
        assert line.startswith(str(tmp_path / name))
        assert part in line


def test_looking_at_a_run_writes_nothing_in_it(tmp_path: Path) -> None:
    """Another process may be at work there, with the old manifest laid aside."""
    run = finished_run(tmp_path / "a")
    manifest = run / "evaluate" / "manifest.json"
    manifest.rename(run / "evaluate" / ".manifest-before")
    before = sorted(run.rglob("*"))
    with pytest.raises(HardspikeError, match="not finished"):
        compare([run])
    assert sorted(run.rglob("*")) == before


def test_nothing_to_compare_is_an_error_with_every_reason(tmp_path: Path) -> None:
    finished_run(tmp_path / "a")
    (tmp_path / "a" / "train" / "manifest.json").unlink()
    with pytest.raises(HardspikeError) as caught:
        compare([tmp_path])
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(HardspikeError, match="neither a run nor a folder of runs"):
        compare([tmp_path / "absent"])


def test_means_and_deviations_are_over_the_runs_of_a_group() -> None:
    shares = {0: (0.90, 0.94, 0.92), 0.1: (0.95, 0.97, 0.96)}
    found = made(
        *(
            ({"seed": seed, "train.rho": rho}, figures(share, 10.0 * (seed + 1)))
            for rho, group in shares.items()
            for seed, share in enumerate(group)
        )
    )
    rows = build_rows(found, ["seed"])
    assert list(rows.keys) == ["train.rho"]
    for row, group in zip(rows.rows, shares.values(), strict=True):
        percent = [100 * share for share in group]
        assert row.values["deployed"].mean == pytest.approx(statistics.mean(percent))
        assert row.values["deployed"].deviation == pytest.approx(statistics.stdev(percent))
        assert row.values["seconds"].mean == pytest.approx(20)
        assert row.values["seconds"].deviation == pytest.approx(10)
    header, first, _ = table_rows(rows)
    cells = dict(zip(header, first, strict=True))
    assert "run" not in cells
    assert (cells["rho"], cells["runs"], cells["deployed %"]) == ("0", "3", "92.0 ± 2.0")
    assert rows.label(rows.rows[1]) == "rho=0.1"
    groups = as_json(found, rows, "x.png")["groups"]
    assert [len(group["runs"]) for group in groups] == [3, 3]


def test_a_group_of_one_has_no_deviation_and_a_key_stands_for_those_below() -> None:
    found = made(
        ({"data.source.fold": 0, "data.source.folds": 5, "seed": 0}, figures(0.9, 10)),
        ({"data.source.fold": 1, "data.source.folds": 5, "seed": 0}, figures(0.8, 10)),
        ({"data.source.fold": 1, "data.source.folds": 5, "seed": 1}, figures(0.7, 10)),
    )
    rows = build_rows(found, ["data.source"])
    assert [len(row.runs) for row in rows.rows] == [2, 1]
    assert rows.rows[1].values["deployed"].deviation is None
    assert table_rows(rows)[2][2:5] == ("95.0", "90.0", "5.0")
    everything = build_rows(found, ["data.source.fold", "seed"])
    assert len(everything.rows) == 1
    with pytest.raises(HardspikeError, match=r"--over sed: no such key.*data\.source\.fold, seed"):
        build_rows(found, ["sed"])


def test_keys_are_shortened_only_where_that_is_clear() -> None:
    found = made(
        ({"seed": 0, "data.source.seed": 0, "train.rho": 0.0}, figures(0.9, 10)),
        ({"seed": 1, "data.source.seed": 1, "train.rho": 0.1}, figures(0.8, 10)),
    )
    assert build_rows(found).short_keys == {
        "seed": "seed",
        "data.source.seed": "source.seed",
        "train.rho": "rho",
    }


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(POINTS)
def test_the_front_is_every_point_that_none_beats(points: list[tuple[int, int]]) -> None:
    def beaten(point: tuple[int, int]) -> bool:
        return any(
            other != point and other[0] <= point[0] and other[1] >= point[1] for other in points
        )

    front = pareto_front(points)
    assert sorted(front) == [i for i, point in enumerate(points) if not beaten(point)]
    assert [points[i] for i in front] == sorted(points[i] for i in front)


def grid(count: int, spread: float) -> Comparison:
    return made(
        *(
            (
                {"seed": i, "train.rho": i % 5 / 10},
                figures(0.5 + 0.4 * (i * 37 % 101) / 101, 10 + spread * i, (8, 4, 3)[i % 3]),
            )
            for i in range(count)
        )
    )


@pytest.mark.parametrize(
    ("comparison", "over"),
    [
        (grid(1, 0), ()),
        (grid(2, 1), ()),
        (grid(60, 5), ()),
        (grid(60, 5), ("seed",)),
        (made(({"a$b_": "$x$"}, figures(1, 0)), ({"a$b_": "y"}, figures(0, 0))), ()),
    ],
    ids=["one", "two", "sixty", "groups", "dollars, ends of the scale and no time"],
)
def test_the_picture_is_drawn_and_the_same_each_time(
    comparison: Comparison, over: Sequence[str], tmp_path: Path
) -> None:
    rows = build_rows(comparison, over)
    for name in ("a.png", "b.png"):
        pareto_picture(rows, "seconds", tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert struct.unpack(">2I", data[16:24]) == (1200, 750)
    assert data == (tmp_path / "b.png").read_bytes()
    pareto_picture(rows, "gradient_evaluations", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() != data


def test_keys_that_only_one_method_has_do_not_crowd_the_table() -> None:
    sast = {"seed": 0, "train.method": "sast", "train.rho": 0.1, "train.epochs": 9}
    admm = {"seed": 0, "train.method": "admm", "train.ridge": 1.0, "train.batch.kind": "full"}
    assert differing_keys([sast, admm]) == ["train.method"]
    sharper = {**sast, "train.rho": 0.3}
    assert differing_keys([sast, sharper, admm]) == ["train.method", "train.rho"]
    # A section that is there or not is a difference.
    tuned = {"seed": 0, "train.finetune.epochs": 3}
    assert differing_keys([{"seed": 0, "train.finetune": None}, tuned]) == ["train.finetune.epochs"]
