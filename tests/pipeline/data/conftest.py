"""Recordings made by hand, the real data beside the checkout, and a cache of the tests' own."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

Event = tuple[int, int, int, int]
WriteEvents = Callable[[Path, Sequence[Event]], Path]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARDSPIKE_CACHE", str(folder))
        yield folder


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data beside the checkout is absent")
    return folder


@pytest.fixture
def write_events() -> WriteEvents:
    """Write events (x, y, time in µs, polarity) in N-MNIST's five bytes each."""

    def write(path: Path, events: Sequence[Event]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            b"".join(bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for x, y, t, p in events)
        )
        return path

    return write
