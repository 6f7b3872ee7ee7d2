"""Runs Lava's own `LIFRefractory` in its environment: JSON in, JSON out.

In: a list of cases, each `inputs_NT` (what reaches each neuron at each step), `dv`, `vth` and
`period`. Out: of each, `spikes_NT` and `membranes_NT`, after the reset.
"""

import json
import sys
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi1SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.lif.process import LIFRefractory
from lava.proc.monitor.process import Monitor


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Run the neurons of one case over all steps."""
    inputs_NT = np.array(asked["inputs_NT"], float)
    neurons, steps = inputs_NT.shape
    source, sink = Source(data=inputs_NT), Sink(shape=(neurons,), buffer=steps)
    lif = LIFRefractory(
        shape=(neurons,), du=1, dv=asked["dv"], vth=asked["vth"], refractory_period=asked["period"]
    )
    monitor = Monitor()
    monitor.probe(lif.v, steps)
    source.s_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    lif.run(RunSteps(num_steps=steps), Loihi1SimCfg(select_tag="floating_pt"))
    spikes_NT = np.asarray(sink.data.get())
    membranes_TN = np.asarray(monitor.get_data()[lif.name]["v"])
    lif.stop()
    return {"spikes_NT": spikes_NT.tolist(), "membranes_NT": membranes_TN.T.tolist()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([run(case) for case in json.load(sys.stdin)]))
