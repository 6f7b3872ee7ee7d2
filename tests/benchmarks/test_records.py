"""Records of real runs: what they hold, what they leave out, and files with faults."""

import json
import platform
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from benchmarks.records import (
    STAGES,
    RunRecord,
    by_match,
    make_record,
    read_records,
    write_record,
)
from benchmarks.statistics import Match, paired_difference
from export.errors import HardspikeError
from export.files import sha256
from export.network import decide
from pipeline.config_file import config_tree, load_config
from pipeline.progress import Reporter
from pipeline.run_dir import versions
from pipeline.stages import run_stages

SMOKE = Path(__file__).resolve().parents[2] / "configs" / "smoke.yaml"
SMALL = (
    "data.source={kind: saccade-mnist, train: 100, test: 50}",
    "network.layers=[{type: dense, units: 10}]",
    "train.epochs=2",
    "train.rho=0",
    "convert.weight_bits=6",
    "evaluate.targets=[reference, onnxruntime]",
    "evaluate.corruptions=[{kind: drop, share: 1}, {kind: noise, hz_per_pixel: 0.5}]",
)
Tree = dict[str, Any]


def run_of(folder: Path, *changes: str) -> Path:
    config = load_config(SMOKE, [*SMALL, *changes])
    run_stages(config, folder, STAGES, Reporter(quiet=True))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Tests that change it work on a copy."""
    return run_of(tmp_path_factory.mktemp("runs") / "plain-seed0")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / finished.name))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def edited(path: Path, edit: Callable[[Any], Any]) -> None:
    tree = read(path)
    edit(tree)
    path.write_text(json.dumps(tree))


def refused(action: Callable[[], object], *parts: str) -> None:
    with pytest.raises(HardspikeError) as caught:
        action()
    (line,) = str(caught.value).splitlines()
    for part in parts:
        assert part in line


def test_a_record_counts_what_the_run_measured(finished: Path) -> None:
    record = make_record(finished, "plain")
    figures = record.figures
    tensors = load_file(finished / "evaluate" / "outputs.safetensors")
    correct = int((decide(tensors["reference.outputs"], "count") == tensors["labels"]).sum())
    assert (figures.deployed.correct, figures.deployed.n) == (correct, 50)
    rungs = {rung["step"]: rung for rung in read(finished / "convert" / "ladder.json")["ladder"]}
    assert figures.smooth is not None
    assert figures.smooth.accuracy == rungs["smooth"]["accuracy"]
    assert figures.hard.accuracy == rungs["hard_float"]["accuracy"]
    gap = (figures.smooth.correct - figures.hard.correct) / 50
    assert (figures.transfer_gap, figures.calibrated, figures.weight_bits) == (gap, None, 6)
    evaluation = read(finished / "evaluate" / "evaluation.json")
    assert figures.synops_per_sample == evaluation["synops_per_sample"]
    for name in ("reference", "onnxruntime"):
        target = figures.targets[name]
        assert (target.status, target.score, target.spike_agreement) == ("ok", figures.deployed, 1)
        assert target.version == evaluation["targets"][name]["version"]
    silent, noisy = figures.corruptions
    assert (silent.name, silent.severity) == ("drop 100%", {"share": 1.0})
    # A network without biases and without events never fires: every recording is of class 0.
    assert (silent.score.correct, silent.score.n, silent.target) == (5, 50, "onnxruntime")
    assert noisy.severity == {"hz_per_pixel": 0.5}
    assert noisy.score.accuracy == evaluation["corruptions"][1]["accuracy"]


def test_a_record_says_what_the_run_cost_and_where_it_came_from(finished: Path) -> None:
    record = make_record(finished, "plain")
    cost, history = (read(finished / "train" / name) for name in ("cost.json", "history.json"))
    training = record.figures.training.model_dump()
    best = history[cost["best_epoch"] - 1]
    assert training.pop("validation") == {
        "smooth": best["validation_smooth"],
        "hard": best["validation_hard"],
    }
    counted = isinstance(cost["joules"], float)
    assert training.pop("joules") == (cost["joules"] if counted else None)
    assert training == {key: cost[key] for key in training}
    assert training["gradient_evaluations"] == 8
    assert record.config == read(finished / "config.json")
    assert (record.match, record.arm, record.name) == (Match(None, 0), "plain", "plain-seed0")
    for stage in STAGES:
        manifest, found = read(finished / stage / "manifest.json"), record.stages[stage]
        for key in ("key", "started", "seconds", "device", "git_commit"):
            assert getattr(found, key) == manifest[key]
        assert found.outputs == {name: sha256(finished / stage / name) for name in found.outputs}
        assert set(found.outputs) | {"manifest.json"} == {
            path.name for path in (finished / stage).iterdir()
        }
        assert found.versions == {
            name: version for name, version in versions().items() if name != "platform"
        }


def test_a_network_of_hard_spikes_has_no_smooth_figure(tmp_path: Path) -> None:
    record = make_record(
        run_of(tmp_path / "hard", "train.forward=hard", "data.validation_fraction=0"), "hard"
    )
    assert (record.figures.smooth, record.figures.transfer_gap) == (None, None)
    assert record.figures.training.validation == {}


def test_a_fold_is_recorded_with_its_seed(finished: Path) -> None:
    tree = make_record(finished, "plain").model_dump(by_alias=True)
    record = RunRecord.model_validate(tree | {"fold": 3, "seed": 1})
    assert record.match == Match(3, 1)


def test_a_record_is_small_and_names_nothing_of_the_machine(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "study" / "plain.json"
    write_record(finished, path)
    text = path.read_text()
    assert 2_000 < len(text) < 8_000
    for secret in (str(finished.parent), str(Path.home()), platform.node(), platform.release()):
        assert secret not in text


def test_records_of_an_arm_share_a_file_with_a_line_each(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "study" / "plain.json"
    runs = [shutil.copytree(finished, tmp_path / name) for name in ("c", "a", "b")]
    before: list[str] = []
    for run in runs:
        write_record(run, path)
        after = path.read_text().rstrip("\n}").splitlines()
        assert {line.rstrip(",") for line in before} < {line.rstrip(",") for line in after}
        before = after
    assert len(path.read_text().splitlines()) == len(runs) + 2
    assert list(read(path)["runs"]) == ["a", "b", "c"]
    text = path.read_text()
    assert write_record(runs[0], path) == make_record(runs[0], "plain")
    assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == ["plain.json"]


def test_what_is_written_is_what_is_read(finished: Path, tmp_path: Path) -> None:
    written = [write_record(finished, tmp_path / f"{arm}.json") for arm in ("sast", "plain")]
    assert read_records(tmp_path) == (written[1], written[0])


def test_writers_at_once_lose_no_record(finished: Path, tmp_path: Path) -> None:
    runs = [shutil.copytree(finished, tmp_path / "runs" / str(i)) for i in range(8)]
    path = tmp_path / "study" / "plain.json"
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda run: write_record(run, path), runs))
    assert [record.name for record in read_records(path.parent)] == list("01234567")


def test_records_pair_by_fold_and_seed(finished: Path) -> None:
    record = make_record(finished, "plain")
    runs = [record.model_copy(update={"seed": seed}) for seed in range(3)]
    smooth = by_match(runs, lambda run: run.figures.smooth.accuracy if run.figures.smooth else 0)
    hard = by_match(runs, lambda run: run.figures.hard.accuracy)
    found = paired_difference(smooth, hard)
    assert found.low == found.high == pytest.approx(record.figures.transfer_gap)
    refused(
        lambda: by_match([record, record.model_copy()], lambda run: 0.0),
        "plain/plain-seed0 and plain/plain-seed0",
        "fold None and seed 0",
    )


def test_a_run_that_is_not_whole_gives_no_record(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "study" / "plain.json"
    (copy / "evaluate" / "manifest.json").rename(copy / "evaluate" / "aside")
    refused(lambda: write_record(copy, path), f"{copy / 'evaluate'}", "not finished")
    (copy / "evaluate" / "aside").rename(copy / "evaluate" / "manifest.json")
    edited(copy / "convert" / "ladder.json", lambda tree: tree.clear())
    refused(lambda: write_record(copy, path), "convert/ladder.json", "SHA-256")
    assert not path.exists()


def test_a_stage_of_another_config_or_other_inputs_gives_no_record(
    copy: Path, finished: Path
) -> None:
    edited(copy / "config.json", lambda tree: tree.update(seed=1))
    refused(lambda: make_record(copy, "plain"), f"{copy / 'train'}", "out of date")
    shutil.copy(finished / "config.json", copy / "config.json")
    edited(
        copy / "evaluate" / "manifest.json",
        lambda tree: tree["inputs"].update({"deploy/model.net": "0" * 64}),
    )
    refused(lambda: make_record(copy, "plain"), f"{copy / 'evaluate'}", "out of date")


def test_recordings_at_an_absolute_path_give_no_record(copy: Path) -> None:
    for path in (copy / "config.json", *copy.glob("*/manifest.json")):
        tree = read(path)
        section = tree.get("config", tree)
        if "data" in section:
            section["data"]["source"] = {"kind": "folder", "root": "/home/me/recordings"}
        path.write_text(json.dumps(tree))
    refused(
        lambda: make_record(copy, "plain"),
        f"{copy}: ",
        "config.data.source.root is '/home/me/recordings'",
        "relative",
    )


def rehashed(copy: Path, name: str, edit: Callable[[Any], Any]) -> None:
    """Edit a stage's file and its hash in the manifests, as another version would write it."""
    path, stage = copy / name, name.partition("/")[0]
    before = sha256(path)
    edited(path, edit)
    for manifest in copy.glob("*/manifest.json"):
        manifest.write_text(manifest.read_text().replace(before, sha256(path)))
    assert sha256(path) in (copy / stage / "manifest.json").read_text()


