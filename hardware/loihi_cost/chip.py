"""What one Loihi 1 chip holds, and where its cores lie.

Source of the limits: M. Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip
Learning", IEEE Micro 38(1), 82–99, 2018: the chip overview (p. 86) and the four constraints on a
mapping (p. 89). The mesh is that of SANA-FE 2.2.9's `loihi.yaml`, which numbers tiles by columns.
"""

from dataclasses import dataclass

CORES = 128
"""Neuromorphic cores of a chip."""
CORES_PER_TILE = 4
TILES = CORES // CORES_PER_TILE
MESH_HEIGHT = 4
"""Tiles from north to south; eight from west to east."""
COMPARTMENTS = 1024
"""Neurons a core may have (constraint 1, N_cx)."""
SYNAPSE_WORDS, WORD_BITS = 16_384, 64
"""Synaptic memory of a core: 128 KB, N_syn words of 64 bits (constraint 2)."""
OUTPUT_AXONS = 4096
"""Edges to cores that a core's neurons may have: one a neuron and core it reaches (constraint 3,
N_axout). A recurrent neuron's own core is counted too, so that nothing is said to fit that does
not."""
INPUT_AXONS = 4096
"""Distribution lists a core may have: one a neuron that reaches it (constraint 4, N_axin)."""
INDEX_BITS = 10
"""What a sparse synapse says of its target: one of 1,024 compartments. An encoding of ours; the
chip's own is not published to the bit."""


@dataclass(frozen=True)
class Limits:
    """What one core holds: neurons, axons in and out, and words of synaptic memory."""

    compartments: int = COMPARTMENTS
    input_axons: int = INPUT_AXONS
    output_axons: int = OUTPUT_AXONS
    synapse_words: int = SYNAPSE_WORDS


CORE = Limits()
"""A core of Loihi 1."""


def tile_of(core: int) -> int:
    """Return the tile of a core."""
    return core // CORES_PER_TILE


def position(core: int) -> tuple[int, int]:
    """Return the (column, row) of a core's tile in the mesh."""
    return tile_of(core) // MESH_HEIGHT, tile_of(core) % MESH_HEIGHT
