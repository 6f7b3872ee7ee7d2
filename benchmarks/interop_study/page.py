"""The study's page: a table a toolkit, what each departure is called, and the other parts."""

from collections.abc import Iterator

from benchmarks.interop_study.ours import PREPARATIONS
from benchmarks.interop_study.part_pages import hostile_section, netx_section, sinabs_section
from benchmarks.interop_study.record import Cell, Study, count
from benchmarks.interop_study.settings import COUNT, STEPS, TOOLKITS, Toolkit
from benchmarks.study.tables import Row, markdown

_HEAD = """# Networks of other toolkits

*Written by `make study-interop`; what it rests on is in [interop.md](../interop.md).*

Four toolkits and NIR, then [files of lava-dl](#files-of-lava-dl),
[files that other toolkits wrote](#files-that-other-toolkits-wrote) and
[damaged and hostile files](#damaged-and-hostile-files).

A network is run twice on the same input, {count} recordings of {steps} steps: where it comes
from, and from its file on the other side. *Theirs to ours* is a toolkit's network, its own export
and `hardspike import`, told the toolkit's step and that resets are to v_reset; then told
`--from TOOLKIT`, and what the network's user knows of it. *Ours to theirs* is our file in the
toolkit's reader, as written and, where that helps, prepared. Every spike of every layer is
compared, of readouts the membrane. Where they differ the smallest set of known departures
from NIR's plain reading is searched with which all of them are equal; so each one named is needed,
and together they suffice. A float32 decision whose membrane in float64 is within 1e-5 of the
threshold is rounding, and is counted as such.
"""


def page(study: Study) -> str:
    """Return the page in Markdown."""
    head = _HEAD.format(count=COUNT, steps=STEPS)
    return "\n".join([head, *_parts(study)])


def _parts(study: Study) -> Iterator[str]:
    yield markdown(_summary(study)) + "\n"
    for toolkit in TOOLKITS:
        yield f"## {toolkit.title}\n"
        if toolkit.name in study.absent:
            yield f"Not run: {study.absent[toolkit.name]}\n"
        if toolkit.name not in study.versions:
            continue
        versions = ", ".join(f"{name} {one}" for name, one in study.versions[toolkit.name].items())
        yield f"With {versions}.\n"
        yield markdown(_rows(study, toolkit)) + "\n"
    yield "## What the departures are\n"
    texts = {change.name: change.text for toolkit in TOOLKITS for change in toolkit.changes}
    yield markdown([("name", "the toolkit …"), *sorted(texts.items())]) + "\n"
    yield "## What the preparations are\n"
    prepared = {one.name: one.text for found in PREPARATIONS.values() for one in found}
    yield markdown([("name", "our file with …"), *sorted(prepared.items())]) + "\n"
    yield from netx_section(study.netx)
    yield from sinabs_section(study.sinabs)
    yield from hostile_section(study.hostile)


def _summary(study: Study) -> list[Row]:
    rows: list[Row] = [
        (
            "toolkit",
            "direction",
            "equal",
            "reason named",
            "… equal with `--from`",
            "refused",
            "… by the import",
            "unexplained",
        )
    ]
    for toolkit in TOOLKITS:
        for direction in ("theirs to ours", "ours to theirs"):
            cells = tuple(
                cell
                for cell in study.cells
                if (cell.toolkit, cell.direction) == (toolkit.name, direction)
            )
            rows.append((toolkit.title, direction, *map(str, count(cells).values())))
    return rows


def _rows(study: Study, toolkit: Toolkit) -> list[Row]:
    rows: list[Row] = [("direction", "network", "spikes", "differ as they are", "first")]
    for cell in study.cells:
        if cell.toolkit == toolkit.name:
            name = f"{cell.network}, {cell.prepared}" if cell.prepared else cell.network
            share = f"{cell.differing:,} of {cell.places:,}" if cell.places else "–"
            rows.append((cell.direction, name, verdict(cell), share, cell.first or "–"))
    return rows


def verdict(cell: Cell) -> str:
    """Return a cell's outcome in words."""
    match cell.status:
        case "equal":
            return "equal"
        case "explained":
            words = [*cell.changes]
            if cell.cause:
                words.append("refused without `--from`")
            if cell.options:
                words.append(f"**equal with `{cell.options}`**")
            elif cell.told:
                words.append(f"with `{cell.told}` {_told(cell)}")
            if cell.rounded:
                words.append(f"rounding ({cell.rounded}, within {cell.margin:.0e})")
            return "equal but for: " + ", ".join(words)
        case "refused":
            named = f"; equal but for: {', '.join(cell.changes)}" if cell.changes else ""
            return f"refused – {_inert(cell.cause)}{named}"
        case "unexplained":
            return f"**unexplained** – {_inert(cell.cause)}"


def _told(cell: Cell) -> str:
    """Return how a cell comes out that `--from` does not make equal."""
    says = f"`check` says {_inert(cell.check)}"
    if cell.told_differing is None:
        return f"refused: {says}"
    return f"{cell.told_differing:,} differ, first at {cell.told_first}, of which {says}"


def _inert(text: str) -> str:
    """Return a toolkit's words as text that Markdown leaves alone."""
    return "`" + text.replace("`", "'").replace("|", "/") + "`"
