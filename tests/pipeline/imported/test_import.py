"""`hardspike import`: a run folder from which convert, deploy, evaluate and report go on."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.contract_file import read_fixed_network, read_float_network
from export.errors import HardspikeError
from export.network import LIF, HardSpikeNetwork
from pipeline.api import import_network
from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import recurrent, small_cnn, write

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
SAID = ("--dt", "0.01", "--reset", "zero")
DATA = """\
name: small
data:
  source: {kind: saccade-mnist, train: 100, test: 20}
  binning: {steps: 6, mode: binary, downsample: 5}
evaluate: {targets: [reference, onnxruntime, onnxruntime-step]}
"""


def done(*arguments: Any) -> dict[str, Any]:
    """Run a command that must end well, and return what it prints."""
    found = in_process(*arguments, "--json")
    assert found.returncode == 0, found.stderr
    printed: dict[str, Any] = json.loads(found.stdout)
    return printed


def of_saccades() -> dict[str, Any]:
    """Return the small network for recordings of 7×7 pixels."""
    import nir

    from tests.export.imported.nir_files import conv, full, lif, weights

    return {
        "input": nir.Input(np.array([2, 7, 7])),
        "conv": conv((7, 7), weights(4, 2, 4, 4)),
        "lif1": lif((4, 4, 4), tau=0.05, v_threshold=0.27),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([4, 2, 2])}, 0, -1),
        "fc": nir.Affine(weights(10, 16, seed=1), full(10, 0.125)),
        "lif2": lif((10,), tau=0.05),
        "output": nir.Output(np.array([10])),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported network, brought to its report."""
    folder = tmp_path_factory.mktemp("imported")
    path = write(folder / "cnn.nir", of_saccades())
    (folder / "data.yaml").write_text(DATA)
    done("import", path, *SAID, "--data", folder / "data.yaml", "-o", folder / "run")
    done("run", folder / "run")
    return folder / "run"


def test_the_stages_go_on_from_it(run: Path) -> None:
    report = json.loads((run / "report" / "report.json").read_text())
    assert [rung["step"] for rung in report["ladder"][:2]] == ["hard_float", "fixed_point"]
    assert report["training"]["method"] == "imported"
    assert {entry["status"] for entry in report["targets"].values()} == {"ok"}
    assert {entry["spike_agreement"] for entry in report["targets"].values()} == {1.0}
    assert report["classes"] == [str(digit) for digit in range(10)]
    network = read_float_network(run / "convert" / "network.float.safetensors")
    assert network.dt == pytest.approx(0.0525)
    assert network.layers[1].synapse.weight.shape == (10, 4 * 4 * 4)


def test_what_is_recorded_of_an_import_is_as_it_was(run: Path) -> None:
    """A run of before there were such keys is still up to date."""
    recorded = json.loads((run / "train" / "manifest.json").read_text())["config"]["train"]
    assert not {"refractory", "toolkit", "settings"} & recorded.keys()
    assert {"dt", "reset", "readout", "input_shape"} < recorded.keys()


def test_our_own_file_is_imported_as_it_is(run: Path, tmp_path: Path) -> None:
    """What deploy wrote is what was converted, to the byte, without a word from the user."""
    for name, converted in (
        ("model.nir", "network.float.safetensors"),
        ("model.net", "network.fixed.safetensors"),
    ):
        again = tmp_path / name
        data = run.parent / "data.yaml"
        done("import", run / "deploy" / name, "--data", data, "-o", again)
        wanted = (run / "convert" / converted).read_bytes()
        assert (again / "train" / converted).read_bytes() == wanted
        done("run", again)
        report = json.loads((again / "report" / "report.json").read_text())
        assert {entry["spike_agreement"] for entry in report["targets"].values()} == {1.0}
        deployed = {entry["path"] for entry in report["artifacts"]}
        assert ("deploy/model.nir" in deployed) == (name == "model.nir")


def test_without_recordings_it_is_converted_and_deployed(tmp_path: Path) -> None:
    path = write(tmp_path / "rnn.nir", *recurrent())
    done("import", path, *SAID, "--steps", "8", "-o", tmp_path / "run")
    done("convert", tmp_path / "run")
    done("deploy", tmp_path / "run")
    fixed = read_fixed_network(tmp_path / "run" / "convert" / "network.fixed.safetensors")
    assert fixed.layers[0].recurrent is not None
    assert fixed.layers[0].delay_N is not None
    assert fixed.layers[1].neuron.current_decay == 4095 - 2048
    refused = in_process("evaluate", tmp_path / "run")
    assert refused.returncode == 2
    assert "has no recordings; `hardspike import FILE --data CONFIG.yaml`" in refused.stderr


