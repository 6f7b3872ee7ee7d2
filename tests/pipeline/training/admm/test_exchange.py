"""Two ranks over gloo: the weights of one process, and messages that hold sums alone.

Axes: `T` time step, `B` recording, `C` channel, `H` height, `W` width, `N` row and column.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, multiprocessing

from export.errors import HardspikeError
from pipeline.config import ConvSettings, DenseSettings, LayerSettings, NetworkSettings
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.training.admm.exchange import Alone, Exchange, Group
from pipeline.training.admm.settings import ADMM, Full, Stream
from pipeline.training.admm.train import train_admm
from pipeline.training.checkpoint import read_tensors, write_tensors
from pipeline.training.loop import TrainResult

RANKS, STEPS, CHUNK = 2, 5, 4
SHAPE_CHW = (1, 9, 9)
CLASSES = ("a", "b", "c")
FULL, STREAM = Full(kind="full"), Stream(kind="stream", batch_size=12, renew_every=2)
CASES: dict[str, tuple[str, Full | Stream]] = {
    f"{layer} {batch.kind}": (layer, batch)
    for layer in ("dense", "conv")
    for batch in (FULL, STREAM)
}
CLOSE = 1e-5


def network_of(layer: str) -> SpikingNetwork:
    dense: LayerSettings = DenseSettings(type="dense", units=7, bias=True)
    conv: LayerSettings = ConvSettings(type="conv", channels=3, kernel=3, stride=2, bias=True)
    last = DenseSettings(type="dense", units=len(CLASSES), bias=True)
    layers = (conv if layer == "conv" else dense, dense, last)
    settings = NetworkSettings(layers=layers, readout="membrane", weight_gain=2.0)
    return SpikingNetwork(settings, SHAPE_CHW, CLASSES)


def recordings(count: int, seed: int) -> Dataset:
    """Return random spikes whose rate is the class's own."""
    generator = np.random.default_rng(seed)
    labels_B = generator.integers(0, len(CLASSES), count)
    drawn = generator.random((count, STEPS, *SHAPE_CHW))
    spikes_BTCHW = (drawn < 0.2 + 0.2 * labels_B.reshape(-1, 1, 1, 1, 1)).astype(np.uint8)
    names = tuple(f"{seed}-{index}" for index in range(count))
    return Dataset(spikes_BTCHW, labels_B, CLASSES, names)


def trained(
    layer: str,
    batch: Full | Stream,
    data: Dataset,
    state: Path,
    exchange: Exchange,
    share: Literal["recordings", "sums"] = "recordings",
    passes: int = 3,
) -> TrainResult:
    settings = ADMM(
        method="admm", passes=passes, batch=batch, chunk=CHUNK, exchange=share, device="cpu"
    )
    held = recordings(9, 99)
    return train_admm(
        network_of(layer), data, held, settings, 0, state, "", lambda done, total: None,
        exchange=exchange,
    )  # fmt: skip


class Recorder(Group):
    """A group that keeps the shapes of what it is handed, and the bytes that go out."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        self.shapes: list[list[list[int]]] = []
        self.message_bytes: list[int] = []

    def add_up(self, tensors: Sequence[Tensor], symmetric: Sequence[Tensor] = ()) -> None:
        self.shapes.append([list(tensor.shape) for tensor in (*tensors, *symmetric)])
        super().add_up(tensors, symmetric)

    def _send(self, collective: Any, flat: Tensor) -> None:
        self.message_bytes.append(flat.numel() * flat.element_size())
        super()._send(collective, flat)


def rank_of_two(rank: int, folder: Path) -> None:
    """Do every experiment that two ranks are needed for; write what came out of it."""
    torch.set_num_threads(1)
    place = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=RANKS)
    everything = recordings(24, 1)
    half = everything.take(np.arange(rank * 12, rank * 12 + 12))
    for name, (layer, batch) in CASES.items():
        group = Group(torch.device("cpu"))
        found = trained(layer, batch, everything, folder / f"{name} state", group)
        write_tensors(folder / f"{name}.{rank}", found.weights, {})
        if batch is FULL:
            federated = trained(layer, batch, half, folder / f"{name} sums state", group, "sums")
            write_tensors(folder / f"{name} sums.{rank}", federated.weights, {})
    _resume(rank, folder, everything)
    messages = [_messages(rank, count, folder) for count in (13, 29)]
    (folder / f"messages.{rank}").write_text(json.dumps(messages))
    (folder / f"sums.{rank}").write_text(json.dumps(_plain_sums(rank)))
    distributed.destroy_process_group()


def _resume(rank: int, folder: Path, data: Dataset) -> None:
    """Train for two passes, then on to four; only rank 0 has a folder with a state in it."""
    group = Group(torch.device("cpu"))
    state = folder / f"rank {rank}" / "state"
    trained("dense", FULL, data, state, group, passes=2)
    found = trained("dense", FULL, data, state, group, passes=4)
    whole = trained("dense", FULL, data, folder / "whole state", group, passes=4)
    write_tensors(folder / f"resumed.{rank}", found.weights, {})
    write_tensors(folder / f"whole.{rank}", whole.weights, {})
    facts = {"state": state.exists(), "passes": found.progress.samples // len(data)}
    (folder / f"resumed {rank}.json").write_text(json.dumps(facts))


def _messages(rank: int, count: int, folder: Path) -> dict[str, Any]:
    """Return what a rank with `count` recordings of its own sends."""
    recorder = Recorder()
    data = recordings(count + rank, 2 + rank)
    found = trained("conv", FULL, data, folder / f"state of {count}", recorder, "sums", passes=1)
    return {
        "shapes": recorder.shapes,
        "message_bytes": recorder.message_bytes,
        "bytes_sent": recorder.bytes_sent,
        "bytes_of_pass": found.progress.history[0]["bytes_sent"],
    }


def _plain_sums(rank: int) -> dict[str, Any]:
    group = Group(torch.device("cpu"))
    generator = torch.Generator().manual_seed(rank)
    plain, square = (torch.rand(3, 4, generator=generator), torch.rand(5, 5, generator=generator))
    symmetric_NN = square + square.T
    own = [plain.tolist(), symmetric_NN.tolist()]
    group.add_up([plain], [symmetric_NN])
    return {
        "own": own,
        "sum": [plain.tolist(), symmetric_NN.tolist()],
        "bytes": group.bytes_sent,
        "first": group.from_first(bytes([rank, 2, 3])).hex(),
        "empty": group.from_first(b"" if rank == 0 else b"x").hex(),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote that met over gloo."""
    path = tmp_path_factory.mktemp("ranks")
    for rank in range(RANKS):
        (path / f"rank {rank}").mkdir()
    multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call]
        rank_of_two, (path,), nprocs=RANKS
    )
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def difference(one: Path, other: dict[str, Tensor] | Path) -> float:
    weights = read_tensors(one)[0]
    others = read_tensors(other)[0] if isinstance(other, Path) else other
    assert weights.keys() == others.keys()
    return max(float((weights[key] - others[key]).abs().max()) for key in weights)


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_end_in_the_weights_of_one(
    folder: Path, tmp_path: Path, one_thread: None, case: str
) -> None:
    layer, batch = CASES[case]
    alone = trained(layer, batch, recordings(24, 1), tmp_path / "state", Alone())
    assert difference(folder / f"{case}.0", alone.weights) <= CLOSE
    assert difference(folder / f"{case}.1", folder / f"{case}.0") == 0
    untrained = network_of(layer)
    untrained.reset_parameters(0)
    assert difference(folder / f"{case}.0", untrained.weights()) > 100 * CLOSE


