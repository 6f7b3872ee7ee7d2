"""The package neurobench in a folder of its own, and a process that has it on its path.

It is 1.5 MB there, for torch and NumPy are those that run the tests.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.study.packages import Packages

TWIN = Path(__file__).with_name("neurobench_twin.py")
NEUROBENCH = Packages("neurobench", Path(__file__).with_name("neurobench.requirements.txt"))
_LIMIT_S = 240.0


def run_twin(folder: Path) -> None:
    """Let the twin measure the networks in `folder` (see `neurobench_twin`)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TWIN), str(folder)],
        cwd=folder,
        env=NEUROBENCH.environment(),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
