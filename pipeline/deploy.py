"""The deploy stage: the contract in, every file that ships out, each read back and checked."""

from pathlib import Path

from export.contract_file import read_fixed_network, read_float_network
from export.netx_file import write_netx
from export.nir_graph import write_nir
from export.onnx_model import write_sequence, write_step
from export.parity import check_deployed
from hardware.loihi.limits import check_limits
from pipeline.convert import FIXED, FLOAT
from pipeline.progress import Reporter

FILES = ("model.nir", "model.step.onnx", "model.sequence.onnx", "model.net")


def deploy_stage(converted: Path, folder: Path, reporter: Reporter) -> list[str]:
    """Write NIR, both ONNX forms and netx; read each back and hold it to the contract.

    Raises:
        HardspikeError: a limit is exceeded, or a file differs from the contract.
    """
    hard = read_float_network(converted / FLOAT)
    fixed = read_fixed_network(converted / FIXED)
    check_limits(fixed)
    write_nir(hard, folder / "model.nir")
    write_step(fixed, folder / "model.step.onnx")
    write_sequence(fixed, folder / "model.sequence.onnx")
    write_netx(fixed, folder / "model.net")
    check_deployed(folder, hard, fixed)
    sizes = ", ".join(f"{name} {(folder / name).stat().st_size / 1024:.0f} kB" for name in FILES)
    reporter.line(f"deploy    {sizes}; each read back and equal to the contract")
    return list(FILES)
