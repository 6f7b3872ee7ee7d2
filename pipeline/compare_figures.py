"""The figures of one finished run that a comparison shows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json
from pipeline.accuracy_gain import guess
from pipeline.config import Config
from pipeline.stages import check_current

_ORACLE = "reference"


@dataclass(frozen=True)
class Figures:
    """Accuracies are shares of the test recordings; `seconds` is training alone.

    `deployed` is that of the deployed file on the reference target, `ci95` its Wilson interval
    over `n` recordings. `smooth` is None where training was with a hard forward, `joules` where
    nothing counted them, both those and `flops` in runs of before they were.
    """

    smooth: float | None
    hard: float
    deployed: float
    ci95: tuple[float, float]
    n: int
    classes: int
    bits: int
    synops: float
    seconds: float
    gradient_evaluations: int
    flops: int | None
    joules: float | None
    device: str
    threads: int
    corruptions: Mapping[str, float]

    @property
    def lost(self) -> float | None:
        """The share lost at the swap from smooth to hard."""
        return None if self.smooth is None else self.smooth - self.hard

    @property
    def gained(self) -> float:
        """The share that is deployed above a guess."""
        return self.deployed - guess(self.classes)

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        found = {"lost": self.lost, "gained": self.gained, "corruptions": dict(self.corruptions)}
        return asdict(self) | found


def read_figures(run: Path, config: Config) -> Figures:
    """Read the figures of a run, after holding its files to their manifests. Nothing is written.

    Raises:
        HardspikeError: a stage up to evaluate is missing, out of date or damaged.
    """
    check_current("evaluate", config, run)
    cost = read_json(run / "train" / "cost.json")
    converted = read_json(run / "convert" / "ladder.json")
    evaluated = read_json(run / "evaluate" / "evaluation.json")
    try:
        rungs = {rung["step"]: rung["accuracy"] for rung in converted["ladder"]}
        deployed, joules = evaluated["targets"][_ORACLE], cost.get("joules")
        return Figures(
            smooth=rungs.get("smooth"),
            hard=rungs["hard_float"],
            deployed=deployed["accuracy"],
            ci95=tuple(deployed["ci95"]),
            n=deployed["n"],
            classes=len(converted["classes"]),
            bits=config.convert.weight_bits,
            synops=evaluated["synops_per_sample"],
            seconds=cost["seconds"],
            gradient_evaluations=cost["gradient_evaluations"],
            flops=cost.get("flops"),
            joules=joules if isinstance(joules, int | float) else None,
            device=cost["device"],
            threads=cost["threads"],
            corruptions={
                entry["name"]: entry["accuracy"] for entry in evaluated.get("corruptions", ())
            },
        )
    except (KeyError, TypeError) as error:
        raise HardspikeError(f"{run}: its figures are of another version ({error!r})") from error
