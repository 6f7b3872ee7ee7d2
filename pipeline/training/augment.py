"""Moving training recordings about, so that a network learns shapes and not places.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import numpy as np
from numpy.typing import NDArray


def shift_at_random(
    spikes_BTCHW: NDArray[np.uint8], pixels: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the recordings each moved by up to `pixels` in both directions; the edge is empty.

    One offset a recording, uniform over −pixels … pixels in rows and in columns, the same at every
    time step.
    """
    if pixels == 0:
        return spikes_BTCHW
    height, width = spikes_BTCHW.shape[-2:]
    margin = [(0, 0)] * 3 + [(pixels, pixels)] * 2
    padded = np.pad(spikes_BTCHW, margin)
    offsets_B2 = generator.integers(0, 2 * pixels + 1, (len(spikes_BTCHW), 2))
    return np.stack(
        [
            recording[:, :, row : row + height, column : column + width]
            for recording, (row, column) in zip(padded, offsets_B2, strict=True)
        ]
    )
