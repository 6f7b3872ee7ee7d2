"""Step rate of Lava's simulator: recordings streamed by the worker against a plain Lava script.

    python -m benchmarks.lava_streaming [--net MODEL.net] [--recordings SPIKES.npy] [--json FILE]

Both run the same netx file for the same number of steps, at the same density of input spikes, on
the same processor, in turns. The worker reads recordings from a file, clears the network between
them and hands back what the last layer did at every step; the plain script (`lava_plain.py`) feeds
one of Lava's ring buffers of random spikes to the network, once. Both rates are of the run alone,
without start or stop. Without `--net` a random network of the quickstart's shape is run.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import HardspikeError
from export.files import write_json
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import read_netx, write_netx
from hardware.loihi import environment
from hardware.loihi.target import Job, run_jobs

PLAIN = Path(__file__).with_name("lava_plain.py")
GOAL = 0.85
DENSITY = 0.05


def quickstart_network() -> FixedPointNetwork:
    """Return the quickstart's shape, 16c5s2 → 32c5s2 → 10, with random weights and T = 10."""
    random = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return 2 * random.integers(-30, 31, shape).astype(np.int32)

    stride = (2, 2)
    layers = (
        Layer("conv1", Conv(weight(16, 2, 5, 5), stride=stride), LoihiLIF(400, 200)),
        Layer("conv2", Conv(weight(32, 16, 5, 5), stride=stride), LoihiLIF(400, 400)),
        Layer("out", Dense(weight(10, 1152)), LoihiLIF(400, 400)),
    )
    return FixedPointNetwork((2, 34, 34), layers, "count", steps=10, dt=0.03)


def streamed(net: Path, spikes_BTCHW: Any) -> dict[str, float]:
    """Run the worker once and return its times."""
    results, details = run_jobs([Job(net, spikes_BTCHW)])
    return {**results[0].timing, "startup_s": details["startup_s"], "stop_s": details["stop_s"]}


def plain(net: Path, steps: int, density: float, seed: int) -> dict[str, float]:
    """Run the plain script once and return its times."""
    interpreter, _ = environment.prepare()
    done = subprocess.run(
        [interpreter, "-E", "-s", PLAIN, net, str(steps), repr(density), str(seed)],
        env={**os.environ, **environment.SINGLE_THREADED},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise HardspikeError(f"lava_plain.py failed: {done.stderr.strip().splitlines()[-1]}")
    last = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    times: dict[str, float] = json.loads(last)
    return times


def measure(net: Path, spikes_BTCHW: Any, repetitions: int) -> dict[str, Any]:
    """Run both in turns, each first every other time, and compare the medians of their rates."""
    density = float(spikes_BTCHW.mean())
    steps = spikes_BTCHW.shape[0] * spikes_BTCHW.shape[1]
    ours, theirs = [], []
    for turn in range(repetitions):
        for mine in (True, False) if turn % 2 == 0 else (False, True):
            if mine:
                ours.append(streamed(net, spikes_BTCHW))
            else:
                theirs.append(plain(net, steps, density, turn))
    rates = [statistics.median(run["steps_per_s"] for run in runs) for runs in (ours, theirs)]
    return {
        "readout": read_netx(net).readout,
        "versions": environment.locked_versions(),
        "processors": os.cpu_count(),
        "steps": steps,
        "density": density,
        "streamed_steps_per_s": rates[0],
        "plain_steps_per_s": rates[1],
        "ratio": rates[0] / rates[1],
        "goal": GOAL,
        "streamed": ours,
        "plain": theirs,
    }


def main() -> None:
    """Parse the command line, measure, and print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--net", type=Path, help="a run's model.net; default: a random network")
    parser.add_argument("--recordings", type=Path, help="uint8 (B, T, C, H, W) in a .npy file")
    parser.add_argument("--count", type=int, default=100, help="random recordings without a file")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hardspike-benchmark-") as name:
        net = options.net
        if net is None:
            net = Path(name) / "model.net"
            write_netx(quickstart_network(), net)
        network = read_netx(net)
        if options.recordings is not None:
            spikes_BTCHW = np.load(options.recordings)
        else:
            shape = (options.count, network.steps, *network.input_shape)
            spikes_BTCHW = (np.random.default_rng(1).random(shape) < DENSITY).astype(np.uint8)
        measured = measure(net, spikes_BTCHW, options.repetitions)
    measured["network"] = str(options.net or "random, of the quickstart's shape")
    print(f"streamed by the worker  {measured['streamed_steps_per_s']:8.1f} steps/s")
    print(f"plain Lava script       {measured['plain_steps_per_s']:8.1f} steps/s")
    print(f"ratio                   {measured['ratio']:8.3f}  (goal {GOAL})")
    if options.json is not None:
        write_json(options.json, measured)


if __name__ == "__main__":
    try:
        main()
    except HardspikeError as error:
        raise SystemExit(str(error)) from error
