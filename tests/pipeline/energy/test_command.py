"""`hardspike energy` on a small deployed run: both estimates, the page, and faults in one line."""

import json
import shutil
from pathlib import Path

import pytest

from export.netx_file import read_netx, write_netx
from hardware.loihi_cost import chip
from hardware.loihi_cost.simulated import SANAFE
from pipeline.beside import read_beside
from pipeline.cli import main
from pipeline.energy.table import energy_section
from pipeline.progress import Reporter
from pipeline.stages import run_stages
from tests.pipeline.tiny import tiny_config

UNAVAILABLE = SANAFE.availability().reason


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = tiny_config()
    run_stages(config, folder, ["train", "convert", "deploy"], Reporter(quiet=True))
    return folder


@pytest.fixture
def run(deployed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(deployed, tmp_path / "tiny"))


@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_both_estimates_stand_side_by_side(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", str(run), "--recordings", "3", "--quiet"]) == 0
    shown = capsys.readouterr().out
    report = json.loads((run / "energy" / "energy.json").read_text())
    assert report["schema"] == "hardspike.energy/1"
    assert report["recordings"] == {"split": "test", "n": 3}
    assert report["steps"] == {"recording": 4, "chip": 6}
    assert report["agreement"]["spikes"] == [1, 1, 1]
    assert all(report["agreement"]["counts"].values())
    assert report["simulated"]["label"] == "modelled (Loihi 1, SANA-FE 2.2.9)"
    assert report["simulated"]["published_error"] == {"energy": 0.12, "latency": 0.25}
    for estimate in (report["simulated"], report["published"]):
        joules, seconds = estimate["joules"], estimate["seconds"]
        parts = sum(figure["mean"] for part, figure in joules.items() if part != "total")
        assert joules["total"]["mean"] == pytest.approx(parts)
        waiting = seconds["synchronisation"]["mean"]
        assert seconds["total"]["mean"] == pytest.approx(seconds["computing"]["mean"] + waiting)
        assert joules["total"]["sd"] > 0
    first, second = (report[key]["joules"]["total"]["mean"] for key in ("simulated", "published"))
    assert report["factor"]["joules"]["total"] == pytest.approx(first / second)
    page = (run / "energy" / "energy.md").read_text()
    for text in (shown, page):
        assert "modelled (Loihi 1, SANA-FE 2.2.9): published error 12% in energy" in text
        assert "Every spike of SANA-FE's is the reference's, and so is every count" in text
        assert "leakage and idle power" in text
    assert read_beside(run)["energy"] == report
    assert energy_section(report)[1] == "## Loihi 1, modelled"
    net = run / "deploy" / "model.net"
    network = read_netx(net)
    network.layers[0].synapse.weight[:] = 2
    write_netx(network, net)
    assert read_beside(run)["energy"] is None
    assert read_beside(run)["outdated"] == ["energy"]
    assert energy_section(None) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recordings", "1"], "--recordings: found 1, allowed 2 and more"),
        (["--recordings", "few"], "invalid int value: 'few'"),
    ],
)
def test_faults_are_one_line(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["energy", str(run), *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (run / "energy").exists()


def test_a_network_that_does_not_fit_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "CORES", 2)
    assert main(["energy", str(run), "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "network: needs 3 cores (input 1, conv1 1, dense2 1), a chip has 2" in shown.err
    assert shown.err.count("\n") == 1


def test_no_environment_is_one_line(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    if SANAFE.availability().reason is not None:
        pytest.skip("no Python for it")
    assert main(["energy", str(run), "--recordings", "2", "--quiet"]) == 2
    shown = capsys.readouterr().err
    assert "sanafe: the environment of sanafe_worker.py cannot be made" in shown
    assert shown.count("\n") == 1
    assert not (run / "energy").exists()


def test_out_of_time_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if UNAVAILABLE is not None:
        pytest.skip(UNAVAILABLE)
    settings = json.loads((run / "config.json").read_text())
    settings["evaluate"]["loihi"]["timeout_seconds"] = 0.1
    (run / "config.json").write_text(json.dumps(settings))
    assert main(["energy", str(run), "--recordings", "2", "--quiet"]) == 2
    shown = capsys.readouterr().err
    assert "SANA-FE's worker gave no result within 0.1 s and was ended" in shown
    assert shown.count("\n") == 1
    assert not (run / "energy").exists()


def test_a_run_that_is_not_deployed_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "deploy")
    assert main(["energy", str(run)]) == 2
    assert "the stage is not finished" in capsys.readouterr().err
