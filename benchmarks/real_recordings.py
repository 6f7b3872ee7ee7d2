"""How a network that was trained on simulated recordings does on real ones.

    python -m benchmarks.real_recordings runs/quickstart [--root FOLDER] [--json]

Runs the deployed files of a run over all recordings of a folder tree `{Train,Test}/<digit>/*.bin`,
by default N-MNIST-1k in `shared/data/nmnist-1k` beside the checkout, with the run's own binning.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import EXIT_STATUS, HardspikeError
from export.network import decide
from export.netx_file import read_netx
from hardware.targets import TARGETS, TargetOptions
from pipeline.data.settings import DIGIT_CLASSES, DIGITS_AVAILABLE, Folder, SaccadeMnist
from pipeline.data.sources import load_dataset
from pipeline.metrics import score
from pipeline.run_dir import StageFolder
from pipeline.stages import load_run

NMNIST_1K = Path(__file__).resolve().parents[2] / "shared" / "data" / "nmnist-1k"
_TARGETS = ("reference", "onnxruntime")


def measure(run: Path, root: Path) -> dict[str, object]:
    """Return the accuracy of a run's deployed files on every recording below `root`."""
    config = load_run(run)
    deployed = StageFolder(run, "deploy")
    deployed.verify()
    source = Folder(kind="folder", root=str(root))
    settings = config.data.model_copy(
        update={"source": source, "limit_train": None, "limit_test": None}
    )
    splits = [load_dataset(settings, "train"), load_dataset(settings, "test")]
    spikes = np.concatenate([split.spikes_BTCHW for split in splits])
    labels = np.concatenate([split.labels_B for split in splits])
    readout = read_netx(deployed.path / "model.net").readout
    results: dict[str, object] = {"root": root.name, "n": len(labels)}
    for name in _TARGETS:
        outputs = TARGETS[name](TargetOptions()).run(deployed.path, spikes).outputs_BTN
        results[name] = score(decide(outputs, readout), labels)
    trained = config.data.source
    if isinstance(trained, SaccadeMnist) and root == NMNIST_1K:
        results["digits_seen"] = _digits_seen(labels, trained)
    return results


def _digits_seen(labels: NDArray[np.int64], trained: SaccadeMnist) -> int:
    """Return how many of N-MNIST-1k's digits are in the training split.

    N-MNIST-1k has the first digits of MNIST, saccade-mnist the first 500 of each class in the same
    order, of which the training split takes the last.
    """
    first = (DIGITS_AVAILABLE - trained.train) // DIGIT_CLASSES
    return int(np.maximum(np.bincount(labels, minlength=DIGIT_CLASSES) - first, 0).sum())


def main() -> int:
    """Print the figures; exit status 2 with one line where the recordings are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--root", type=Path, default=NMNIST_1K)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        results = measure(options.run, options.root)
    except HardspikeError as error:
        print(f"hardspike: {error}", file=sys.stderr)
        return EXIT_STATUS
    if options.json:
        print(json.dumps(results, indent=2))
        return 0
    print(f"{options.run} on the {results['n']} real recordings of {results['root']}:")
    for name in _TARGETS:
        found = results[name]
        assert isinstance(found, dict)
        low, high = found["ci95"]
        print(
            f"  {name:<12} {100 * found['accuracy']:.1f}%  (95% {100 * low:.1f}–{100 * high:.1f}%)"
        )
    if "digits_seen" in results:
        print(f"  {results['digits_seen']} of them are of digits in the training split")
    return 0


if __name__ == "__main__":
    sys.exit(main())
