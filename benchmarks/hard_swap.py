"""What the hard threshold costs: plain surrogate-forward training against SAST, fold by fold.

    python -m benchmarks.hard_swap [--config FILE] [--folds N] [--seeds N] [--set a.b=VALUE …]

Trains and converts the experiment with ρ = 0 and with its own ρ, each on every fold, and prints
smooth, hard float and 8-bit accuracy and the loss at the swap (smooth − hard float, in points).
Every combination is an ordinary run folder below `--out`; what is there is not run again.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from export.errors import EXIT_STATUS, HardspikeError
from export.files import read_json, write_json
from pipeline.config_file import load_config
from pipeline.progress import Reporter
from pipeline.stages import run_stages

_STEPS = ("smooth", "hard_float", "fixed_point")


def ladder_of(config: Path, overrides: Sequence[str], run: Path) -> list[float]:
    """Train and convert one combination; return its accuracies in percent by step."""
    experiment = load_config(config, overrides)
    run_stages(experiment, run, ("train", "convert"), Reporter(quiet=True))
    rungs = {entry["step"]: entry for entry in read_json(run / "convert/ladder.json")["ladder"]}
    return [100 * rungs[step]["accuracy"] for step in _STEPS]


def measure(options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Return arm → one row of accuracies for each fold and seed."""
    arms: dict[str, list[str]] = {"plain": ["train.rho=0"], "sast": []}
    rows: dict[str, list[list[float]]] = {name: [] for name in arms}
    for seed in range(options.seeds):
        for fold in range(options.folds):
            for name, changes in arms.items():
                split = [f"data.source.folds={options.folds}", f"data.source.fold={fold}"]
                overrides = [*split, f"seed={seed}", *options.overrides, *changes]
                run = options.out / f"{name}-fold{fold}-seed{seed}"
                rows[name].append(ladder_of(options.config, overrides, run))
                smooth, hard, fixed = rows[name][-1]
                print(f"  {name:<6} fold {fold} seed {seed}: {smooth:.1f} {hard:.1f} {fixed:.1f}")
    return rows


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/nmnist-1k.yaml"))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--out", type=Path, default=Path("runs/hard-swap"))
    options = parser.parse_args()
    try:
        rows = measure(options)
    except HardspikeError as error:
        print(f"hardspike: {error}", file=sys.stderr)
        return EXIT_STATUS
    print(f"{options.config.stem}, {len(rows['plain'])} runs an arm, mean ± standard deviation, %")
    for name, found in rows.items():
        columns = [*zip(*found, strict=True), [row[0] - row[1] for row in found]]
        cells = [f"{statistics.mean(column):.1f} ± {_spread(column)}" for column in columns]
        texts = zip((*_STEPS, "lost at the swap"), cells, strict=True)
        print(f"  {name:<6} " + "  ".join(f"{label} {cell}" for label, cell in texts))
    write_json(options.out / "hard-swap.json", rows)
    return 0


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.stdev(values):.1f}" if len(values) > 1 else "–"


if __name__ == "__main__":
    sys.exit(main())
