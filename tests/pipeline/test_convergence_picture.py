"""The picture of convergence: whatever keys a history has, and the same bytes for the same one."""

import math
import struct
from pathlib import Path

import pytest

from pipeline.convergence_picture import convergence_picture

History = list[dict[str, float]]


def resync(passes: int, layers: int) -> History:
    """Return a history with the keys of `variant: resync`."""
    return [
        {"epoch": index, "mismatch": 1 / (index + 1), "training_hard": 0.5, "bytes_sent": 0}
        | {"objective": 0.9 / (index + 1), "hard": 0.5, "step": 0.01 * math.exp(-index)}
        | {
            f"{name}_{layer}": value * layer / (index + 1)
            for layer in range(1, layers + 1)
            for name, value in (
                *(("residual", 0.9), ("slack", 0.0), ("agreement", 0.8), ("rate", 0.1)),
                ("condition", 1e4),
            )
        }
        | {"validation_hard": 0.4}
        for index in range(passes)
    ]


def published(passes: int) -> History:
    """Return a history with keys of `variant: published`: no step, slack, rate or condition."""
    return [
        {"epoch": index, "objective": 5.0, "objective_multiplier": -0.1 * index}
        | {"residual_membranes_1": 0.5, "residual_membranes_2": 0.25, "residual_spikes_1": 0.125}
        | {"agreement_own_1": 0.9, "agreement_true_1": 0.8, "overlap_true_1": 0.1}
        | {"training_hard": 0.1 * index}
        for index in range(passes)
    ]


def drawn(history: History, best: int, path: Path) -> tuple[bytes, int]:
    """Return the picture's bytes and its height."""
    convergence_picture(history, best, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return data, struct.unpack(">II", data[16:24])[1]


@pytest.mark.parametrize(("passes", "layers"), [(1, 3), (1, 1), (40, 3), (3, 7)])
def test_any_number_of_passes_and_layers_has_all_panels(
    passes: int, layers: int, tmp_path: Path
) -> None:
    _, height = drawn(resync(passes, layers), 1, tmp_path / "a.png")
    assert height == pytest.approx(150 * (0.6 + 4 * 1.75), abs=1)


def test_panels_without_keys_are_left_out(tmp_path: Path) -> None:
    _, height = drawn(published(4), 2, tmp_path / "a.png")
    assert height == pytest.approx(150 * (0.6 + 2 * 1.75), abs=1)
    random = [
        {key: value for key, value in entry.items() if not key.startswith(("residual", "condit"))}
        for entry in resync(4, 2)
    ]
    random[2].pop("validation_hard")  # and a pass may lack a key
    _, height = drawn(random, 2, tmp_path / "a.png")
    assert height == pytest.approx(150 * (0.6 + 3 * 1.75), abs=1)


def test_the_same_history_is_the_same_bytes_and_another_is_not(tmp_path: Path) -> None:
    first, again = (drawn(published(5), 3, tmp_path / name)[0] for name in ("a.png", "b.png"))
    assert first == again
    assert drawn(published(5), 4, tmp_path / "c.png")[0] != first
    other = published(5)
    other[2]["overlap_true_1"] = 0.3
    assert drawn(other, 3, tmp_path / "d.png")[0] != first