@pytest.mark.parametrize(
    ("name", "edit", "parts"),
    [
        ("evaluate/evaluation.json", lambda tree: tree.pop("corruptions"), ["lacks corruptions"]),
        (
            "evaluate/evaluation.json",
            lambda tree: tree["targets"]["reference"].update(accuracy=0.511),
            ["accuracy 0.511 is no whole number of 50 recordings"],
        ),
        ("train/cost.json", lambda tree: tree.pop("threads"), ["lacks threads"]),
        ("train/history.json", lambda tree: tree.clear(), ["lacks the best epoch"]),
    ],
)
def test_a_file_without_a_figure_is_named(
    copy: Path, name: str, edit: Callable[[Any], Any], parts: list[str]
) -> None:
    rehashed(copy, name, edit)
    refused(lambda: make_record(copy, "plain"), str(copy / name), *parts)


def test_a_calibrated_rung_is_counted(copy: Path) -> None:
    rung = {"step": "calibrated_float", "accuracy": 0.62, "ci95": [0.48, 0.74], "n": 50}
    rehashed(copy, "convert/ladder.json", lambda tree: tree["ladder"].insert(2, rung))
    calibrated = make_record(copy, "plain").figures.calibrated
    assert calibrated is not None
    assert (calibrated.correct, calibrated.n) == (31, 50)


