"""The page's sections beside the toolkits: lava-dl's files, single files, hostile files."""

from collections.abc import Iterator, Mapping

from benchmarks.interop_study.part_records import (
    HostilePart,
    ImportedFile,
    NetxPart,
    OnTarget,
    Score,
    SinabsPart,
)
from benchmarks.study.tables import Row, markdown

_NOT_RUN = "Not run yet.\n"
_MEASURED = """`{file}` is the convolutional N-MNIST network of NIR's paper (Pedersen et al. 2024),
which prints 98.5% for it in its own toolkit, sinabs, and 98.2% in lava-dl, on the full test set.
Here it runs on {n} recordings of {recordings}, in {steps} binary bins of 1 ms; intervals are
Wilson's, 95%. By sinabs's default a neuron resets by subtraction and may fire several times in a
step; here it fires once.
"""
_FEATURES = ("bias", "delay", "current", "own decays", "dilation", "groups")


def netx_section(part: NetxPart | None) -> Iterator[str]:
    """Yield the section of files as lava-dl writes them."""
    yield "## Files of lava-dl\n"
    if part is None:
        yield _NOT_RUN
        return
    yield (
        "Random networks of CUBA blocks, written dataset by dataset as lava-dl 0.6.0 writes them, "
        "and every number of every layer held to the reference; see [netx.md](../netx.md).\n"
    )
    rows: list[Row] = [("held to the reference", "files", "equal", "numbers compared")]
    for title, held in (
        ("onnxruntime (sequence and step), and `model.net` read back", part.onnxruntime),
        ("Lava, the files as they are: spikes, currents, membranes", part.lava),
    ):
        rows.append((title, str(held.files), str(held.equal), f"{held.numbers:,}"))
    yield markdown(rows) + "\n"
    yield markdown(list(_blocks(part.blocks))) + "\n"


def _blocks(blocks: Mapping[str, int]) -> Iterator[Row]:
    """Yield how many blocks of a kind there are, and how many of them have what."""
    yield ("block", "in all", *(f"with {feature}" for feature in _FEATURES))
    parted = [(frozenset(name.split("+")), number) for name, number in blocks.items()]
    for kind in sorted({name.split("+")[0] for name in blocks}):
        same = [(names, number) for names, number in parted if kind in names]
        having = [
            sum(number for names, number in same if name in names) for name in (kind, *_FEATURES)
        ]
        yield (kind, *map(str, having))


def sinabs_section(part: SinabsPart | None) -> Iterator[str]:
    """Yield the section of files that other toolkits wrote."""
    yield "## Files that other toolkits wrote\n"
    if part is None:
        yield _NOT_RUN
        return
    rows: list[Row] = [("file", "`--dt`", "nodes", "check", "what is rewritten", "deployed")]
    rows += [_file(file) for file in part.files]
    yield markdown(rows) + "\n"
    for file in part.files:
        if file.measured:
            yield _MEASURED.format(
                file=file.file,
                n=file.measured[0].bits8.n,
                recordings=part.recordings,
                steps=part.steps,
            )
            yield markdown(_measured(file)) + "\n"


def hostile_section(part: HostilePart | None) -> Iterator[str]:
    """Yield the section of damaged and hostile files."""
    yield "## Damaged and hostile files\n"
    if part is None:
        yield _NOT_RUN
        return
    yield (
        f"{part.files} files through `hardspike import` and `hardspike check`; none of the "
        f"commands took more than {part.seconds:.1f} s and {part.peak_bytes >> 20} MiB.\n"
    )
    rows: list[Row] = [
        ("made from, damaged by", "commands", "refused in one line", "legal network", "neither")
    ]
    for kind, ended in (*part.by_kind.items(), ("all", part.commands())):
        rows.append((kind, *map(str, ended.model_dump().values())))
    yield markdown(rows) + "\n"


def _file(file: ImportedFile) -> Row:
    rewrites = "; ".join(f"{node}: {says}" for node, says in file.rewrites.items()) or "nothing"
    if file.cause:
        deployed = f"no: {file.cause}"
    elif file.random:
        deployed = f"on random spikes equal: {_equal(file.random)}"
    else:
        deployed = "yes, see below"
    verdict = "all equal" if file.all_equal else "not all equal"
    return (f"`{file.file}`", f"{file.dt:g}", str(file.nodes), verdict, rewrites, deployed)


def _equal(runs: tuple[OnTarget, ...]) -> str:
    """Return the targets that gave the reference's outputs, and of others what they did."""
    equal = [run.target for run in runs if run.status == "ok"]
    others = [f"{run.target} {run.status}" for run in runs if run.status != "ok"]
    return "; ".join([", ".join(equal) or "none", *others])


def _measured(file: ImportedFile) -> list[Row]:
    rows: list[Row] = [("reset", "network", "accuracy", "recordings", "outputs as the reference's")]
    for one in file.measured:
        rows.append((one.reset, "float", *_score(one.hard_float), "–"))
        rows.append((one.reset, "8 bits", *_score(one.bits8), "–"))
        for run in one.targets:
            scored = _score(run.score) if run.score else ("–", "0")
            found = run.reason if run.agreement is None else f"{100 * run.agreement:.6g}%"
            found += f": {run.reason}" if run.status == "approximated" else ""
            rows.append((one.reset, f"8 bits on {run.target}", *scored, found))
    return rows


def _score(score: Score) -> tuple[str, str]:
    low, high = (100 * end for end in score.ci95)
    return f"{100 * score.accuracy:.1f}% ({low:.1f}–{high:.1f})", str(score.n)
