"""The convergence measures against their definitions in plain numpy, on networks of a few neurons.

Axes: `T` time step, `B` recording, `X` row, `O` output, `F` fan-in, `N` neuron.
"""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Readout
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.model import SpikingNetwork
from pipeline.training.admm.convergence import convergence
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.labels import asked_evidence
from pipeline.training.admm.resync import Asked, asked_of_layers, high_evidence
from pipeline.training.admm.settings import ADMM, Full, Stream
from pipeline.training.admm.stack import Pass, Stack
from pipeline.training.admm.steps import Batch, Steps
from pipeline.training.admm.synapses import Synapses

Array = NDArray[np.float64]
SHAPE, T, DECAY, THRESHOLD, RIDGE = (2, 5, 5), 6, 0.8, 0.5, 0.2
PER_LAYER = ("residual", "slack", "agreement", "rate", "condition")


def steps_of(readout: Readout = "membrane", threshold: float = THRESHOLD, **keys: Any) -> Steps:
    """Return a convolution, a dense layer and the output, float64, after a pass of three steps."""
    layers = (
        ConvSettings(type="conv", channels=3, kernel=3, stride=2, padding=1, bias=True),
        DenseSettings(type="dense", units=6),
        DenseSettings(type="dense", units=3),
    )
    settings = NetworkSettings(layers=layers, readout=readout, tau=DECAY, threshold=threshold)
    network = SpikingNetwork(settings, SHAPE, ("a", "b", "c")).double()
    network.reset_parameters(3)
    steps = Steps(Stack(network, T, "hard"), ADMM(method="admm", ridge=RIDGE, **keys), Alone())
    with torch.inference_mode():
        if readout == "membrane":
            steps.refit_readout([batch_of(0)])
        for seed in range(3):
            if isinstance(steps.settings.batch, Full):
                steps.full(lambda: [batch_of(0)])
            else:
                steps.stream([batch_of(seed)], 3)
    return steps


def batch_of(seed: int, count: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(T, count, *SHAPE, generator=generator) < 0.4).double()
    return spikes, torch.randint(0, 3, (count,), generator=generator)


def measured(steps: Steps, probe: Batch) -> dict[str, float]:
    with torch.inference_mode():
        return convergence(steps, probe)


def asked_of(steps: Steps, probe: Batch) -> tuple[Pass, list[Asked]]:
    """Return the hard forward pass and what is asked, from the first layer (`test_resync`)."""
    stack, settings = steps.stack, steps.settings
    with torch.inference_mode():
        done = stack.forward(probe[0])
        high = high_evidence(stack, settings)
        labels = settings.labels
        change = asked_evidence(done.evidence_BK, probe[1], labels, stack.energy, high)
        return done, list(asked_of_layers(stack, done, change, settings))[::-1]


def rows_of(synapses: Synapses, spikes_TB: Array) -> Array:
    """Return the fan-in of every output at every place, `(X, F)`, 1 last where there is a bias."""
    images = spikes_TB.reshape(-1, *spikes_TB.shape[2:])
    if isinstance(synapses.layer.settings, ConvSettings):
        padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
        rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, SHAPE[0] * 9)
    else:
        rows = images.reshape(len(images), -1)
    return rows if synapses.layer.bias is None else np.hstack([rows, np.ones((len(rows), 1))])


def residual_rows(drive_TB: Array) -> Array:
    """Return residuals `(X, O)` in the order of `rows_of`."""
    images = drive_TB.reshape(-1, *drive_TB.shape[2:])
    return np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])


def plain_hard(drive_TBN: Array) -> tuple[Array, Array]:
    z, a = np.zeros_like(drive_TBN), np.zeros_like(drive_TBN)
    for t in range(len(z)):
        z[t] = drive_TBN[t] + (DECAY * z[t - 1] * (1 - a[t - 1]) if t else 0)
        a[t] = z[t] > THRESHOLD
    return z, a


