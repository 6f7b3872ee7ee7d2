"""The contract's refractory period is that of Lava's own `LIFRefractory`, which floats."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.network import LIF, Dense, Layer
from hardware.loihi import environment
from hardware.reference import float_layer

UNAVAILABLE = environment.availability().reason
SCRIPT = Path(__file__).with_name("lava_refractory.py")
CASES = ((1, 0.0), (2, 0.25), (5, 0.0), (5, 0.5), (40, 0.0))
"""Period, and the share of the membrane that a step takes: exact in floating point."""
NEURONS, STEPS, THRESHOLD = 6, 40, 10.0


@pytest.mark.loihi
@pytest.mark.timeout(300)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_spikes_and_membranes_equal_lavas() -> None:
    random = np.random.default_rng(3)
    inputs = [random.integers(-3, 9, (NEURONS, STEPS)).astype(np.float64) for _ in CASES]
    asked = [
        {"inputs_NT": inputs_NT.tolist(), "dv": dv, "vth": THRESHOLD, "period": period}
        for inputs_NT, (period, dv) in zip(inputs, CASES, strict=True)
    ]
    python, _ = environment.prepare()
    done = subprocess.run(
        [python, SCRIPT],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    silent, rates = Dense(np.zeros((NEURONS, 1))), []
    cases = zip(inputs, CASES, json.loads(done.stdout), strict=True)
    for inputs_NT, (period, dv), found in cases:
        layer = Layer("", silent, LIF(1 - dv, THRESHOLD, refractory=period))
        spikes_BTN, before_BTN = float_layer(inputs_NT.T[None], 0.0, layer)
        after_TN = np.where(spikes_BTN[0], 0, before_BTN[0])
        np.testing.assert_array_equal(np.array(found["spikes_NT"]).T, spikes_BTN[0])
        np.testing.assert_array_equal(np.array(found["membranes_NT"]).T, after_TN)
        rates.append(float(spikes_BTN.mean()))
    assert min(rates) > 0
    assert rates[0] > rates[2] > rates[4]
