"""Opening a page in the user's browser."""

import webbrowser
from pathlib import Path

from pipeline.progress import Reporter


def open_page(page: Path, reporter: Reporter) -> None:
    """Open a file in the browser; where there is none, say in a line where the file lies."""
    try:
        opened = webbrowser.open(page.resolve().as_uri())
    except (webbrowser.Error, OSError):
        opened = False
    if not opened:
        reporter.line(f"no browser to be had here: open {page} in one")