@pytest.mark.parametrize("layer", ["dense", "conv"])
def test_ranks_with_recordings_of_their_own_end_in_the_weights_of_one_with_all(
    folder: Path, layer: str
) -> None:
    assert difference(folder / f"{layer} full sums.0", folder / f"{layer} full.0") <= CLOSE


def test_nothing_that_is_sent_grows_with_the_recordings(folder: Path) -> None:
    for rank in range(RANKS):
        few, many = json.loads((folder / f"messages.{rank}").read_text())
        assert few["shapes"] == many["shapes"]
        assert few["message_bytes"] == many["message_bytes"]
        axes = {axis for message in few["shapes"] for shape in message for axis in shape}
        # Fan-ins, outputs and classes, and one axis for the counts of a step.
        conv, hidden = 3 * 3 + 1, 3 * 4 * 4 + 1
        assert axes <= {conv, 3, hidden, 7, 8, len(CLASSES), 1, 2, 5}


def test_the_bytes_are_those_of_the_messages(folder: Path) -> None:
    for rank in range(RANKS):
        for sent in json.loads((folder / f"messages.{rank}").read_text()):
            assert sent["bytes_sent"] == sum(sent["message_bytes"])
            # Before the pass: the count, the fingerprint and its size, the size of no state, and
            # the first readout; after it: what validation got right, and the FLOPs.
            assert sent["bytes_of_pass"] == sum(sent["message_bytes"][5:-2]) > 0


def test_a_sum_is_the_sum_and_one_triangle_of_a_symmetric_matrix_is_enough(folder: Path) -> None:
    ranks = [json.loads((folder / f"sums.{rank}").read_text()) for rank in range(RANKS)]
    for found in ranks:
        for index in range(2):
            expected = sum(np.float32(rank["own"][index]) for rank in ranks)
            np.testing.assert_array_equal(np.float32(found["sum"][index]), expected)
        assert found["bytes"] == 8 * (3 * 4 + 5 * 6 // 2)
        assert found["first"] == "000203"
        assert found["empty"] == ""


def test_a_state_that_rank_0_alone_has_is_gone_on_with_by_all(folder: Path) -> None:
    for rank in range(RANKS):
        assert difference(folder / f"resumed.{rank}", folder / f"whole.{rank}") == 0
        facts = json.loads((folder / f"resumed {rank}.json").read_text())
        assert facts == {"state": rank == 0, "passes": 4}


class Crowd(Alone):
    """The first of many ranks, for what is refused before anything is sent."""

    ranks = 5


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (20, "train.chunk: found 4, which leaves a rank of 5 without recordings of a minibatch of "
         "10; allowed up to 2"),
        (4, "train.batch: found 1 minibatches for 4 recordings on rank 0 of 5; allowed is no rank "
         "without one: larger minibatches or more recordings are needed"),
    ],
)  # fmt: skip
def test_a_rank_without_recordings_is_refused(count: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(HardspikeError) as found:
        trained("dense", STREAM, recordings(count, 0), tmp_path / "state", Crowd())
    assert str(found.value) == message
