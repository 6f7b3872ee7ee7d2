"""SAST's training step against the plain one, on the same network and minibatches, in pairs.

    python -m benchmarks.training_step [--pairs N] [--steps N] [--out FILE]

One step is what training does with a minibatch: its spikes to tensors, the gradients, the
optimiser. Each pair times so many steps of either kind, one kind right after the other and in turn
the first, so that a change of the machine's speed meets both.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.statistics import plus_minus, summary
from export.errors import EXIT_STATUS, HardspikeError
from export.files import read_json, write_json
from pipeline.config import SAST, Config
from pipeline.config_file import load_config
from pipeline.data.sources import load_dataset
from pipeline.train import build_network
from pipeline.training.loop import time_steps

SCHEMA = "hardspike.training-step/1"


def measure(config: Config, pairs: int, steps: int) -> dict[str, Any]:
    """Return milliseconds a step of either kind, one entry a pair."""
    settings, dataset = config.train, load_dataset(config.data, "train")
    if not isinstance(settings, SAST):
        raise HardspikeError(f"train.method: found {settings.method}, allowed sast")
    network = build_network(config, dataset)
    network.reset_parameters(config.seed)
    rho = {"plain_ms": 0.0, "sast_ms": settings.rho}
    found: dict[str, list[float]] = {name: [] for name in rho}
    for pair in range(pairs + 1):
        order = list(rho.items())
        for name, value in order if pair % 2 else reversed(order):
            seconds = time_steps(network, dataset, settings, value, steps, pair)
            if pair:  # the first warms up
                found[name].append(1000 * seconds / steps)
    return {
        "schema": SCHEMA,
        "batch_size": settings.batch_size,
        "threads": torch.get_num_threads(),
        "steps": steps,
        "torch": torch.__version__,
        **{name: [round(value, 4) for value in values] for name, values in found.items()},
    }


def measure_steps(
    config: Path, out: Path | None, pairs: int = 20, steps: int = 20
) -> dict[str, Any]:
    """Measure on one thread and, where `out` is given, keep the pairs there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = measure(load_config(config), pairs, steps)
    finally:
        torch.set_num_threads(threads)
    if out is not None:
        write_json(out, found)
    return found


def at_least_one(text: str) -> int:
    """Return an argument that is a whole number of 1 or more, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed 1 or more")
    return int(text)


def read_steps(path: Path) -> dict[str, Any]:
    """Read what was measured.

    Raises:
        HardspikeError: the file is missing or not what this benchmark writes.
    """
    found = read_json(path)
    names = ("plain_ms", "sast_ms")
    whole = isinstance(found, dict) and all(
        isinstance(found.get(name), list) and found[name] for name in names
    )
    if not whole or found.get("schema") != SCHEMA or len({len(found[n]) for n in names}) > 1:
        raise HardspikeError(f"{path}: is not what `make bench-step` writes; run it again")
    return dict(found)


def step_ratios(found: Mapping[str, Any]) -> list[float]:
    """Return the time of SAST's step over the plain one, one entry a pair."""
    return [sharp / plain for plain, sharp in zip(found["plain_ms"], found["sast_ms"], strict=True)]


def main() -> int:
    """Measure, print and, where asked to, keep the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/nmnist-1k.yaml"))
    parser.add_argument("--pairs", type=at_least_one, default=20)
    parser.add_argument("--steps", type=at_least_one, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        found = measure_steps(options.config, options.out, options.pairs, options.steps)
    except HardspikeError as error:
        print(f"hardspike: {error}", file=sys.stderr)
        return EXIT_STATUS
    plain, sharp = found["plain_ms"], found["sast_ms"]
    print(f"plain {plus_minus(summary(plain))} ms, SAST {plus_minus(summary(sharp))} ms a step")
    ratio = summary(step_ratios(found))
    print(f"ratio {plus_minus(ratio, 3)} over {options.pairs} pairs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
