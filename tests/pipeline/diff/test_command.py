"""`hardspike diff` on a small deployed run: what it writes, its exit status, faults in one line."""

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.contract_file import read_fixed_network, write_network
from export.network import Dense
from export.onnx_model import write_sequence
from hardware.loihi import environment
from pipeline.cli import main
from pipeline.config import Config
from pipeline.diff.loading import load_subjects
from pipeline.diff.recordings import density_of
from pipeline.diff.subject import Subject
from pipeline.progress import Reporter
from pipeline.stages import run_stages
from tests.pipeline.diff.sides import altered, fixed_net, float_net, written

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": {"kind": "saccade-mnist", "train": 60, "test": 20},
        "binning": {"steps": 6, "mode": "binary", "downsample": 4},
    },
    "network": {
        "layers": [
            {"type": "conv", "channels": 3, "kernel": 3, "stride": 2, "padding": 1, "bias": True},
            {"type": "dense", "units": 10},
        ],
        "weight_gain": 6.0,
    },
    "train": {
        "method": "sast",
        "device": "cpu",
        "forward": "hard",
        "epochs": 2,
        "batch_size": 10,
        "rho": 0.0,
    },
}
UNAVAILABLE = environment.availability().reason


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = Config.model_validate_json(json.dumps(CONFIG))
    run_stages(config, folder, ["train", "convert", "deploy"], Reporter(quiet=True))
    return folder


def diff(*arguments: str | Path) -> int:
    return main(["diff", *map(str, arguments), "--quiet"])


def report_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "diff.json").read_text())
    return found


