"""A real browser, driven over Chromium's own pipe: messages in JSON, one ended by a zero byte."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
_SECONDS = 120
_LAUNCH = """
import os, sys
for place, end in ((103, sys.argv[1]), (104, sys.argv[2]), (3, 103), (4, 104)):
    os.dup2(int(end), place)
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads from file descriptor 3 and writes to 4, which a pipe's own ends may be."""


def chromium() -> str | None:
    """Return the program, None where there is none."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next(filter(None, found), None)


class Browser:
    """One page of a running Chromium; `faults` is all that its console and its policy complain."""

    def __init__(self, sent: int, received: int) -> None:
        self._sent, self._received, self._rest = sent, received, b""
        self._last, self._session = 0, None
        self.faults: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the DevTools protocol and return its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._sent, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._last:
                assert "error" not in found, (method, found)
                return found["result"]

    def open(self, page: Path, width: int, scheme: str = "light") -> None:
        """Open a file at a window's width, in a light or dark scheme, and wait until it stands."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=page.as_uri())
        ends = time.monotonic() + _SECONDS
        while self.run("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < ends, "the page does not load"

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def settle(self) -> None:
        """Wait until what was asked for is drawn: two frames."""
        frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.call("Runtime.evaluate", expression=f"{frames}.then(() => 1)", awaitPromise=True)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._received], [], [], _SECONDS)
            assert ready, "Chromium does not answer"
            read = os.read(self._received, 1 << 16)
            assert read, "Chromium ended"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        self._note(found.get("method"), found.get("params", {}))
        return found

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.faults.append(json.dumps(params)[:500])
            case "Log.entryAdded":
                self.faults.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("file:", "data:", "about:")):
                    self.faults.append(f"asked for {url}")


@contextmanager
def browsing(program: str, profile: Path) -> Iterator[Browser]:
    """Run a Chromium of its own and end it afterwards."""
    theirs, ours = os.pipe(), os.pipe()
    command = [program, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, str(theirs[0]), str(ours[1]), *command],
        pass_fds=(theirs[0], ours[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs[0])
    os.close(ours[1])
    try:
        browser = Browser(theirs[1], ours[0])
        yield browser
        browser._session = None
        browser.call("Browser.close")
        process.wait(_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(theirs[1])
        os.close(ours[0])
