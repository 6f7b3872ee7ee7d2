"""`hardspike theory` on a small trained run: the report, and faults in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.config import Config
from pipeline.progress import Reporter
from pipeline.stages import run_stages
from pipeline.theory.table import rows_of, violated

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": {"kind": "saccade-mnist", "train": 40, "test": 10},
        "binning": {"steps": 4, "mode": "binary", "downsample": 4},
        "validation_fraction": 0.25,
    },
    "network": {
        "layers": [
            {"type": "conv", "channels": 3, "kernel": 3, "stride": 2, "padding": 1, "bias": True},
            {"type": "dense", "units": 10},
        ]
    },
    "train": {
        "method": "sast",
        "device": "cpu",
        "epochs": 2,
        "batch_size": 10,
        "rho": 0.05,
        "rho_warmup": {"zero_epochs": 0, "ramp_epochs": 0},
        "optimizer": {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.0},
        "second_batch": "independent",
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = Config.model_validate_json(json.dumps(CONFIG))
    run_stages(config, folder, ["train"], Reporter(quiet=True))
    return folder


def test_the_report_is_whole_and_no_bound_is_violated(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["theory", str(run), "--samples", "6", "--quiet"]) == 0
    shown = capsys.readouterr().out
    report = json.loads((run / "theory" / "theory.json").read_text())
    assert report["schema"] == "hardspike.theory/1"
    assert report["recordings"] == {"split": "validation", "n": 6}
    assert violated(report["rows"]) == []
    assert {row["kind"] for row in report["rows"]} == {"assumption", "bound", "estimate"}
    for row in report["rows"]:
        assert row["name"] in shown
    holds = {row["name"]: row["holds"] for row in report["rows"]}
    assert holds["A4 second minibatch independent"] is True
    assert holds["A7 plain SGD on one objective"] is True
    assert len(report["mechanism"]["parameter_gradients"]) == 6
    assert report["loss"]["smoothness_estimate"] > 0
    page = (run / "theory" / "theory.md").read_text()
    assert all(row["name"].replace("|", "\\|") in page for row in report["rows"])
    assert (run / "theory" / "mechanism.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_figures_cannot_decide_has_no_verdict(run: Path) -> None:
    """L is known from below: a step size can be too large for it, never small enough."""
    assert main(["theory", str(run), "--samples", "4", "--quiet"]) == 0
    report = json.loads((run / "theory" / "theory.json").read_text())
    assert (report["training"]["recordings"], report["training"]["batch_size"]) == (30, 10)
    limit = report["loss"]["largest_step_size"]
    for rate, size, unbiased, small in ((2 * limit, 29, False, False), (limit / 2, 30, True, None)):
        training = report["training"] | {"learning_rate": rate, "batch_size": size}
        found = {row.name[:2]: row.holds for row in rows_of(report | {"training": training})}
        assert (found["A5"], found["A8"]) == (unbiased, small)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run: Path) -> None:
    found = []
    for seed in ("0", "0", "1"):
        assert main(["theory", str(run), "--samples", "4", "--seed", seed, "--json"]) == 0
        names = ("theory.json", "mechanism.png", "theory.md")
        found.append([(run / "theory" / name).read_bytes() for name in names])
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "1"], "--samples: found 1, allowed 2 and more"),
        (["--seed", "-1"], "--seed: found -1"),
        (["--samples", "few"], "invalid int value: 'few'"),
    ],
)
def test_faults_are_one_line(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["theory", str(run), *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1 or "theory in" in shown


def test_a_folder_without_a_run_or_a_trained_network_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["theory", str(tmp_path / "none")]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert main(["theory", str(tmp_path)]) == 2
    assert "the stage is not finished" in capsys.readouterr().err
    assert not (tmp_path / "theory").exists()