def test_a_run_on_two_targets_is_the_same(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for other in (f"{run}@onnxruntime", f"{run}@onnxruntime-step", run / "deploy" / "model.net"):
        assert diff(run, other, "-o", out) == 0
        report = report_in(out)
        assert report["equal"]
        assert report["predictions"]["a"]["n"] == 20
        assert report["predictions"]["a"] == report["predictions"]["b"]
        assert sorted(path.name for path in out.iterdir()) == ["diff.json", "diff.md", "diff.png"]
    assert all(entry["spikes_a"] > 0 for entry in report["layers"][:1])


def test_float_against_deployed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, float_file = tmp_path / "out", run / "convert" / "network.float.safetensors"
    assert diff(float_file, run, "-o", out, "--samples", "12") == 1
    shown, report = capsys.readouterr().out, report_in(out)
    assert report["schema"] == "hardspike.diff/1"
    assert report["conclusion"] in shown
    assert "rounding of weights" in report["conclusion"]
    assert report["recordings"] == {"what": f"12 test recordings of {run}", "n": 12, "steps": 6}
    assert "accuracy" in shown
    page = (out / "diff.md").read_text()
    assert report["conclusion"] in page
    assert "![where spikes differ](diff.png)" in page
    assert (out / "diff.png").read_bytes().startswith(b"\x89PNG")
    nir = tmp_path / "nir"
    assert diff(run / "deploy" / "model.nir", run, "-o", nir, "--samples", "12") == 1
    for key in ("layers", "first_parting", "causes", "effects", "parameters"):
        assert report_in(nir)[key] == report[key]


def test_the_same_call_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    files = []
    for name in ("one", "other"):
        out = tmp_path / name
        assert diff(run / "deploy" / "model.nir", run, "-o", out, "--random", "0.3") == 1
        files.append([(out / each).read_bytes() for each in ("diff.json", "diff.md", "diff.png")])
    assert files[0] == files[1]


def test_the_default_folder_is_named_after_both(run: Path, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        diff(run, f"{run}@onnxruntime")
        diff(run / "deploy" / "model.nir", run)
    assert {path.name for path in tmp_path.iterdir()} == {
        "diff-tiny-tiny@onnxruntime",
        "diff-tiny-model.nir-tiny",
    }


def test_json_is_the_report(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["diff", str(run), f"{run}@onnxruntime", "--json", "-o", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert status == 0
    assert json.loads(captured.out) == report_in(tmp_path / "out")
    assert captured.err == ""


def test_recordings_come_from_data_where_it_is_given(run: Path, tmp_path: Path) -> None:
    file = shutil.copy(run / "deploy" / "model.net", tmp_path / "moved.net")
    out = tmp_path / "out"
    assert diff(file, file, "-o", out) == 0
    assert "random spikes, density 0.2" in report_in(out)["recordings"]["what"]
    assert report_in(out)["predictions"] == {"changed": 0, "n": 20}
    assert diff(file, file, "-o", out, "--data", run, "--samples", "5") == 0
    assert report_in(out)["recordings"]["what"] == f"5 test recordings of {run}"
    config = tmp_path / "config.json"
    shutil.copy(run / "config.json", config)
    assert diff(file, f"{file}@onnxruntime", "-o", out, "--data", config, "--samples", "5") == 0
    assert "written from" in " ".join(report_in(out)["notes"])


def test_a_changed_onnx_file_is_found_out(run: Path, tmp_path: Path) -> None:
    """Its own weights are compared, not those of the netx file beside it."""
    folder = shutil.copytree(run / "deploy", tmp_path / "deploy")
    network = read_fixed_network(run / "convert" / "network.fixed.safetensors")
    first = network.layers[0].name
    other = altered(network, first, threshold=network.layers[0].neuron.threshold * 2)
    write_sequence(other, folder / "model.sequence.onnx")
    assert diff(folder, f"{folder}@onnxruntime", "-o", tmp_path / "out", "--data", run) == 1
    report = report_in(tmp_path / "out")
    assert [cause["kind"] for cause in report["causes"]] == ["threshold"]
    assert report["first_parting"]["layer"] == first


def test_fixed_point_networks_on_every_form(tmp_path: Path) -> None:
    file = written(fixed_net(), tmp_path / "fixed.safetensors")
    for target in ("onnxruntime", "onnxruntime-step", "reference"):
        assert diff(file, f"{file}@{target}", "-o", tmp_path / "out") == 0
    reset = written(altered(fixed_net(), "hidden", reset="subtract"), tmp_path / "r.safetensors")
    assert diff(f"{file}@onnxruntime", f"{reset}@onnxruntime", "-o", tmp_path / "out") == 1
    assert "Reset kinds differ in layer hidden" in report_in(tmp_path / "out")["conclusion"]


def loaded(text: str | Path) -> Subject:
    return load_subjects((str(text), str(text)), {}, {})[0]


def test_a_subject_knows_its_run(run: Path, tmp_path: Path) -> None:
    for path in (
        run,
        run / "deploy",
        run / "deploy" / "model.net",
        run / "convert" / "network.fixed.safetensors",
    ):
        subject = loaded(path)
        assert subject.run is not None
        assert subject.run.resolve() == run.resolve()
    assert loaded(written(float_net(), tmp_path / "x.safetensors")).run is None
    (tmp_path / "config.json").write_text("{}")
    trained = written(float_net(), tmp_path / "train" / "network.float.safetensors")
    assert loaded(trained).run == tmp_path.resolve()


def test_a_path_with_an_at_sign_is_a_path(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "net@home.net"
    shutil.copy(run / "deploy" / "model.net", file)
    assert loaded(file).target == "reference"
    assert loaded(f"{file}@loihi").target == "loihi"


@pytest.mark.parametrize(
    ("rate", "dt", "density"), [("0.1", 0.01, 0.1), ("50Hz", 0.01, 0.5), (" 20 hz", 0.001, 0.02)]
)
def test_rates(rate: str, dt: float, density: float) -> None:
    assert density_of(rate, dt) == pytest.approx(density)


@pytest.mark.parametrize(
    ("a", "b", "rest", "message"),
    [
        ("RUN", "absent", [], "absent: not found; allowed is a run or deploy folder"),
        ("RUN", "RUN@tpu", [], "target: found 'tpu', allowed reference, onnxruntime"),
        ("RUN/deploy/model.nir@loihi", "RUN", [], "found 'loihi' for a float network"),
        ("RUN/config.json", "RUN", [], "config.json: found neither HDF5 nor ONNX, allowed are"),
        ("RUN/convert", "RUN", [], "is neither a run nor a deploy folder (no model.net)"),
        ("RUN", "OTHER", [], "input_shape: found (2, 9, 9)"),
        ("RUN", "BROKEN.net", [], "BROKEN.net: found neither HDF5"),
        ("RUN", "BROKEN.nir", [], "BROKEN.nir: found neither HDF5"),
        ("RUN", "BROKEN.onnx", [], "BROKEN.onnx: "),
        ("RUN", "BROKEN.safetensors", [], "is not a network of hardspike"),
        ("RUN", "RUN", ["--random", "7"], "--random: found '7', allowed a share"),
        ("RUN", "RUN", ["--random", "fast"], "--random: found 'fast'"),
        ("RUN", "RUN", ["--random=-1Hz"], "--random: found '-1Hz'"),
        ("RUN", "RUN", ["--random", "nan"], "--random: found 'nan'"),
        ("RUN", "RUN", ["--samples", "0"], "--samples and --seed: found 0 and 0"),
        ("RUN", "RUN", ["--seed", "-1"], "--samples and --seed: found 20 and -1"),
        ("RUN", "RUN", ["--data", "nowhere"], "nowhere: not found; allowed is an experiment"),
        ("RUN", "RUN", ["--data", "RUN", "--random", "0.1"], "found both, allowed one of them"),
        ("OTHER", "OTHER", ["--data", "RUN"], "which"),
    ],
)
def test_faults_are_one_line(
    run: Path,
    tmp_path: Path,
    a: str,
    b: str,
    rest: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_network(fixed_net(), tmp_path / "other.safetensors")
    for suffix in ("net", "nir", "onnx", "safetensors"):
        (tmp_path / f"BROKEN.{suffix}").write_bytes(b"\x00broken\xff" * 40)
    out = tmp_path / "out"
    arguments = [
        part.replace("RUN", str(run))
        .replace("OTHER", str(tmp_path / "other.safetensors"))
        .replace("BROKEN", str(tmp_path / "BROKEN"))
        for part in (a, b, *rest)
    ]
    assert diff(*arguments, "-o", out) == 2
    shown = capsys.readouterr()
    assert message.replace("BROKEN", str(tmp_path / "BROKEN")) in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not out.exists()


def test_other_numbers_of_steps_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = written(float_net(), tmp_path / "one.safetensors")
    other = written(dataclasses.replace(float_net(), steps=7), tmp_path / "other.safetensors")
    assert diff(one, other, "-o", tmp_path / "out") == 2
    assert "steps: found 16 in" in capsys.readouterr().err


def test_a_changed_run_is_refused_by_name_of_the_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "deploy" / "model.step.onnx").write_bytes(b"other")
    assert diff(copy, copy, "-o", tmp_path / "out") == 2
    assert "model.step.onnx: SHA-256 is" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(float_net(), tmp_path / "net.safetensors")
    assert diff(file, file, "-o", file) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert str(file) in shown


def test_classes_of_other_number_are_not_predictions(tmp_path: Path) -> None:
    base = float_net()
    last = base.layers[-1]
    synapse = Dense(last.synapse.weight[:3], np.zeros(3, np.float32))
    smaller = dataclasses.replace(last, synapse=synapse)
    other = dataclasses.replace(base, layers=(*base.layers[:-1], smaller))
    files = [written(base, tmp_path / "a.safetensors"), written(other, tmp_path / "b.safetensors")]
    assert diff(*files, "-o", tmp_path / "out") == 0
    report = report_in(tmp_path / "out")
    assert report["predictions"] is None
    assert len(report["unpaired"]) == 2


@pytest.mark.loihi
@pytest.mark.timeout(300)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_reference_against_lava(run: Path, tmp_path: Path) -> None:
    assert diff(run, f"{run}@loihi", "-o", tmp_path / "out", "--samples", "3") == 0
    report = report_in(tmp_path / "out")
    assert report["b"]["version"].startswith("lava-nc 0.10.0")
    assert report["notes"] == [
        "loihi gives no membranes: B's are the reference's, run anew from the spikes that "
        "loihi's layers took"
    ]
