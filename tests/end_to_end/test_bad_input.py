"""Bad input of every kind: one clear line a fault, exit status 2, no traceback."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import torch

from export.errors import HardspikeError
from export.files import replacing
from tests.end_to_end.conftest import ROOT, hardspike, in_process

Edit = Callable[[Path], None]


def refused(done: subprocess.CompletedProcess[str], *parts: str, lines: int = 1) -> None:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    faults = [line for line in done.stderr.splitlines() if line.startswith("hardspike: ")]
    assert len(faults) == lines, done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.fixture
def copy(smoke_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished smoke run, to be damaged."""
    run = tmp_path / "smoke"
    shutil.copytree(smoke_run, run)
    return run


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(bytes(data))


def edited_weight(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["layer/1/weight"][0, 0, 0, 0] += 2


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("model.net", truncated),
        ("model.net", edited_weight),
        ("model.nir", truncated),
        ("model.step.onnx", flipped),
        ("model.sequence.onnx", truncated),
        ("model.net", Path.unlink),
    ],
)
def test_a_changed_deployed_file_is_named_with_its_hash(copy: Path, name: str, edit: Edit) -> None:
    edit(copy / "deploy" / name)
    refused(
        in_process("evaluate", copy, "--force"),
        f"deploy/{name}",
        "SHA-256",
        f"deploy {copy} --force",
    )


def test_changed_weights_are_named_with_their_hash(copy: Path) -> None:
    flipped(copy / "train" / "model.safetensors")
    refused(in_process("convert", copy, "--force"), "train/model.safetensors", "SHA-256")


@pytest.mark.parametrize(
    "name", ["model.net", "model.nir", "model.step.onnx", "model.sequence.onnx"]
)
def test_a_damaged_file_under_a_matching_hash_is_still_refused(copy: Path, name: str) -> None:
    """The manifest is rewritten to match, as somebody might who edits by hand."""
    truncated(copy / "deploy" / name)
    manifest = json.loads((copy / "deploy" / "manifest.json").read_text())
    for entry in manifest["outputs"]:
        if entry["path"] == name:
            data = (copy / "deploy" / name).read_bytes()
            entry["sha256"] = hashlib.sha256(data).hexdigest()
    (copy / "deploy" / "manifest.json").write_text(json.dumps(manifest))
    done = hardspike(
        "run", copy, "--set", "evaluate.targets=[reference, onnxruntime, onnxruntime-step]"
    )
    assert "Traceback" not in done.stderr
    if name in ("model.net", "model.nir"):
        refused(done, name)
    else:
        refused(done, f"failed: {copy / 'deploy' / name}")


@pytest.mark.parametrize("text", ["[]", "{}", '{"outputs": [3]}', "{"])
def test_a_hand_edited_manifest_is_one_line(copy: Path, text: str) -> None:
    (copy / "deploy" / "manifest.json").write_text(text)
    refused(in_process("evaluate", copy), "deploy/manifest.json")
    refused(in_process("run", copy), "deploy/manifest.json")


def test_a_missing_data_folder(tmp_path: Path) -> None:
    done = in_process(
        "run",
        "configs/nmnist-1k.yaml",
        "--out",
        tmp_path / "r",
        "--set",
        "data.source.root=/no/where",
    )
    refused(done, "/no/where")
    assert not list((tmp_path / "r").rglob("manifest.json"))


def test_a_truncated_recording_is_named(tmp_path: Path) -> None:
    for split in ("Train", "Test"):
        for label in range(2):
            folder = tmp_path / "data" / split / str(label)
            folder.mkdir(parents=True)
            (folder / "a.bin").write_bytes(bytes(range(50)) if split == "Test" else bytes(53))
    source = f"data.source={{kind: folder, root: {tmp_path / 'data'}}}"
    done = in_process("data", "configs/smoke.yaml", "--set", source)
    refused(done, "a.bin", "5")


