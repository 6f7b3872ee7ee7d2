"""What is compared: a network as a file or folder holds it, and the target that runs it."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from export.network import LIF, FixedPointNetwork, Network
from export.netx_file import read_approximates, write_netx
from export.onnx_model import write_sequence, write_step
from export.onnx_reader import read_onnx_info
from pipeline.diff.foreign import Words
from pipeline.imported.formats import Format

Form = Format | Literal["contract"]
NET, SEQUENCE, STEP = "model.net", "model.sequence.onnx", "model.step.onnx"
FILE_OF = {
    "reference": NET,
    "loihi": NET,
    "onnxruntime": SEQUENCE,
    "onnxruntime-step": STEP,
}
_WRITERS: dict[str, Callable[[FixedPointNetwork, Path], None]] = {
    NET: write_netx,
    SEQUENCE: write_sequence,
    STEP: write_step,
}
ORACLE = "reference"


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and what runs it.

    `given` is what the user wrote, `path` the file or folder, `source` the file that `network` was
    read from, of the format `form`, `run` the run folder around it. `has_scale` says whether the
    layers' scales are the file's own: ONNX and lava-dl's netx have no field for them. `foreign` are
    files of other toolkits, read as `words` say; `flattens` those that take a vector where the
    recordings are images.
    """

    given: str
    path: Path
    source: Path
    target: str
    network: Network[Any]
    run: Path | None = None
    has_scale: bool = True
    form: Form = "contract"
    foreign: bool = False
    words: Words = field(default_factory=dict)
    flattens: bool = False

    @property
    def is_float(self) -> bool:
        """Whether the network is the float one."""
        return isinstance(self.network.layers[0].neuron, LIF)

    @property
    def kind(self) -> str:
        """`float` or `fixed point`."""
        return "float" if self.is_float else "fixed point"

    @property
    def approximates(self) -> tuple[str, ...]:
        """What of its network the file only approximates, as was asked for; nothing, usually.

        Raises:
            HardspikeError: the file makes no sense.
        """
        is_ours = self.form == "netx" and not self.foreign
        return read_approximates(self.source) if is_ours else ()

    @contextlib.contextmanager
    def artefacts(self) -> Iterator[Path]:
        """Yield a folder with the file that the target runs.

        The subject's own file is taken where it is of the target's kind; otherwise the file is
        written from the network.

        Raises:
            HardspikeError: the network cannot be written for the target.
        """
        name = FILE_OF[self.target]
        if self.path.is_dir():
            yield self.source.parent
            return
        with tempfile.TemporaryDirectory(prefix="hardspike-diff-") as folder:
            if self.runs_its_own_file:
                shutil.copyfile(self.source, Path(folder) / name)
            else:
                _WRITERS[name](self.network, Path(folder) / name)
            yield Path(folder)

    @property
    def runs_in_memory(self) -> bool:
        """Whether the reference runs the network as it was read: its own file is netx alone."""
        netx = self.form == "netx" and not self.foreign
        return self.target == ORACLE and (self.is_float or not netx)

    @property
    def runs_its_own_file(self) -> bool:
        """Whether the target runs the file itself, not one that was written from it."""
        if self.path.is_dir() or self.runs_in_memory:
            return True
        if self.foreign:
            return False
        if self.form == "onnx":
            return onnx_target(self.source) == self.target
        return self.form == "netx" and FILE_OF[self.target] == NET


def onnx_target(path: Path) -> str:
    """Return the target that runs an ONNX file."""
    step = read_onnx_info(path).metadata.get("form") == "step"
    return "onnxruntime-step" if step else "onnxruntime"
