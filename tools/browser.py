"""Pages in headless Chromium: script errors, missing pictures, and what they load from elsewhere.

`python tools/browser.py site/index.html report.html`

It speaks Chromium's DevTools protocol over a pair of pipes, so that it needs no driver and no library.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import monotonic

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--remote-debugging-pipe",
]
# A picture that has not arrived, or could not be decoded, has no width.
MISSING_PICTURES = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src.slice(0, 200))"
# Chromium reads descriptor 3 and writes to 4.
START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
LIMIT = 60.0  # seconds for one answer


def executable() -> str | None:
    """The path of an installed Chromium, or `None`."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab of a running Chromium."""

    def __init__(self, write: int, read: int):
        self._write, self._read = write, read
        self._buffer, self._count, self._session = b"", 0, None
        self.events: list[tuple[str, dict]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters) -> dict:
        """Calls a method of the protocol and waits for its answer; events that come before it are kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"Chromium refused {method}: {answer['error']['message']}")
                return answer["result"]

    def wait_for(self, event: str) -> None:
        while all(name != event for name, _ in self.events):
            self._receive()

    def evaluate(self, expression: str):
        """The value of a JavaScript expression, or of the promise that it is."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails'].get('exception', {}).get('description')}")
        return found["result"].get("value")

    def problems(self, page: Path) -> list[str]:
        """Opens a page from the disk and says what is wrong with it."""
        self.events = []
        self.send("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("Page.loadEventFired")
        missing = self.evaluate(MISSING_PICTURES)
        return [
            *filter(None, (problem_of(*event) for event in self.events)),
            *(f"missing picture {m}" for m in missing),
        ]

    def _receive(self) -> dict:
        end = monotonic() + LIMIT
        while b"\0" not in self._buffer:
            if not select([self._read], [], [], max(0.0, end - monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer within {LIMIT} s.")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError("Chromium has ended.")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        found = json.loads(message)
        if "method" in found:
            self.events.append((found["method"], found["params"]))
        return found


def problem_of(event: str, given: dict) -> str | None:
    """A sentence about an event that no page should cause, or `None`."""
    if event == "Runtime.exceptionThrown":
        details = given["exceptionDetails"]
        return f"script error: {details.get('exception', {}).get('description') or details['text']}"
    if event == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
        return f"console: {[argument.get('value') for argument in given['args']]}"
    if event == "Log.entryAdded" and given["entry"]["level"] == "error":
        return f"error: {given['entry']['text']} {given['entry'].get('url', '')}".strip()
    if event == "Network.requestWillBeSent" and given["request"]["url"].split(":")[0] in ("http", "https", "ws", "wss"):
        return f"loads {given['request']['url']} from elsewhere"
    return None


@contextmanager
def browser(chromium: str) -> Iterator[Browser]:
    """A tab of a new Chromium, with a profile of its own that is thrown away."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    # Out of the way of 3 and 4, which they become.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, ends), chromium, *OPTIONS, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=ends,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        try:
            tab = Browser(ours_out, ours_in)
            yield tab
            tab._session = None
            tab.send("Browser.close")
        finally:
            os.close(ours_out)
            os.close(ours_in)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(pages: list[str]) -> int:
    chromium = executable()
    if chromium is None:
        print(f"No Chromium: none of {', '.join(NAMES)} is installed.")
        return 2
    with browser(chromium) as tab:
        found = [f"{page}: {problem}" for page in pages for problem in tab.problems(Path(page))]
    print("\n".join(found) or f"{len(pages)} pages, nothing wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