FAULTS: dict[str, tuple[Callable[[Tree, Tree], Any], str]] = {
    "no number": (
        lambda file, run: run["figures"]["hard"].update(n="fifty"),
        'runs.plain-seed0.figures.hard.n: found "fifty"',
    ),
    "more than all": (
        lambda file, run: run["figures"]["hard"].update(correct=51),
        "runs.plain-seed0.figures.hard: ",
    ),
    "a missing figure": (
        lambda file, run: run["figures"].pop("synops_per_sample"),
        "runs.plain-seed0.figures.synops_per_sample: ",
    ),
    "a figure too many": (
        lambda file, run: run["figures"].update(joules=3),
        "runs.plain-seed0.figures.joules: found 3",
    ),
    "a missing stage": (lambda file, run: run["stages"].pop("deploy"), "lacks deploy"),
    "another schema": (
        lambda file, run: run.update(schema="hardspike.study-run/2"),
        'runs.plain-seed0.schema: found "hardspike.study-run/2"',
    ),
    "another file": (lambda file, run: file.update(schema="x"), ': schema: found "x"'),
    "a hash that is none": (
        lambda file, run: run["stages"]["train"].update(key="0"),
        'runs.plain-seed0.stages.train.key: found "0"',
    ),
    "a path": (
        lambda file, run: run["stages"]["train"]["versions"].update(torch="from ~/torch"),
        "stages.train.versions.torch is 'from ~/torch'",
    ),
    "another arm": (lambda file, run: run.update(arm="sast"), "runs.plain-seed0 is the record of"),
    "another name": (lambda file, run: run.update(name="x"), "runs.plain-seed0 is the record of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_file_is_a_line_with_file_and_field(
    finished: Path, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "plain.json"
    write_record(finished, path)
    edit, says = FAULTS[fault]
    edited(path, lambda tree: edit(tree, tree["runs"]["plain-seed0"]))
    text = path.read_text()
    refused(lambda: read_records(tmp_path), f"{path}: ", says)
    refused(lambda: write_record(finished, path), f"{path}: ", says)
    assert path.read_text() == text


def test_what_is_no_study_is_one_line(tmp_path: Path) -> None:
    refused(lambda: read_records(tmp_path), f"{tmp_path}: holds no records")
    (tmp_path / "plain.json").write_text("{")
    refused(lambda: read_records(tmp_path), "plain.json: is not JSON")
    (tmp_path / "plain.json").write_text("[]")
    refused(lambda: read_records(tmp_path), "plain.json: (top): found []")
    refused(lambda: make_record(tmp_path, "plain"), f"{tmp_path}: is not a run folder")


def test_the_config_of_a_record_makes_the_same_files_again(finished: Path, tmp_path: Path) -> None:
    record = make_record(finished, "plain")
    path = tmp_path / "again.yaml"
    path.write_text(json.dumps(record.config))
    config = load_config(path)
    assert config_tree(config) == record.config
    run_stages(config, tmp_path / "again", ("train", "convert", "deploy"), Reporter(quiet=True))
    for name, expected in record.stages["deploy"].outputs.items():
        assert sha256(tmp_path / "again" / "deploy" / name) == expected, name