def test_a_misspelt_key_and_a_wrong_type_come_together(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    text = (ROOT / "configs" / "smoke.yaml").read_text()
    path.write_text(
        text.replace("\n  epochs:", "\n  epoch:").replace("batch_size: 25", "batch_size: many")
    )
    refused(
        in_process("run", path),
        "train.epoch: unknown key",
        'train.batch_size: found "many"',
        lines=2,
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("run", "configs/none.yaml"), ("configs/none.yaml", "not found")),
        (
            ("run", "configs/smoke.yaml", "--set", "train.speed=9"),
            ("--set train.speed=9", "unknown"),
        ),
        (("convert", "configs/smoke.yaml"), ("takes a run",)),
        (("convert", "tests"), ("tests: is not a run folder",)),
        (("fly",), ("fly", "run")),
        (("run",), ("CONFIG",)),
        (("run", "configs/smoke.yaml", "--fast"), ("--fast",)),
    ],
)
def test_a_faulty_command_line_is_one_line(
    arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    refused(in_process(*arguments), *parts)


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    refused(
        in_process("run", "configs/smoke.yaml", "--out", tmp_path), "no run folder", "letter.txt"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_kill_before_anything_was_written_keeps_the_finished_stage(copy: Path) -> None:
    """SIGKILL while the successor loads its data leaves the old manifest set aside."""
    (copy / "train" / "manifest.json").rename(copy / "train" / ".manifest-before")
    done = in_process("run", copy)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == 5
    assert not (copy / "train" / ".manifest-before").exists()


def test_a_stage_before_its_turn(smoke_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "r"
    run.mkdir()
    shutil.copy(smoke_run / "config.json", run / "config.json")
    refused(in_process("convert", run), "train", "not finished")


def test_an_output_folder_that_cannot_be_written(smoke_config: Path) -> None:
    """A folder below a file cannot be made, whoever asks; /proc stands for a read-only place."""
    refused(in_process("run", smoke_config, "--out", smoke_config / "below"), "cannot be written")
    refused(in_process("run", smoke_config, "--out", "/proc/hardspike"), "cannot be written")


def fill_the_disk(path: Path) -> None:
    with replacing(path), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"new")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    path.write_bytes(b"old")
    with pytest.raises(HardspikeError, match=r"model\.net: cannot be written \(No space"):
        fill_the_disk(path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.net"]


def test_a_layer_too_large_for_a_limit_names_layer_and_limit(
    smoke_config: Path, tmp_path: Path
) -> None:
    """A threshold far above every weight drives the scale down until nothing is left of them."""
    changes = ("--set", "network.threshold=1e9", "--set", "train.epochs=2")
    done = in_process("run", smoke_config, "--out", tmp_path / "run", *changes)
    refused(done, "layer conv1: threshold (up to 131071)", "dense2", "rounds to zero", lines=3)
    assert not (tmp_path / "run" / "convert" / "manifest.json").exists()


def test_a_stage_refuses_to_read_one_that_is_out_of_date(copy: Path) -> None:
    assert in_process("train", copy, "--set", "train.epochs=2", "--quiet").returncode == 0
    refused(in_process("report", copy), "convert", "out of date", "hardspike convert")
    refused(in_process("evaluate", copy), "convert", "out of date")


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("train.device=cuda", "torch sees no GPU"),
        ("network.layers.2.units=7", "allowed 10, one a class"),
        ("data.source={kind: folder, root: /no/where}", "/no/where"),
    ],
)
def test_a_finished_run_survives_a_successor_that_cannot_start(
    copy: Path, override: str, part: str
) -> None:
    if "cuda" in override and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    before = (copy / "config.json").read_bytes()
    refused(in_process("run", copy, "--set", override), part)
    assert (copy / "config.json").read_bytes() == before
    done = in_process("run", copy)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == 5


def test_without_python_310_the_target_is_not_run_and_says_why(copy: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    nowhere = {
        "PATH": str(bare),
        "HOME": str(tmp_path),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "pythons"),
        "HARDSPIKE_CACHE": os.environ.get("HARDSPIKE_CACHE", str(Path.home() / ".cache/hardspike")),
    }
    listed = hardspike("targets", **nowhere)
    assert listed.returncode == 0
    assert "no Python 3.10 found" in " ".join(listed.stdout.split())
    done = hardspike("evaluate", copy, "--force", **nowhere)
    refused(done, "hardspike: loihi not run: loihi: no Python 3.10 found")
    assert targets(copy) == {
        "reference": "ok",
        "onnxruntime": "ok",
        "onnxruntime-step": "ok",
        "loihi": "not run",
    }


@pytest.mark.loihi
def test_a_simulator_over_its_time_fails_alone(copy: Path) -> None:
    done = in_process("run", copy, "--set", "evaluate.loihi.timeout_seconds=0.3")
    refused(done, "hardspike: loihi failed: ", "0.3 s")
    assert "`loihi` failed" in (copy / "report" / "report.md").read_text()
    assert targets(copy)["onnxruntime"] == "ok"
    assert targets(copy)["loihi"] == "failed"
    assert "spike agreement 1 " in done.stderr
    assert "tries again" in done.stderr
    again = in_process("run", copy)
    assert again.returncode == 2, "a failed target is tried again by itself"
    assert "up to date" in again.stderr
    assert "evaluate  loihi             failed" in again.stderr
    done = in_process("run", copy, "--set", "evaluate.loihi.timeout_seconds=120")
    assert done.returncode == 0
    assert targets(copy)["loihi"] == "ok"


def targets(run: Path) -> dict[str, str]:
    """Name → status from the evaluation."""
    entries = json.loads((run / "evaluate" / "evaluation.json").read_text())["targets"]
    return {name: entry["status"] for name, entry in entries.items()}
