"""What `hardspike data` shows: the figures of each split and a contact sheet."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.data.settings import DataSettings
from pipeline.data.sources import Split, load, load_dataset
from pipeline.data.summary import Description, contact_sheet, describe
from pipeline.progress import Reporter

SPLITS: tuple[Split, ...] = ("train", "test")


def inspect_data(config: Config, sheet: Path, reporter: Reporter) -> dict[str, Description]:
    """Describe both splits and write the training split's contact sheet to `sheet`."""
    described: dict[str, Description] = {
        split: _describe(config.data, split, reporter) for split in SPLITS
    }
    with reporter.bar("contact sheet", "recordings") as progress:
        contact_sheet(load_dataset(config.data, "train", progress), sheet)
    return described


def _describe(settings: DataSettings, split: Split, reporter: Reporter) -> Description:
    limit = settings.limit_train if split == "train" else settings.limit_test
    with reporter.bar(split, "recordings") as progress:
        return describe(load(settings.source, split, progress, limit), settings)


def as_json(described: dict[str, Description], sheet: Path) -> dict[str, Any]:
    """Return the figures as plain values."""
    return {split: asdict(found) for split, found in described.items()} | {"sheet": str(sheet)}


def rows(described: dict[str, Description]) -> list[Sequence[str]]:
    """Return the figures as a table, header first."""
    found = [described[split] for split in SPLITS]
    lines: list[Sequence[str]] = [("", *SPLITS)]

    def add(name: str, cells: Sequence[str]) -> None:
        lines.append((name, *cells))

    add("recordings", [f"{one.recordings:,}" for one in found])
    add("events a recording", [f"{one.events_mean:,.0f} ± {one.events_sd:,.0f}" for one in found])
    add("fewest, most", [f"{one.events_min:,}, {one.events_max:,}" for one in found])
    add("ON fraction", [f"{one.on_fraction:.3f}" for one in found])
    lengths = [f"{one.duration_mean_ms:.0f}, up to {one.duration_max_ms:.0f}" for one in found]
    add("length, ms", lengths)
    add("window, ms", [f"{one.window_ms:.0f} in steps of {one.step_ms:.1f}" for one in found])
    add("events in the window", [f"{100 * one.in_window:.1f}%" for one in found])
    add("spikes that are not zero", [f"{100 * one.density:.2f}%" for one in found])
    for name in found[0].per_class:
        add(f"class {name}", [f"{one.per_class.get(name, 0):,}" for one in found])
    return lines
