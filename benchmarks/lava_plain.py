# mypy: ignore-errors
"""A plain Lava script, for comparison: one network, one ring buffer of random spikes, one run.

Runs in the worker's environment (`benchmarks/lava_streaming.py` starts it) and prints its times as
JSON.

    python lava_plain.py MODEL.net STEPS DENSITY SEED
"""

import json
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hardware" / "loihi"))
from lava_network import load_netx  # netx without PyTorch


def main() -> None:
    """Run the network once and print {"steps_per_s", "run_s", "startup_s"}."""
    began = time.perf_counter()
    net, steps, density, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    with h5py.File(net, "r") as file:
        interval = int(file.attrs["steps"])
    network = load_netx().Network(net_config=net, reset_interval=interval, reset_offset=1)
    shape = (*network.inp.shape, steps)
    spikes = (np.random.default_rng(seed).random(shape) < density).astype(np.int32)
    source, sink = Source(data=spikes), Sink(shape=network.out.shape, buffer=steps)
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    started = time.perf_counter()
    network.run(condition=RunSteps(num_steps=steps))
    run_s = time.perf_counter() - started
    print(json.dumps({"steps_per_s": steps / run_s, "run_s": run_s, "startup_s": started - began}))
    network.stop()


if __name__ == "__main__":
    main()
