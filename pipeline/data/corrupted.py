"""A split with one corruption, read, corrupted and binned block by block.

Axes: B recording, T time step, C polarity, H row, W column.
"""

from collections.abc import Iterator

import numpy as np

from export.errors import HardspikeError
from pipeline.data.corruptions import (
    ContrastThreshold,
    Corruption,
    corrupted,
    recorded_anew,
    refusal,
)
from pipeline.data.events import Dataset, Events, Progress, bin_events
from pipeline.data.saccade import CHUNK
from pipeline.data.settings import DataSettings, shape_TCHW
from pipeline.data.sources import Listing, Split, listing

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
        HardspikeError: a file or folder is missing or not what it should be, or recordings of this
            source cannot have the corruption.
    """
    refused = refusal(corruption, settings.source)
    if refused is not None:
        raise HardspikeError(refused)
    limit = settings.limit_train if split == "train" else settings.limit_test
    found = listing(settings.source, split, limit)
    spikes_BTCHW = np.empty((len(found), *shape_TCHW(settings)), np.uint8)
    for start in range(0, len(found), _BLOCK):
        positions = range(start, min(start + _BLOCK, len(found)))
        changed = _changed(found, positions, corruption, settings, seed)
        for position, recording in zip(positions, changed, strict=True):
            spikes_BTCHW[position] = bin_events([recording], settings)[0]
            if progress:
                progress(position + 1, len(found))
    return Dataset(spikes_BTCHW, found.labels_B, found.classes, found.names)


def _changed(
    found: Listing, positions: range, corruption: Corruption, settings: DataSettings, seed: int
) -> Iterator[Events]:
    """Yield the corrupted recordings of a block in turn; simulated ones come together, faster."""
    if isinstance(corruption, ContrastThreshold):
        for start in range(positions.start, positions.stop, CHUNK):
            part = range(start, min(start + CHUNK, positions.stop))
            names = [found.names[position] for position in part]
            yield from recorded_anew(names, corruption, settings.source)
        return
    for position, recording in zip(positions, found.read(positions, None), strict=True):
        yield corrupted(recording, corruption, settings, seed, found.names[position])
