"""What the study's parts beside the toolkits found, as it stands in `docs/studies/interop.json`."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from export.network import Reset

Share = Annotated[float, Field(ge=0, le=1)]
Number = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """What all of the study's records are: strict, complete, unchangeable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Held(Record):
    """Files held to the reference: how many were tried and are equal, and the numbers compared."""

    files: Number
    equal: Number
    numbers: Number
    differences: tuple[str, ...]


class NetxPart(Record):
    """Files as lava-dl writes them: through ONNX Runtime, through Lava, and blocks by kind."""

    onnxruntime: Held
    lava: Held
    blocks: dict[str, Number]


class Score(Record):
    """A share of recordings with its 95% Wilson interval."""

    accuracy: Share
    ci95: tuple[Share, Share]
    n: Annotated[int, Field(ge=1)]


class OnTarget(Record):
    """What a deployed network did on a target.

    `agreement` is the share of outputs, every neuron and step, that are the reference's; it and
    `score` are None where the network did not run. Random spikes have no `score`.
    """

    target: str
    version: str
    status: str
    recordings: Number
    agreement: Share | None = None
    score: Score | None = None
    reason: str = ""


class Measured(Record):
    """An imported network on recordings: hard float, 8 bits, and the files on every target."""

    reset: Reset
    hard_float: Score
    bits8: Score
    targets: tuple[OnTarget, ...]


class ImportedFile(Record):
    """A file of another toolkit: what `check` says of it, and what its deployed files do.

    `rewrites` are node → what it says. `cause` is the line at which it stopped, empty where it was
    deployed. `random` are runs on random spikes.
    """

    file: str
    sha256: str
    dt: float
    nodes: Number
    all_equal: bool
    rewrites: dict[str, str]
    compared: str
    cause: str = ""
    measured: tuple[Measured, ...] = ()
    random: tuple[OnTarget, ...] = ()


class SinabsPart(Record):
    """The files, and the recordings that the measured one of them ran on."""

    recordings: str
    steps: Annotated[int, Field(ge=1)]
    files: tuple[ImportedFile, ...]


class Ended(Record):
    """How commands ended: in one clear line and status 2, in a legal network, or in neither."""

    tried: Number
    refused: Number
    legal: Number
    failed: Number

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.tried != self.refused + self.legal + self.failed:
            raise ValueError(f"tried: found {self.tried}, allowed the sum of the others")
        return self


class HostilePart(Record):
    """Damaged and hostile files through `import` and `check`, two commands a file.

    `seconds` and `peak_bytes` are the most that one command took.
    """

    files: Number
    seed: Number
    by_kind: dict[str, Ended]
    seconds: Annotated[float, Field(ge=0)]
    peak_bytes: Number
    failures: dict[str, str]

    def commands(self) -> Ended:
        """Return the counts of all commands."""
        names = Ended.model_fields
        kinds = self.by_kind.values()
        return Ended(**{name: sum(getattr(one, name) for one in kinds) for name in names})


def hostile_headline(part: HostilePart | None) -> dict[str, Any] | None:
    """Return the number of files, and how their commands ended."""
    return None if part is None else {"files": part.files, **part.commands().model_dump()}


def netx_headline(part: NetxPart | None) -> dict[str, Any] | None:
    """Return files tried and equal."""
    if part is None:
        return None
    lava = {"tried": part.lava.files, "equal": part.lava.equal}
    return {
        "tried": part.onnxruntime.files,
        "equal": part.onnxruntime.equal,
        "through_lava": lava,
    }


def sinabs_headline(part: SinabsPart | None) -> dict[str, Any] | None:
    """Return the accuracies of the file that was measured, resets to zero."""
    for file in part.files if part else ():
        for one in file.measured:
            if one.reset == "zero":
                return {
                    "float": one.hard_float.accuracy,
                    "float_ci95": one.hard_float.ci95,
                    "bits8": one.bits8.accuracy,
                    "bits8_ci95": one.bits8.ci95,
                    "n": one.bits8.n,
                    "equal_on": {
                        found.target: found.recordings
                        for found in one.targets
                        if found.agreement == 1
                    },
                }
    return None


def netx_faults(part: NetxPart | None) -> list[str]:
    """Return a line for every file that differs."""
    if part is None:
        return []
    return [
        f"netx through {name}: {line}"
        for name, held in (("onnxruntime", part.onnxruntime), ("lava", part.lava))
        for line in held.differences
    ]


def sinabs_faults(part: SinabsPart | None) -> list[str]:
    """Return a line for every target that did not run or differs.

    One that runs what stands in for the network was asked to, and held to its own file.
    """
    found = []
    for file in part.files if part else ():
        runs = [*file.random, *(run for one in file.measured for run in one.targets)]
        found += [
            f"{file.file} on {run.target}: {run.status}: {run.reason}"
            for run in runs
            if run.status not in ("ok", "approximated")
        ]
    return found


def hostile_faults(part: HostilePart | None) -> list[str]:
    """Return a line for every command that ended in neither a line nor a network."""
    return [f"hostile: {name}: {why}" for name, why in (part.failures if part else {}).items()]
