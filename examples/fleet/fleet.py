#!/usr/bin/env python3
"""Many dumps to one table of leaks, across machines: `fleet.py OUT DUMP_OR_FOLDER… --symbols PATH`.

    pip install ./verifier-py dask distributed pyarrow
    python examples/fleet/fleet.py results /dumps --symbols srv*/cache*https://msdl.microsoft.com/download/symbols
    python examples/fleet/fleet.py results /dumps --symbols /symbols --scheduler tcp://scheduler:8786

Writes OUT/leaks.parquet, one row for each driver, tag and stack of names with the machines that hold it,
the most bytes first; OUT/dumps.parquet, one row for each dump with its error where it has one; and
OUT/parts/, what each dump gave, by which a run that was ended goes on where it was. A dump that changes,
or that had an error, is read again; after new symbols have come, delete OUT/parts. Addresses differ from boot to boot, so stacks are compared by names: drivers without
symbols are told apart by module and offset.

Workers read the dumps themselves: with --scheduler, paths must mean the same to them, and verifier_py must
be installed there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from dask.distributed import Client, as_completed

PART = pa.schema(
    {
        "dump": pa.string(),
        "build": pa.uint32(),
        "driver": pa.string(),
        "tag": pa.string(),
        "stack": pa.string(),  # one name a line, innermost first; without a stack the caller
        "why_no_stack": pa.string(),
        "count": pa.uint64(),
        "bytes": pa.uint64(),
        "problems": pa.uint32(),
        "error": pa.string(),
    }
)


def examine(dump: str, symbols: str | None) -> list[dict[str, Any]]:
    """The rows of one dump. Runs on a worker; whatever goes wrong is a row."""
    try:
        import verifier_py

        # Not mapped: a file on a share may be cut short, which would end a worker by a signal.
        opened = verifier_py.open(dump, symbols=symbols, mmap=False)
        leaks = opened.leaks()
        common = {"dump": dump, "build": opened.info()["build"], "problems": len(leaks.problems)}
        # A dump without leaks is a row too: it has been read.
        return [common | of_group(group) for group in leaks] or [common]
    except Exception as error:
        return [{"dump": dump, "error": f"{type(error).__name__}: {error}"}]


def of_group(group: Any) -> dict[str, Any]:
    """A group of leaks, without addresses."""
    stack = group.stack or ()
    names = [frame.symbol or f"{frame.address:#x}" for frame in stack] or [group.label]
    return {
        "driver": group.driver,
        "tag": group.tag,
        "stack": "\n".join(names),
        "why_no_stack": group.why_no_stack,
        "count": group.count,
        "bytes": group.bytes,
    }


def say(text: str) -> None:
    """Prints a line. Text from a dump may hold what moves a terminal's cursor: that is shown as U+FFFD."""
    print("".join("\ufffd" if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 else c for c in text), flush=True)


def write(table: pa.Table, path: Path) -> None:
    """Whole or not at all, so that what is there can be trusted by the next run."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)


def part_of(parts: Path, dump: Path, symbols: str | None) -> Path:
    """Where the rows of a dump are kept: another name when it, or the symbol path, is another."""
    stat = dump.stat()
    identity = f"{dump}\0{stat.st_size}\0{stat.st_mtime_ns}\0{symbols}"
    return parts / f"{dump.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.parquet"


def find(places: Iterable[Path]) -> list[Path]:
    """The dumps: files as they are, and *.dmp in folders at any depth."""
    found: set[Path] = set()
    for place in places:
        found.update([place.resolve()] if place.is_file() else (p.resolve() for p in place.rglob("*.[dD][mM][pP]")))
    return sorted(found)


def run(client: Client, out: Path, dumps: list[Path], symbols: str | None) -> None:
    """Examines the dumps that have no part yet, then writes the two tables."""
    parts = out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    wanted = {part_of(parts, dump, symbols): dump for dump in dumps}
    missing = {part: dump for part, dump in wanted.items() if not part.exists()}
    say(f"{len(dumps)} dumps, {len(wanted) - len(missing)} of them done before")
    # A worker that dies with a dump takes no other down: the dump is tried elsewhere, then told.
    futures = {
        client.submit(examine, str(dump), symbols, pure=False): (part, dump)
        for part, dump in missing.items()
    }
    failed = []
    for number, future in enumerate(as_completed(futures), 1):
        part, dump = futures[future]
        if future.status == "finished":
            rows = future.result()
        else:
            rows = [{"dump": str(dump), "error": f"the worker failed: {future.exception()}"}]
        error = rows[0].get("error")
        if error is None:
            write(pa.Table.from_pylist(rows, schema=PART), part)
        else:
            failed += rows
        blocks = sum(row.get("count") or 0 for row in rows)
        say(f"[{number}/{len(missing)}] {dump}: {error or f'{blocks} blocks outstanding'}")
        future.release()
    read = [pq.read_table(part, schema=PART) for part in wanted if part.exists()]
    summarize(pa.concat_tables([*read, pa.Table.from_pylist(failed, schema=PART)]), out)


def summarize(rows: pa.Table, out: Path) -> None:
    """The table of leaks and the table of dumps."""
    leaks = rows.filter(pa.compute.is_valid(rows["count"]))
    leaks = leaks.group_by(["driver", "tag", "stack"]).aggregate(
        [("dump", "count_distinct"), ("count", "sum"), ("bytes", "sum"), ("bytes", "max"), ("dump", "min")]
    )
    names = ["driver", "tag", "stack", "dumps", "count", "bytes", "most_bytes", "first_dump"]
    leaks = leaks.rename_columns(names).sort_by([("bytes", "descending"), ("stack", "ascending")])
    dumps = rows.group_by("dump").aggregate(
        [("build", "max"), ("count", "sum"), ("bytes", "sum"), ("problems", "max"), ("error", "max")]
    )
    dumps = dumps.rename_columns(["dump", "build", "count", "bytes", "problems", "error"]).sort_by("dump")
    write(leaks, out / "leaks.parquet")
    write(dumps, out / "dumps.parquet")
    failed = len(dumps) - dumps["error"].null_count
    say(f"{len(leaks)} different leaks in {len(dumps)} dumps; {failed} dumps could not be read")
    for row in leaks.slice(0, 10).to_pylist():
        first = row["stack"].split("\n")
        site = next((name for name in first if not name.startswith("nt!")), first[0])
        say(f"{row['bytes']:>14,} bytes {row['count']:>7} blocks {row['dumps']:>5} dumps  {row['tag']} {site}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Many dumps to one table of leaks, across machines.")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("dumps", type=Path, nargs="+", help="dumps, or folders with *.dmp")
    parser.add_argument("--symbols", help="a folder, a store or srv*CACHE*URL (default: _NT_SYMBOL_PATH)")
    parser.add_argument("--scheduler", help="address of a Dask scheduler (default: a cluster on this machine)")
    parser.add_argument("--workers", type=int, help="processes of the cluster on this machine")
    arguments = parser.parse_args()
    dumps = find(arguments.dumps)
    if not dumps:
        sys.exit("no dumps there")
    if arguments.scheduler:
        cluster: dict[str, Any] = {"address": arguments.scheduler}
    else:
        cluster = {"n_workers": arguments.workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with Client(**cluster) as client:
        run(client, arguments.out, dumps, arguments.symbols)


if __name__ == "__main__":
    main()
