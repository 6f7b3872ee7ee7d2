"""A split with one corruption, read, corrupted and binned block by block.

Axes: B recording, T time step, C polarity, H row, W column.
"""

import numpy as np

from pipeline.data.corruptions import Corruption, corrupted
from pipeline.data.events import Dataset, Progress, bin_events
from pipeline.data.settings import DataSettings, shape_TCHW
from pipeline.data.sources import Split, listing

# Bounds the original events in memory; of the corrupted ones there is one recording at a time.
_BLOCK = 500


def load_corrupted(
    settings: DataSettings,
    split: Split,
    corruption: Corruption,
    seed: int,
    progress: Progress | None = None,
) -> Dataset:
    """Read the recordings that `load_dataset` reads, in the same order, each with the corruption.

    Raises:
        HardspikeError: a file or folder is missing or not what it should be.
    """
    limit = settings.limit_train if split == "train" else settings.limit_test
    found = listing(settings.source, split, limit)
    spikes_BTCHW = np.empty((len(found), *shape_TCHW(settings)), np.uint8)
    for start in range(0, len(found), _BLOCK):
        positions = range(start, min(start + _BLOCK, len(found)))
        for position, recording in zip(positions, found.read(positions, None), strict=True):
            name = found.names[position]
            changed = corrupted(recording, corruption, settings, seed, name)
            spikes_BTCHW[position] = bin_events([changed], settings)[0]
            if progress:
                progress(position + 1, len(found))
    return Dataset(spikes_BTCHW, found.labels_B, found.classes, found.names)
