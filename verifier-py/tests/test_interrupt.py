"""Ctrl-C while no Python code runs: during a download or a search, and while rows become Python values."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import verifier_py as verifier
from verifier_py._verifier_py import _restore


class Endless(ThreadingHTTPServer):
    """Answers with a file that does not end; after `at` bytes, Ctrl-C is sent."""

    daemon_threads = True

    def __init__(self, at: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.at = at
        self.asked: list[str] = []
        self.left = threading.Event()


class Answer(BaseHTTPRequestHandler):
    server: Endless

    def do_GET(self) -> None:
        server = self.server
        server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(900 << 20))
        self.end_headers()
        sent = 0
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
                sent += 1 << 16
                if sent == server.at:
                    # Like a terminal: the process gets the signal, and Python's handler runs in the main thread.
                    signal.raise_signal(signal.SIGINT)
                if sent > server.at:
                    server.left.wait(0.01)
        except OSError:
            server.left.set()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell starts background processes with SIGINT ignored, and Python does not change that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("with_progress", [False, True])
def test_a_download(folder: Path, tmp_path: Path, with_progress: bool) -> None:
    server = Endless(at=16 << 20)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    path = f"srv*{tmp_path / 'cache'}*http://127.0.0.1:{server.server_address[1]}"
    seen: list[int] = []
    progress = (lambda what, done, total: seen.append(done)) if with_progress else None
    with pytest.raises(KeyboardInterrupt):
        verifier.open(folder / "memory.dmp", symbols=path, progress=progress)
    assert server.left.wait(60), "the download ended"
    assert len(server.asked) == 1, "nothing else was asked for"
    assert not list((tmp_path / "cache").rglob("*.*")), "no half of a file is kept"
    assert bool(seen) == with_progress
    server.shutdown()
    server.server_close()
    assert len(verifier.open(folder / "memory.dmp", symbols=folder / "symbols").pool()) == 10


@pytest.fixture(scope="module")
def long() -> verifier.Table[verifier.Flag]:
    """A table that takes long to become Python values: one flag, a million times."""
    (bit, name), rows = verifier.flags(8)[:].__reduce__()[1][1].__reduce__()[1][3], 1_000_000
    (field, (_, valid, (bits,), children)), (text, (_, _, (_, letters), _)) = bit, name
    offsets = b"".join((i * len(letters)).to_bytes(4, "little") for i in range(rows + 1))
    columns = (
        (field, (rows, valid, [bits * rows], children)),
        (text, (rows, valid, [offsets, letters * rows], children)),
    )
    return _restore("flags", "Flag", rows, columns, [], None, ("complete", ()))


@pytest.mark.parametrize("how", ["to_dicts", "list", "count"])
def test_a_long_table(long: verifier.Table[verifier.Flag], how: str) -> None:
    """Signals are handled while rows become Python values, and other threads run meanwhile."""
    work: Callable[[], object] = {
        "to_dicts": long.to_dicts,
        "list": lambda: list(long),
        "count": lambda: long.count(None),
    }[how]
    ticks, seen, ended = 0, list[int](), threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not ended.is_set():
            ticks += 1
            time.sleep(0)

    def heard(*_: object) -> None:
        seen.append(ticks)
        # If signals arrive during work that does not check for them, one is handled when the work returns.
        if len(seen) > 4 and len(set(seen)) > 1:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    thread, before = threading.Thread(target=tick), signal.signal(signal.SIGALRM, heard)
    thread.start()
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        ended.set()
        thread.join()

def test_the_search_for_a_kernel(tmp_path: Path) -> None:
    path = tmp_path / "memory.raw"
    with path.open("wb") as file:
        # The search takes minutes page by page; the file is sparse.
        file.truncate(1 << 40)
    after = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    after.start()
    with pytest.raises(KeyboardInterrupt):
        verifier.open(path, raw=True)
    after.join()
