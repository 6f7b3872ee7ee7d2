"""`--from TOOLKIT` on the command line, in a run's config and from Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from export.contract_file import read_float_network
from export.errors import HardspikeError
from export.netx_file import write_netx
from pipeline.api import import_network
from pipeline.run_dir import CONFIG_FILE
from tests.end_to_end.conftest import in_process
from tests.export.imported.nir_files import full, weights, write
from tests.export.networks import fixed_network

ONE_SPIKE = ("--setting", "spike_fn=SingleSpike")
SAID = ("--from", "sinabs", "--reset", "zero")


def of_sinabs(folder: Path) -> Path:
    """Write two dense layers as sinabs does: LIF and IAF, constants in steps."""
    lif = {"tau": 5.0, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.27}
    nodes = {
        "input": nir.Input(np.array([6])),
        "fc1": nir.Affine(weights(8, 6), full((8,), 0.0)),
        "lif": nir.LIF(**{key: full((8,), value) for key, value in lif.items()}),
        "fc2": nir.Affine(weights(4, 8, seed=1), full((4,), 0.0)),
        "iaf": nir.IF(full((4,), 1.0), full((4,), 1.0)),
        "output": nir.Output(np.array([4])),
    }
    return write(folder / "net.nir", nodes)


def rows(*arguments: Any, status: int) -> dict[str, dict[str, Any]]:
    done = in_process("check", *arguments, "--json")
    assert done.returncode == status, (done.stdout, done.stderr)
    return {row["node"]: row for row in json.loads(done.stdout)["nodes"]}


def test_check_names_what_was_rewritten_and_what_is_left_open(tmp_path: Path) -> None:
    path = of_sinabs(tmp_path)
    found = rows(path, *SAID, *ONE_SPIKE, status=0)
    assert found["lif"]["status"] == "equivalent"
    assert found["lif"]["says"].startswith("exponential (keeps exp(−1/τ) a step), at-threshold (")
    assert any("norm_input=False" in remark for remark in found["lif"]["remarks"])
    assert found["fc1"]["status"] == "exact"
    assert any("--setting tau_syn=STEPS" in remark for remark in found["iaf"]["remarks"])
    current = rows(path, *SAID, *ONE_SPIKE, "--setting", "tau_syn=3.0", status=0)
    for node in ("lif", "iaf"):
        assert "hidden-current (tau_syn=3)" in current[node]["says"]
        assert not any("tau_syn" in remark for remark in current[node]["remarks"])
    several = rows(path, *SAID, status=2)
    assert several["iaf"]["status"] == "approximated"
    assert several["iaf"]["says"].startswith("many-spikes (spike_fn=MultiSpike, its default")
    assert several["lif"]["remarks"][0].startswith("exponential (")
    plain = rows(path, "--dt", "1", "--reset", "zero", status=0)
    assert plain["iaf"] == {**plain["iaf"], "status": "exact", "says": "", "remarks": []}


def test_a_missing_reset_is_still_asked_for(tmp_path: Path) -> None:
    path = of_sinabs(tmp_path)
    found = rows(path, "--from", "sinabs", *ONE_SPIKE, status=2)
    assert "give --reset" in found["lif"]["says"]
    done = in_process("import", path, "--from", "sinabs", "--steps", "4", "-o", tmp_path / "run")
    assert done.returncode == 2
    assert "give --reset zero" in done.stderr


def test_a_run_keeps_who_wrote_its_file(tmp_path: Path) -> None:
    path, run = of_sinabs(tmp_path), tmp_path / "run"
    done = in_process("import", path, *SAID, "--steps", "8", "-o", run)
    assert done.returncode == 0, done.stderr
    assert "lif differs from its toolkit: many-spikes (" in done.stdout + done.stderr
    assert in_process("convert", run).returncode == 0
    assert in_process("deploy", run).returncode == 0
    network = read_float_network(run / "convert" / "network.float.safetensors")
    assert network.layers[0].neuron.decay == pytest.approx(np.exp(-0.2), rel=1e-7)
    assert network.layers[1].neuron.threshold == float(np.nextafter(np.float32(1), np.float32(0)))
    again = import_network(path, toolkit="sinabs", reset="zero", steps=8)
    assert again.layers[0].neuron == network.layers[0].neuron
    whole = import_network(
        path, toolkit="sinabs", reset="zero", steps=8, settings={"norm_input": False}
    )
    share = 1 - np.exp(-1 / np.float64(5))
    np.testing.assert_allclose(
        again.layers[0].synapse.weight, whole.layers[0].synapse.weight * share, rtol=1e-6
    )


def test_a_config_of_before_is_still_one(tmp_path: Path) -> None:
    """A run folder whose config knows no toolkit goes on as it was."""
    path, run = of_sinabs(tmp_path), tmp_path / "run"
    said = ("--dt", "1", "--reset", "zero", "--steps", "8")
    assert in_process("import", path, *said, "-o", run).returncode == 0
    config = run / CONFIG_FILE
    tree = json.loads(config.read_text(encoding="utf-8"))
    assert not {"toolkit", "settings"} & tree["train"].keys()
    before = (run / "train" / "network.float.safetensors").read_bytes()
    shutil.rmtree(run / "train")
    assert in_process("train", run).returncode == 0
    assert (run / "train" / "network.float.safetensors").read_bytes() == before


def test_a_setting_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for command in (("check",), ("import", "--steps", "8", "-o", tmp_path / "run")):
        said = (*command[1:], *SAID, "--setting", "tau_syn=1e300")
        done = in_process(command[0], of_sinabs(tmp_path), *said)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "--setting: tau_syn: found '1e300', allowed None or a number from" in line


def test_it_is_for_nir_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.net"
    write_netx(fixed_network(), path)
    for command in (("check",), ("import", "-o", tmp_path / "run")):
        done = in_process(command[0], path, "--from", "norse", *command[1:])
        assert done.returncode == 2
        assert "model.net: --from: found one, and netx files are read as they are" in done.stderr
    with pytest.raises(HardspikeError, match="toolkit: found 'brian', allowed snntorch, norse"):
        import_network(path, toolkit="brian")  # type: ignore[arg-type]
