"""Measures a full pool log (65,536 records with 50 frames each) on its way into Python, compared with the Rust
decode of the same log; both alternate in one run:

    cargo build --release -p verifier-benches --bin full_ring
    python verifier-py/bench/log_stream.py target/release/full_ring [ROUNDS]

It needs the installed wheel and Linux, and prints the rows of a table.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow

import verifier_py as verifier


def resident(which: str) -> int:
    """Memory of this process in bytes: `VmRSS` is the current value, `VmHWM` the peak since its reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which + ":")) * 1024


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    del result
    return seconds


def memory(folder: Path) -> None:
    """Measures, in a separate process, the peak memory of one stream and the memory that it keeps."""
    # Read, not mapped: mapped pages would count as the process's memory.
    dump = verifier.open(folder / "memory.dmp", symbols=folder / "symbols", mmap=False)
    dump.log("pool", last=1)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = resident("VmRSS")
    table = pyarrow.table(dump.log("pool"))
    print(resident("VmHWM") - before, table.nbytes)


def main() -> None:
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 21
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        subprocess.run([program, "write", temporary], check=True)
        dump = verifier.open(folder / "memory.dmp", symbols=folder / "symbols")
        rust = subprocess.Popen(
            [program, "serve", temporary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert rust.stdin and rust.stdout
        decoded, named, streamed = [], [], []
        for turn in range(rounds + 1):
            rust.stdin.write("\n")
            rust.stdin.flush()
            nanos = [int(word) / 1e9 for word in rust.stdout.readline().split()]
            stream = timed(lambda: pyarrow.table(dump.log("pool")))
            if turn:  # the first turn warms up
                decoded.append(nanos[0])
                named.append(nanos[1])
                streamed.append(stream)
        rust.stdin.close()
        rust.wait()
        own = [sys.executable, __file__, "--memory", temporary]
        took, data = map(int, subprocess.check_output(own, text=True).split())
        rows = len(dump.log("pool"))
    decode, names, stream = map(statistics.median, (decoded, named, streamed))
    print(f"| Rust decode of {rows} records | {decode * 1e3:.1f} ms | |")
    print(f"| Rust decode and the name of each frame | {names * 1e3:.1f} ms | {names / decode:.2f}× |")
    print(f"| `pyarrow.table(dump.log(\"pool\"))` | {stream * 1e3:.1f} ms | {stream / decode:.2f}× |")
    print(f"| its memory at the highest | {took / 2**20:.0f} MiB | {took / data:.2f}× |")


if __name__ == "__main__":
    if sys.argv[1] == "--memory":
        memory(Path(sys.argv[2]))
    else:
        main()
