"""SANA-FE itself, in its own process: the same spikes, the same counts, its own prices."""

import os
import signal
import time

import numpy as np
import psutil  # type: ignore[import-untyped, unused-ignore]
import pytest

from export.errors import HardspikeError
from hardware.loihi_cost.mapping import map_network
from hardware.loihi_cost.operations import operations
from hardware.loihi_cost.simulated import PRICES_PJ, SANAFE, WORKER, simulate
from hardware.reference import run_fixed
from tests.hardware.loihi_cost import small

UNAVAILABLE = SANAFE.availability().reason

pytestmark = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))


def test_spikes_and_counts_are_the_references_and_energy_is_price_times_count() -> None:
    network = small.network(2, share=0.9)
    spikes = small.recordings(network, 4)
    inputs_BTN = spikes.reshape(*spikes.shape[:2], -1)
    expected = [inputs_BTN, *run_fixed(network, spikes).spikes_BTN.values()]
    assert all(0 < layer.mean() < 1 for layer in expected)
    mapping = map_network(network)
    seen: list[tuple[int, int]] = []
    found = simulate(network, mapping, inputs_BTN, progress=lambda *done: seen.append(done))
    for ours, theirs in zip(expected, found.layers_BTN, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found.strays == 0
    assert seen[-1] == (4, 4)
    assert found.versions["sanafe"] == "2.2.9"
    assert found.sync_s == 0.6e-6
    assert (found.seconds_BS > found.sync_s).all()
    for one in range(4):
        counted = operations(network, mapping, [layer[one] for layer in expected])
        totals, sent = counted.totals(), int(inputs_BTN[one].sum())
        for key in ("synaptic_operations", "spikes", "messages", "hops"):
            assert found.counts[key][one] == totals[key], key
        assert found.counts["updates"][one] == totals["active_updates"] + sent
        fired = totals["spikes"] - sent
        synapse = sum(
            int(layer[one].sum(axis=0) @ np.bincount(links.sources_E, minlength=links.sources))
            * PRICES_PJ["synapse"][links.format]
            for layer, links in zip(expected, mapping.connections, strict=False)
        )
        soma = PRICES_PJ["soma"]
        updates = totals["active_updates"] + totals["inactive_updates"]
        neurons = updates * soma["access"] + totals["active_updates"] * soma["update"]
        network_pj = totals["messages"] * PRICES_PJ["network"]["message"]
        by_hand = np.array([synapse, 0, neurons + fired * soma["spike"], network_pj]) * 1e-12
        np.testing.assert_allclose(found.energy_BSP[one].sum(axis=0), by_hand, rtol=1e-9)


def test_lock_names_the_version_that_the_label_is_about() -> None:
    assert SANAFE.locked_versions() == "sanafe 2.2.9"


def own_workers() -> list[psutil.Process]:
    """SANA-FE's workers among this process's children."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if str(WORKER) in child.cmdline()]


def test_a_killed_worker_is_one_line() -> None:
    network = small.network(2)
    spikes = small.recordings(network, 5000)

    def strike(done: int, total: int) -> None:
        for worker in own_workers():
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(HardspikeError, match="worker was killed by SIGKILL") as caught:
        simulate(network, map_network(network), spikes.reshape(5000, 6, -1), progress=strike)
    assert "\n" not in str(caught.value)
    assert own_workers() == []


def test_a_worker_out_of_time_is_ended_in_one_line() -> None:
    network = small.network(2)
    inputs_BTN = small.recordings(network, 2).reshape(2, 6, -1)
    began = time.monotonic()
    with pytest.raises(HardspikeError, match=r"no result within 0\.2 s and was ended") as caught:
        simulate(network, map_network(network), inputs_BTN, timeout_s=0.2)
    assert "\n" not in str(caught.value)
    assert own_workers() == []
    assert time.monotonic() - began < 60


def test_a_failure_inside_the_worker_is_one_line() -> None:
    network = small.network(2)
    inputs_BTN = small.recordings(network, 2).reshape(2, 6, -1)
    with pytest.raises(HardspikeError, match=r"SANA-FE's worker failed \(IndexError") as caught:
        simulate(network, map_network(small.network(2)), np.repeat(inputs_BTN, 2, axis=2))
    assert "\n" not in str(caught.value)