@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("batch", [Stream(kind="stream", trust=0.05), Full(kind="full", alpha=0.5)])
def test_every_measure_is_what_it_says(readout: Readout, batch: Stream | Full) -> None:
    steps, probe = steps_of(readout, batch=batch), batch_of(9)
    found = measured(steps, probe)
    done, asked = asked_of(steps, probe)
    numbers = range(1, len(asked) + 1)
    assert set(found) == {"objective", "hard", "step"} | {
        f"{name}_{number}" for name in PER_LAYER for number in numbers
    }
    for number, one in enumerate(asked, 1):
        below, synapses = done.below(one.layer).numpy(), steps.stack.synapses[one.layer]
        rows_XF, r_XO = rows_of(synapses, below), residual_rows(one.drive.numpy())
        drive_XO = rows_XF @ synapses.matrix_OF.numpy().T
        z, a = plain_hard(drive_XO.reshape(T, -1))
        ours = residual_rows(done.states[one.layer].spikes.numpy()).reshape(T, -1)
        np.testing.assert_array_equal(a, ours)
        relaxed = z + residual_rows(one.membranes.numpy()).reshape(T, -1) > THRESHOLD
        wanted = a + residual_rows(one.spikes.numpy()).reshape(T, -1)
        assert found[f"slack_{number}"] == pytest.approx(np.mean((wanted - relaxed) ** 2))
        assert found[f"agreement_{number}"] == pytest.approx(np.mean(relaxed == a))
        assert found[f"rate_{number}"] == pytest.approx(np.mean(a))
        gram = steps.memory.grams_FF[one.layer].numpy()
        matrix = gram + RIDGE * np.mean(np.diag(gram)) * np.eye(len(gram))
        step_OF = np.linalg.solve(matrix, rows_XF.T @ r_XO / len(rows_XF)).T
        left = np.linalg.norm(r_XO - rows_XF @ step_OF.T) / np.linalg.norm(r_XO)
        assert found[f"residual_{number}"] == pytest.approx(left)
        true = np.linalg.cond(matrix)
        assert 0.95 * true <= found[f"condition_{number}"] <= true * (1 + 1e-9)
    evidence = done.evidence_BK.numpy()
    high = 1 if readout == "membrane" else T / 2
    away = evidence - high * np.eye(3)[probe[1].numpy()]
    assert found["objective"] == pytest.approx(np.mean((away**2).sum(1)))
    assert found["hard"] == pytest.approx(np.mean(evidence.argmax(1) == probe[1].numpy()))
    trust = 0.05 * (1 + math.cos(math.pi * 2 / 3)) / 2
    assert found["step"] == pytest.approx(
        trust if isinstance(batch, Stream) else steps.memory.alpha
    )


def test_on_the_recordings_of_the_gram_matrix_the_residual_is_that_of_the_ridge() -> None:
    """The first layer's Gram matrix does not change with the weights: least squares, row by row."""
    steps, probe = steps_of(batch=Full(kind="full")), batch_of(0)
    found = measured(steps, probe)["residual_1"]
    done, asked = asked_of(steps, probe)
    x, r = (
        rows_of(steps.stack.synapses[0], done.inputs.numpy()),
        residual_rows(asked[0].drive.numpy()),
    )
    price = math.sqrt(RIDGE * np.mean(np.diag(x.T @ x)))
    system = np.vstack([x, price * np.eye(x.shape[1])])
    fitted = np.linalg.lstsq(system, np.vstack([r, np.zeros((x.shape[1], r.shape[1]))]), None)[0]
    assert found == pytest.approx(np.linalg.norm(r - x @ fitted) / np.linalg.norm(r))
    assert found < 1


@pytest.mark.parametrize("kind", ["ramp", "exact"])
def test_parts_of_the_recordings_measure_the_same(kind: str) -> None:
    membrane = {"kind": kind}
    whole, parts = (
        measured(steps_of(membrane=membrane, chunk=chunk), batch_of(9)) for chunk in (100, 7)
    )
    assert parts == pytest.approx(whole)


def test_a_layer_that_nothing_is_asked_of_has_numbers_all_the_same() -> None:
    found = measured(steps_of(threshold=1e6), batch_of(9))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for number in (1, 2):
        of_layer = [found[f"{name}_{number}"] for name in PER_LAYER[:4]]
        assert of_layer == [0, 0, 1, 0]
        assert found[f"condition_{number}"] >= 1 - 1e-9


def test_hidden_weights_that_are_never_moved_have_no_residual() -> None:
    found = measured(steps_of(batch=Stream(kind="stream", trust=0.0)), batch_of(9))
    assert found["step"] == 0
    assert not [name for name in found if name.startswith(("residual", "condition"))]
    assert 0 < found["rate_1"] < 1


def test_numbers_that_are_not_finite_are_refused_by_name() -> None:
    steps = steps_of()
    assert steps.stack.readout is not None
    with torch.no_grad():
        steps.stack.readout.layer.weight.fill_(1e200)
    with pytest.raises(HardspikeError, match=r"train: objective is inf after a pass"):
        measured(steps, batch_of(9))
