"""The deploy stage: the contract in, every file that ships out, each read back and checked."""

from pathlib import Path

import numpy as np

from export.contract_file import read_fixed_network, read_float_network
from export.errors import HardspikeError
from export.network import FixedPointNetwork, HardSpikeNetwork
from export.netx_file import APPROXIMATED_FILE, write_netx
from export.nir_graph import write_nir
from export.onnx_model import write_sequence, write_step
from export.parity import check_deployed, netx_parity
from hardware.loihi.limits import check_integers, check_limits
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import run_fixed
from hardware.reference_target import ReferenceTarget
from pipeline.approximate import APPROXIMATED
from pipeline.convert import FIXED, FLOAT
from pipeline.progress import Reporter

NIR = "model.nir"
FILES = (NIR, "model.step.onnx", "model.sequence.onnx", APPROXIMATED_FILE, "model.net")
_PROBES, _PROBE_DENSITY = 4, 0.2


def deploy_stage(converted: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write NIR, both ONNX forms and netx; read each back and hold it to the contract.

    Raises:
        HardspikeError: a limit is exceeded, or a file differs from the contract.
    """
    hard = read_float_network(converted / FLOAT) if (converted / FLOAT).exists() else None
    if hard is None:  # NIR has no integers
        (folder / NIR).unlink(missing_ok=True)
    stand_in = converted / APPROXIMATED
    names = write_files(
        hard,
        read_fixed_network(converted / FIXED),
        folder,
        read_fixed_network(stand_in) if stand_in.exists() else None,
    )
    sizes = ", ".join(f"{name} {(folder / name).stat().st_size / 1024:.0f} kB" for name in names)
    reporter.line(f"deploy    {sizes}; each read back and equal to the contract")
    if APPROXIMATED_FILE in names:
        reporter.line(
            f"deploy    {APPROXIMATED_FILE} is not the network: loihi runs it in its place"
        )
    return names


def write_files(
    hard: HardSpikeNetwork | None,
    fixed: FixedPointNetwork,
    folder: Path,
    stand_in: FixedPointNetwork | None = None,
) -> list[str]:
    """Write the files of a network, hold each to it, and return their names.

    `stand_in` is what `loihi` runs in its place, in a file of its own.

    Raises:
        HardspikeError: as `deploy_stage`.
    """
    check_integers(fixed)
    if hard is not None:
        write_nir(hard, folder / NIR)
    write_step(fixed, folder / "model.step.onnx")
    write_sequence(fixed, folder / "model.sequence.onnx")
    write_netx(fixed, folder / "model.net")
    check_deployed(folder, hard, fixed)
    _check_behaviour(folder, fixed)
    left_out = {NIR} if hard is None else set()
    if stand_in is None:
        (folder / APPROXIMATED_FILE).unlink(missing_ok=True)  # of another config before
        left_out.add(APPROXIMATED_FILE)
    else:
        _write_stand_in(stand_in, folder / APPROXIMATED_FILE)
    return [name for name in FILES if name not in left_out]


def _write_stand_in(network: FixedPointNetwork, path: Path) -> None:
    """Write what Lava runs in a network's place, and read it back.

    Raises:
        HardspikeError: Lava cannot run it, or the file differs from it.
    """
    check_limits(network)
    write_netx(network, path, ("reset",), path.with_name("model.net"))
    list(netx_parity(path, network))


def _check_behaviour(folder: Path, network: FixedPointNetwork) -> None:
    """Run random input through every file that runs here and compare each step's output.

    Raises:
        HardspikeError: a file computes something else than the contract.
    """
    generator = np.random.default_rng(0)
    shape = (_PROBES, network.steps, *network.input_shape)
    active = generator.random(shape) < _PROBE_DENSITY
    spikes = (active * generator.integers(1, network.input_max + 1, shape)).astype(np.uint8)
    trace = run_fixed(network, spikes)
    expected = trace.last if network.readout == "count" else trace.membranes_BTN
    for target in (ReferenceTarget(), OnnxRuntimeSequence(), OnnxRuntimeStep()):
        found = target.run(folder, spikes).outputs_BTN
        if not np.array_equal(found, expected):
            share = float((found != expected).mean())
            raise HardspikeError(
                f"{folder}: {target.name} gives other outputs than the contract for random input "
                f"(a share of {share:.3g} differs, allowed none)"
            )
