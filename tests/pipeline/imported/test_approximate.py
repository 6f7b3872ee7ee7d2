"""A subtractive reset approximated on request: asked for, measured, marked; never by default."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from export.errors import HardspikeError
from export.network import FixedPointNetwork, LoihiLIF
from export.netx_file import APPROXIMATED_FILE, read_approximates, read_netx
from hardware.loihi import environment
from hardware.loihi.approximate import disagreement
from pipeline.api import deploy, evaluate
from pipeline.config_file import config_tree, load_config, parse_config
from pipeline.diff.loading import load_subjects
from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import small_cnn, write
from tests.export.networks import fixed_network
from tests.pipeline.imported.test_import import DATA, done, of_saccades

UNAVAILABLE = environment.availability().reason
SUBTRACT = ("--dt", "0.01", "--reset", "subtract")
ASKED = (*SUBTRACT, "--approximate", "reset")
CONFIG = Path(__file__).resolve().parents[3] / "configs" / "smoke.yaml"


def subtracting() -> FixedPointNetwork:
    """Every layer fires now and then."""
    network = fixed_network()
    layers = [
        replace(one, neuron=LoihiLIF(300, threshold, reset="subtract"))
        for one, threshold in zip(network.layers, (125, 160, 40), strict=True)
    ]
    return replace(network, layers=tuple(layers))


def refused(*arguments: Any) -> str:
    """Return the one line of a command that must be refused."""
    found = in_process(*arguments)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    return str(found.stderr)


@pytest.mark.loihi
@pytest.mark.timeout(120)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_a_run_measures_it_and_marks_it(tmp_path: Path) -> None:
    path, run = write(tmp_path / "cnn.nir", of_saccades()), tmp_path / "run"
    targets = "targets: [reference, onnxruntime, loihi], loihi: {recordings: 10}"
    (tmp_path / "data.yaml").write_text(f"{DATA.rsplit('evaluate', 1)[0]}evaluate: {{{targets}}}\n")
    done("import", path, *ASKED, "--data", tmp_path / "data.yaml", "-o", run)
    printed = in_process("run", run)
    assert printed.returncode == 0, printed.stderr
    assert "loihi (approximated)" in printed.stdout
    assert "approximated on request" in printed.stdout
    report = json.loads((run / "report" / "report.json").read_text())
    targets_found = report["targets"]
    assert targets_found["onnxruntime"]["status"] == "ok"
    entry = targets_found["loihi"]
    assert entry["status"] == "approximated"
    assert entry["approximated"]["network"]["n"] == entry["n"] == 10
    deployed = run / "deploy"
    nets = [read_netx(deployed / name) for name in ("model.net", APPROXIMATED_FILE)]
    assert [net.layers[0].neuron.reset for net in nets] == ["subtract", "zero"]
    assert read_approximates(deployed / APPROXIMATED_FILE) == ("reset",)
    layers = entry["approximated"]["layers"]
    assert [layer["layer"] for layer in layers] == [layer.name for layer in nets[0].layers]
    assert layers[-1]["differing"] == pytest.approx(1 - entry["spike_agreement"])
    assert 0 < layers[0]["differing"] < 1
    assert report["approximated"]["recordings"] == "held out"
    assert report["raster"]["targets"] == ["reference", "onnxruntime"]
    assert [rung["step"] for rung in report["ladder"] if rung.get("approximated")] == ["loihi"]
    verdict = report["verdict"]
    assert verdict["checks"][0]["passed"]
    assert "onnxruntime agrees with the reference in every output" in verdict["checks"][0]["found"]
    assert "loihi runs an approximation, as asked" in verdict["checks"][0]["found"]
    assert "**Approximated**: `loihi`" in (run / "report" / "report.md").read_text()
    assert "a spike resets to zero" in (run / "report" / "report.html").read_text()
    again = in_process("run", run)
    assert again.stderr.count("up to date") == 5
    line = refused("robustness", run, "--target", "loihi", "--limit", "2")
    assert f"loihi: runs {APPROXIMATED_FILE} in the network's place" in line
    chip, oracle = load_subjects((f"{run}@loihi", f"{run}@reference"), {}, {})
    assert (chip.source.name, oracle.source.name) == (APPROXIMATED_FILE, "model.net")
    assert (chip.approximates, oracle.approximates) == (("reset",), ())


def test_without_recordings_random_spikes_choose(tmp_path: Path) -> None:
    path, run = write(tmp_path / "cnn.nir", small_cnn()), tmp_path / "run"
    done("import", path, *ASKED, "--steps", "8", "-o", run)
    done("convert", run)
    assert json.loads((run / "convert" / "ladder.json").read_text())["approximated"]["n"] == 8
    done("deploy", run)
    assert read_netx(run / "deploy" / "model.net").layers[0].neuron.reset == "subtract"
    assert read_approximates(run / "deploy" / APPROXIMATED_FILE) == ("reset",)
    again = tmp_path / "again"
    line = refused("import", run / "deploy" / APPROXIMATED_FILE, "-o", again)
    assert "only approximates a network (reset); allowed is the network's own file" in line
    assert not again.exists()
    done("import", run / "deploy" / "model.net", "--approximate", "reset", "-o", again)
    done("convert", again)
    done("deploy", again)
    assert (again / "deploy" / APPROXIMATED_FILE).exists()
    with h5py.File(again / "deploy" / APPROXIMATED_FILE, "r+") as file:
        file.attrs["approximates"] = 3
    assert "approximates: " in refused("check", again / "deploy" / APPROXIMATED_FILE)


def test_a_request_without_effect_is_refused(tmp_path: Path) -> None:
    path, run = write(tmp_path / "cnn.nir", of_saccades()), tmp_path / "run"
    (tmp_path / "data.yaml").write_text(DATA)  # its targets have no loihi
    with_data = ("--data", tmp_path / "data.yaml", "-o", run)
    line = refused("import", path, *ASKED, *with_data)
    assert "found reset, which is for loihi, and evaluate.targets is reference, onnx" in line
    zero = ("--dt", "0.01", "--reset", "zero", "--approximate", "reset")
    line = refused("import", path, *zero, "--steps", "6", "-o", run)
    assert "--approximate reset: found no layer with a subtractive reset" in line
    with pytest.raises(HardspikeError, match="what is trained here resets to zero; allowed with"):
        load_config(CONFIG, ["convert.approximate=[reset]"])
    with pytest.raises(HardspikeError, match=r'approximate.0: found "leak", allowed reset'):
        load_config(CONFIG, ["convert.approximate=[leak]"])
    assert not run.exists()


def test_what_is_recorded_without_a_request_is_as_it_was() -> None:
    """A stage that was finished before there was such a key is still up to date."""
    tree = config_tree(load_config(CONFIG))
    assert "approximate" not in tree["convert"]
    assert parse_config(tree, "tree").convert.approximate == ()


def test_check_measures_it_on_random_spikes(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    found = in_process("check", path, *SUBTRACT, "--target", "loihi", "--json")
    says = {row["node"]: row["says"] for row in json.loads(found.stdout)["nodes"]}
    assert "with --approximate reset it runs what comes nearest" in says["lif1"]
    found = in_process("check", path, *ASKED, "--target", "loihi", "--json")
    assert found.returncode == 2
    rows = {row["node"]: row for row in json.loads(found.stdout)["nodes"]}
    for name in ("lif1", "lif2"):
        assert rows[name]["status"] == "approximated"
        assert "% of a recording's spikes differ (8 random recordings of 16" in rows[name]["says"]
    assert "--target loihi was not given" in refused("check", path, *ASKED)


def test_from_python(tmp_path: Path) -> None:
    network = subtracting()
    random = np.random.default_rng(0)
    shape = (6, network.steps, *network.input_shape)
    spikes = (random.random(shape) < 0.4).astype(np.uint8)
    files = deploy(network, tmp_path, approximate=("reset",), spikes_BTCHW=spikes)
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert APPROXIMATED_FILE in {path.name for path in files}
    exact = evaluate(tmp_path, spikes, targets=("onnxruntime",), threads=1)
    assert {result.status for result in exact.values()} == {"ok"}
    stand_in = read_netx(tmp_path / APPROXIMATED_FILE)
    assert disagreement(network, stand_in, spikes).layers[0].differing < 1
    deploy(network, tmp_path)
    assert not (tmp_path / APPROXIMATED_FILE).exists()
    with pytest.raises(HardspikeError, match="approximate: found 'leak', allowed a tuple of reset"):
        deploy(network, tmp_path, approximate=("leak",))  # type: ignore[arg-type]
    with pytest.raises(HardspikeError, match="no layer has a subtractive reset"):
        deploy(fixed_network(), tmp_path, approximate=("reset",))


@pytest.mark.loihi
@pytest.mark.timeout(120)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_from_python_on_lava(tmp_path: Path) -> None:
    network = subtracting()
    shape = (6, network.steps, *network.input_shape)
    spikes = (np.random.default_rng(0).random(shape) < 0.4).astype(np.uint8)
    deploy(network, tmp_path, approximate=("reset",), spikes_BTCHW=spikes)
    found = evaluate(tmp_path, spikes, targets=("loihi",))["loihi"]
    assert found.status == "approximated"
    assert found.reason is not None
    assert "not the network (reset approximated on request)" in found.reason
    assert found.differing is not None
    assert list(found.differing) == [layer.name for layer in network.layers]
    apart = disagreement(network, read_netx(tmp_path / APPROXIMATED_FILE), spikes)
    np.testing.assert_array_equal(found.outputs_BTN, apart.outputs_BTN)
    assert max(found.differing.values()) > 0
