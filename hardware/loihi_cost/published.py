"""An estimate from published figures an operation, without a simulator.

M. Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro
38(1), 82–99, 2018, Table 2 (p. 96): "pre-silicon performance and energy measurements" from SDF and
SPICE simulations at 0.75 V, "consistent with early post-silicon characterization" (p. 95). Two rows
are ends of a range: a synaptic operation takes at least 23.6 pJ and at most 3.5 ns. The table does
not say what an active neuron is; here it is one with something to update (`operations`). It has no
row for leakage, for finding a spike's synapses, or for the energy of a barrier.

    energy  = ops · 23.6 pJ + active · 81 pJ + inactive · 52 pJ
            + messages · 1.7 pJ + row hops · 4.0 pJ + column hops · 3.0 pJ
    time    = Σ over steps of [ max over cores (active · 8.4 ns + inactive · 5.3 ns + ops · 3.5 ns)
            + barrier ]
    barrier = 113 ns on one tile to 465 ns on 32, linear between them (ours)

A core is taken to do one thing after another and the cores to work side by side; the mesh, at most
48 ns from end to end, is taken to be hidden behind them.

Axes: `S` step of the chip, `C` core.
"""

from hardware.loihi_cost.chip import TILES
from hardware.loihi_cost.operations import Operations

SYNAPTIC_OPERATION_J, SYNAPTIC_OPERATION_S = 23.6e-12, 3.5e-9
ACTIVE_UPDATE_J, ACTIVE_UPDATE_S = 81e-12, 8.4e-9
INACTIVE_UPDATE_J, INACTIVE_UPDATE_S = 52e-12, 5.3e-9
SPIKE_J = 1.7e-12
COLUMN_HOP_J = 3.0e-12
"""From one column of tiles to the next, east or west."""
ROW_HOP_J = 4.0e-12
"""From one row of tiles to the next, north or south."""
BARRIER_S = (113e-9, 465e-9)
"""The barrier at the end of a step, on one tile and on all 32."""


def published_energy(counted: Operations) -> dict[str, float]:
    """Return the joules of one recording by part."""
    hops = counted.column_hops_S.sum() * COLUMN_HOP_J + counted.row_hops_S.sum() * ROW_HOP_J
    parts = {
        "synapse": counted.synaptic_SC.sum() * SYNAPTIC_OPERATION_J,
        "soma": counted.active_SC.sum() * ACTIVE_UPDATE_J
        + counted.inactive_SC.sum() * INACTIVE_UPDATE_J,
        "network": counted.messages_S.sum() * SPIKE_J + hops,
    }
    return {part: float(joules) for part, joules in parts.items()} | {
        "total": float(sum(parts.values()))
    }


def published_seconds(counted: Operations) -> dict[str, float]:
    """Return the seconds of one recording: computing, synchronisation, and both."""
    busy_SC = (
        counted.active_SC * ACTIVE_UPDATE_S
        + counted.inactive_SC * INACTIVE_UPDATE_S
        + counted.synaptic_SC * SYNAPTIC_OPERATION_S
    )
    computing = float(busy_SC.max(axis=1).sum())
    waiting = len(busy_SC) * barrier_seconds(counted.tiles)
    return {"computing": computing, "synchronisation": waiting, "total": computing + waiting}


def barrier_seconds(tiles: int) -> float:
    """Return the seconds of one barrier over `tiles` tiles."""
    least, most = BARRIER_S
    return least + (most - least) * (tiles - 1) / (TILES - 1)
