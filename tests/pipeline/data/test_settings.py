"""Settings are read from JSON; a wrong value names its field and what is allowed."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.data.settings import (
    DataSettings,
    DVSGesture,
    Folder,
    SaccadeMnist,
    duration_us,
    shape_TCHW,
    step_ms,
)


def parse(value: dict[str, Any]) -> DataSettings:
    return DataSettings.model_validate_json(json.dumps(value))


def test_an_empty_section_is_the_embedded_default() -> None:
    settings = parse({})
    assert settings.source == SaccadeMnist(train=4000, test=1000, seed=0)
    assert shape_TCHW(settings) == (10, 2, 34, 34)
    assert step_ms(settings) == 31.5


def test_the_source_key_picks_the_type() -> None:
    assert isinstance(parse({"source": {"kind": "dvsgesture", "root": "d"}}).source, DVSGesture)
    folder = parse({"source": {"kind": "folder", "root": "d", "sensor": [128, 96]}}).source
    assert isinstance(folder, Folder)
    assert folder.sensor == (128, 96)


def test_windows_are_the_sources_own_unless_given() -> None:
    gesture = {"source": {"kind": "dvsgesture", "root": "d"}}
    assert duration_us(parse(gesture)) == 1_500_000
    assert duration_us(parse({**gesture, "binning": {"duration_ms": 0.5}})) == 500


def test_downsampling_keeps_the_last_incomplete_square() -> None:
    assert shape_TCHW(parse({"binning": {"downsample": 4}})) == (10, 2, 9, 9)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"source": {"kind": "saccade-mnist", "train": 4500, "test": 1000}}, "at most 5000"),
        ({"source": {"kind": "saccade-mnist", "train": 15}}, "multiple of 10"),
        ({"source": {"kind": "mnist"}}, "'saccade-mnist', 'nmnist', 'dvsgesture', 'folder'"),
        ({"source": {"kind": "nmnist"}}, "root"),
        ({"source": {"kind": "folder", "root": "d", "fold": 1}}, "without folds"),
        ({"source": {"kind": "folder", "root": "d", "folds": 5, "fold": 5}}, "it is 0 to 4"),
        ({"binning": {"steps": 0}}, "greater than or equal to 1"),
        ({"binning": {"steps": 10.0}}, "valid integer"),
        ({"binning": {"steps": 400_000}}, "window of this source is 315000"),
        ({"binning": {"steps": 10, "duration_ms": 0.005}}, "at least 0.001 ms"),
        ({"binning": {"downsample": 35}}, "at most 34"),
        ({"validation_fraction": 1.0}, "less than 1"),
        ({"extra": 1}, "Extra inputs"),
    ],
)
def test_faults_say_what_is_allowed(value: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse(value)
    assert says in str(caught.value)
