"""A run small enough to be made by every test module that wants one deployed."""

import json
from typing import Any

from pipeline.config import Config

TREE: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": {"kind": "saccade-mnist", "train": 40, "test": 10},
        "binning": {"steps": 4, "mode": "binary", "downsample": 4},
    },
    "network": {
        "layers": [
            {"type": "conv", "channels": 3, "kernel": 3, "stride": 2, "padding": 1, "bias": True},
            {"type": "dense", "units": 10},
        ]
    },
    "train": {"method": "sast", "device": "cpu", "epochs": 1, "batch_size": 10, "rho": 0.0},
}


def tiny_config() -> Config:
    """Return its config."""
    return Config.model_validate_json(json.dumps(TREE))
