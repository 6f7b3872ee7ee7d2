# mypy: ignore-errors
"""Lava processes that feed a network from a file and write what it answers to files.

This module runs in the worker's environment, on Python 3.10. Lava's own ring buffers hold a whole
run as int32 in memory and hand results back one number at a time; these hold one recording, and
their rows lie in memory-mapped files that the worker reads when the run is over.

Axes: `B` recording, `T` step, `C` channel, `H` height, `W` width.
"""

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


def keep_lava_out_of_this_folder(empty: Path) -> None:
    """Let Lava look for models of these processes in the empty folder `empty`, not beside them.

    It executes every file beside the module in which a process is defined.
    """
    sys.modules[__name__].__file__ = str(empty / "lava_processes.py")


class SpikeSource(AbstractProcess):
    """Sends one step of the recordings in `path` after the other, then nothing."""

    def __init__(self, *, path: str, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=SpikeSource, protocol=LoihiProtocol)
@requires(CPU)
class SpikeSourceModel(PyLoihiProcessModel):
    """Holds one recording at a time, turned to Lava's (W, H, C) unless its input is flat."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._shape = proc_params["shape"]
        self._spikes_BTCHW = h5py.File(proc_params["path"], "r")["spikes"]
        self._frames = np.zeros((1, *self._shape), np.int32)

    def run_spk(self) -> None:
        count, steps = self._spikes_BTCHW.shape[:2]
        recording, step = divmod(self.time_step - 1, steps)
        if step == 0 and recording <= count:
            self._frames = self._load(recording) if recording < count else 0 * self._frames
        self.s_out.send(self._frames[step])

    def _load(self, recording: int) -> np.ndarray:
        spikes_TCHW = self._spikes_BTCHW[recording]
        if len(self._shape) == 1:
            return spikes_TCHW.reshape(len(spikes_TCHW), -1).astype(np.int32)
        return spikes_TCHW.transpose(0, 3, 2, 1).astype(np.int32, order="C")


class BiasSource(AbstractProcess):
    """Writes weight·x + bias of one step after the other into a neuron's bias, then nothing.

    So netx means an input block with a neuron to be fed: nothing connects its input port.
    """

    def __init__(self, *, path: str, shape: tuple[int, ...], weight: int, bias: int) -> None:
        super().__init__(path=path, shape=shape, weight=weight, bias=bias)
        self.state = RefPort(shape=shape)


@implements(proc=BiasSource, protocol=LoihiProtocol)
@requires(CPU)
class BiasSourceModel(PyLoihiProcessModel):
    """Writes in the management phase of step t what the neuron takes in step t + 1."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._params = proc_params
        self._spikes_BTCHW = h5py.File(proc_params["path"], "r")["spikes"]

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        count, steps = self._spikes_BTCHW.shape[:2]
        recording, step = divmod(self.time_step - 1, steps)
        bias = np.zeros(self._params["shape"], np.int32)
        if recording < count:
            frame_CHW = self._spikes_BTCHW[recording, step].astype(np.int32)
            x = frame_CHW.T if bias.ndim == 3 else frame_CHW.ravel()
            bias = np.ascontiguousarray(self._params["weight"] * x + self._params["bias"])
        self.state.write(bias)
        self.state.wait()


class Forgetter(AbstractProcess):
    """Empties a synapse's buffer before each recording, which no reset of netx does.

    `lag` steps after its start, row 0 of the first recording is in the buffer. `due` keeps column
    0, the sums that are due in the step to come: those still belong to the recording.
    """

    def __init__(self, *, lag: int, steps: int, due: bool, shape: tuple[int, ...]) -> None:
        super().__init__(lag=lag, steps=steps, due=due)
        self.state = RefPort(shape=shape)


@implements(proc=Forgetter, protocol=LoihiProtocol)
@requires(CPU)
class ForgetterModel(PyLoihiProcessModel):
    """Acts in the management phase of the step in which the last row came in, or row −1 did.

    Before the first recording, neurons with a bias may have fired already.
    """

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._params = proc_params

    def post_guard(self) -> bool:
        row = self.time_step - 1 - self._params["lag"]
        return row >= -1 and (row + 1) % self._params["steps"] == 0

    def run_post_mgmt(self) -> None:
        buffer = np.array(self.state.read())
        if self._params["due"]:
            buffer[:, 1:] = 0
        else:
            buffer[:] = 0
        self.state.write(buffer)
        self.state.wait()


class _RowFile:
    """Rows of a `.npy` file; step t (from 1) goes to row t − 1 − lag."""

    def __init__(self, path: str, lag: int) -> None:
        self._rows, self._lag = np.load(path, mmap_mode="r+"), lag

    def has(self, time_step: int) -> bool:
        return 0 <= time_step - 1 - self._lag < len(self._rows)

    def put(self, time_step: int, row: np.ndarray) -> None:
        if self.has(time_step):
            self._rows[time_step - 1 - self._lag] = row


class Recorder(AbstractProcess):
    """Writes what arrives at `a_in` to the rows of `path`, and the step's number to `clock`."""

    def __init__(self, *, path: str, lag: int, clock: str, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, lag=lag, clock=clock)
        self.a_in = InPort(shape=shape)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
class RecorderModel(PyLoihiProcessModel):
    """One row a step."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._file = _RowFile(proc_params["path"], proc_params["lag"])
        self._clock = np.load(proc_params["clock"], mmap_mode="r+")

    def run_spk(self) -> None:
        self._file.put(self.time_step, self.a_in.recv())
        self._clock[0] = self.time_step


class StateRecorder(AbstractProcess):
    """Writes a neuron's u, or v with its reset by a spike done, to the rows of `path`."""

    def __init__(self, *, path: str, lag: int, shape: tuple[int, ...]) -> None:
        super().__init__(path=path, lag=lag)
        self.state = RefPort(shape=shape)


@implements(proc=StateRecorder, protocol=LoihiProtocol)
@requires(CPU)
class StateRecorderModel(PyLoihiProcessModel):
    """Reads in Loihi's management phase, when every neuron of the step is done."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._file = _RowFile(proc_params["path"], proc_params["lag"])

    def post_guard(self) -> bool:
        return self._file.has(self.time_step)

    def run_post_mgmt(self) -> None:
        self._file.put(self.time_step, self.state.read())


MODELS = {
    SpikeSource: SpikeSourceModel,
    BiasSource: BiasSourceModel,
    Forgetter: ForgetterModel,
    Recorder: RecorderModel,
    StateRecorder: StateRecorderModel,
}