def test_a_subtractive_reset_leaves_the_chip_out(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", of_saccades())
    (tmp_path / "data.yaml").write_text(DATA.rsplit("evaluate", 1)[0])
    said = ("--dt", "0.01", "--reset", "subtract", "--data", tmp_path / "data.yaml")
    found = done("import", path, *said, "-o", tmp_path / "run")
    assert found["config"]["evaluate"]["targets"] == [
        "reference",
        "onnxruntime",
        "onnxruntime-step",
    ]
    done("run", tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert {entry["spike_agreement"] for entry in report["targets"].values()} == {1.0}


def of_several_kinds() -> dict[str, Any]:
    """Time constants of each channel and neuron, a bias in front of a current, one behind."""
    import nir

    from tests.export.imported.nir_files import full, weights

    nodes = of_saccades()
    channels = np.array([0.06, 0.09, 0.15, 0.4])[:, None, None]
    nodes["lif1"].tau = np.broadcast_to(channels, (4, 4, 4)).copy()
    current = {"tau_syn": np.linspace(0.06, 0.2, 10), "tau_mem": full((10,), 0.12)}
    nodes["lif2"] = nir.CubaLIF(
        **current,
        r=full((10,), 2.0),
        v_leak=full((10,), 0.0),
        v_threshold=full((10,), 0.5),
        v_reset=full((10,), 0.0),
        w_in=full((10,), 2.0),
    )
    output = nodes.pop("output")
    nodes["fc3"] = nir.Linear(weights(10, 10, seed=2))
    nodes["lif3"] = nir.CubaLIF(
        **current,
        r=full((10,), 2.0),
        v_leak=full((10,), 0.25),
        v_threshold=full((10,), 0.3),
        v_reset=full((10,), 0.0),
        w_in=full((10,), 2.0),
    )
    return {**nodes, "output": output}


def test_a_refractory_period_without_effect_is_refused_everywhere(tmp_path: Path) -> None:
    """The readout takes the only threshold: nothing is left that could rest."""
    import nir

    from tests.export.imported.nir_files import lif

    nodes = {
        "input": nir.Input(np.array([2])),
        "fc": nir.Linear(np.eye(2)),
        "lif": lif((2,)),
        "output": nir.Output(np.array([2])),
    }
    path, run = write(tmp_path / "lif.nir", nodes), tmp_path / "run"
    said = (*SAID, "--steps", "4", "--readout", "membrane")
    says = "lif.nir: refractory: found 3 steps and no neuron that fires, allowed is none"
    for command in (("check", path), ("import", path, "-o", run), ("diff", path, path, "-o", run)):
        found = in_process(*command, *said, "--refractory", "3")
        assert found.returncode == 2
        assert found.stderr.endswith(f"{says}\n")
        assert found.stderr.count("\n") == 1
        assert not run.exists()
    with pytest.raises(HardspikeError, match=says):
        import_network(path, dt=0.01, reset="zero", steps=4, readout="membrane", refractory=3)
    assert in_process("check", path, *said).returncode == 0
    assert in_process("check", path, *said[:-2], "--refractory", "3").returncode == 0


@pytest.mark.parametrize("refractory", [None, 2])
def test_all_that_neurons_may_have_on_every_target_that_has_it(
    refractory: int | None, tmp_path: Path
) -> None:
    path = write(tmp_path / "cnn.nir", of_several_kinds())
    (tmp_path / "data.yaml").write_text(DATA)
    rest = [] if refractory is None else ["--refractory", refractory]
    said = ["--dt", 0.0525, "--reset", "zero", *rest]
    done("import", path, *said, "--data", tmp_path / "data.yaml", "-o", tmp_path / "run")
    done("run", tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report" / "report.json").read_text())
    assert {entry["spike_agreement"] for entry in report["targets"].values()} == {1.0}
    fixed = read_fixed_network(tmp_path / "run" / "convert" / "network.fixed.safetensors")
    first, second, third = fixed.layers
    assert first.membrane_decay_O is not None
    assert second.current_decay_O is not None
    assert (second.neuron.bias_filtered, third.neuron.bias_filtered) == (True, False)
    assert {layer.neuron.refractory for layer in fixed.layers} == {refractory or 0}
    again = done("import", tmp_path / "run" / "deploy" / "model.nir", "-o", tmp_path / "again")
    assert again["config"]["train"]["file"].endswith("model.nir")
    (tmp_path / "data.yaml").write_text(DATA.rsplit("evaluate", 1)[0])
    found = done("import", path, *said, "--data", tmp_path / "data.yaml", "-o", tmp_path / "all")
    assert "loihi" not in found["config"]["evaluate"]["targets"]


def test_an_imported_run_trains_nothing(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (run.parent / "cnn.nir").rename(tmp_path / "moved.nir")
    try:
        assert in_process("run", copy).returncode == 0
        refused = in_process("train", copy, "--force")
        assert refused.returncode == 2
        assert "cnn.nir: cannot be read" in refused.stderr
    finally:
        (tmp_path / "moved.nir").rename(run.parent / "cnn.nir")
    refused = in_process("theory", copy)
    assert refused.returncode == 2
    assert "train.method: found imported" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--data", "no.yaml"), "--data no.yaml: not found"),
        (("--dt", "0"), "--dt: found 0, allowed a number above 0"),
        (("--dt", "nan"), "--dt: found nan, allowed a number above 0"),
        (("--input-shape", "2,8"), "--input-shape: found 2,8, allowed C,H,W"),
        (("--steps", "-1"), "--steps: found -1, allowed 1 to 1000000"),
        (("--readout", "membrane", "--reset", "hard"), "--reset: invalid choice: 'hard'"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: Any, line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    found = in_process("import", path, "--steps", "4", *SAID, *arguments, "-o", tmp_path / "run")
    assert found.returncode == 2
    assert line in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("data", ["data:", "data: 3", "data: {binning: 3}", "evaluate:"])
def test_a_damaged_experiment_file_is_named(data: str, tmp_path: Path) -> None:
    experiment = tmp_path / "bad.yaml"
    experiment.write_text(f"name: bad\n{data}\n")
    path = write(tmp_path / "cnn.nir", small_cnn())
    done = in_process(
        *("import", path, "--dt", "0.01", "--reset", "zero"),
        *("--data", experiment, "-o", tmp_path / "run"),
    )
    assert done.returncode == 2
    assert "bad.yaml: " in done.stderr
    assert not (tmp_path / "run" / "train").exists()


def test_recordings_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cnn.nir", small_cnn())
    (tmp_path / "data.yaml").write_text(DATA)
    said = ("--data", tmp_path / "data.yaml", "-o", tmp_path / "run")
    found = in_process("import", path, *SAID, *said)
    assert found.returncode == 2
    assert "takes an input of (2, 8, 8), the recordings have (2, 7, 7)" in found.stderr


def _shared(name: str) -> Path:
    path = SHARED / "nir" / name
    if not path.exists():
        pytest.skip(f"{path} is not there: graphs of other toolkits lie beside the checkout")
    return path


@pytest.mark.parametrize(
    ("name", "dt", "layers"),
    [("cnn_sinabs.nir", "1", 5), ("lif_norse.nir", "1e-4", 1), ("two_lif_neurons.nir", "1e-3", 2)],
)
def test_files_of_other_toolkits(name: str, dt: str, layers: int, tmp_path: Path) -> None:
    path, said = _shared(name), ("--dt", dt, "--reset", "zero")
    assert done("check", path, *said)["equal"]
    done("import", path, *said, "--steps", "12", "-o", tmp_path / "run")
    done("convert", tmp_path / "run")
    done("deploy", tmp_path / "run")
    network: HardSpikeNetwork = read_float_network(
        tmp_path / "run" / "convert" / "network.float.safetensors"
    )
    assert len(network.layers) == layers
    if name == "cnn_sinabs.nir":
        assert {layer.neuron for layer in network.layers} == {LIF(1.0, 1.0)}


def test_the_published_network_on_real_recordings(tmp_path: Path) -> None:
    """Pedersen et al. 2024 print 98.5% for it; 20 recordings in 20 bins are but a glimpse of it."""
    path = _shared("cnn_sinabs.nir")
    (tmp_path / "data.yaml").write_text(
        f"name: cnn\ndata:\n  source: {{kind: folder, root: {SHARED / 'nmnist-1k'}}}\n"
        "  binning: {steps: 20, mode: count, duration_ms: 315}\n"
        "  limit_train: 10\n  limit_test: 20\n"
        "evaluate: {targets: [reference, onnxruntime]}\n"
    )
    said = ("--dt", "1", "--reset", "zero", "--data", tmp_path / "data.yaml")
    done("import", path, *said, "-o", tmp_path / "run")
    report = done("run", tmp_path / "run")
    accuracies = [rung["accuracy"] for rung in report["ladder"]]
    assert min(accuracies) >= 0.85
    assert {entry["spike_agreement"] for entry in report["targets"].values()} == {1.0}
