#!/usr/bin/env python3
"""One table of leaks from many dumps, across machines: `fleet.py OUT DUMP_OR_FOLDER… --symbols PATH`.

    pip install ./verifier-py dask distributed pyarrow
    python examples/fleet/fleet.py results /dumps --symbols srv*/cache*https://msdl.microsoft.com/download/symbols
    python examples/fleet/fleet.py results /dumps --symbols /symbols --scheduler tcp://scheduler:8786

It writes three results:
- OUT/leaks.parquet has one row for each driver, tag and stack of names, with the number of dumps that have
  it, the most bytes first.
- OUT/dumps.parquet has one row for each dump, with its error, if any, and its extent: "complete", "at least",
  or "unknown", which does not mean that there are no leaks.
- OUT/parts/ has the rows of each dump, so that a run continues after an earlier one that was ended.

A dump is read again if it changes, had an error, or lacked the kernel's symbols (see dumps.parquet). After
you have added symbols of drivers, delete OUT/parts.

Addresses differ between boots and offsets between builds, so stacks are compared by the names of functions;
with --by offsets, by name and offset. A driver without symbols has only module and offset.

Workers read the dumps themselves. With --scheduler, paths must be the same on all workers, and verifier_py
must be installed there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
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
        "stack": pa.string(),  # one name for each line, innermost first; the caller if there is no stack
        "why_no_stack": pa.string(),
        "count": pa.uint64(),
        "bytes": pa.uint64(),
        "problems": pa.uint32(),
        "extent": pa.string(),  # "complete", "at least" or "unknown"
        "incomplete_because": pa.string(),  # one reason for each line
        "symbols_missing": pa.string(),  # the kernel's symbols, and where they were searched for
        "error": pa.string(),
    }
)


def shown(path: bytes) -> str:
    """A path as text; a path need not be UTF-8."""
    return path.decode("utf-8", "backslashreplace")


def examine(dump: bytes, symbols: str | None) -> list[dict[str, Any]]:
    """The rows of one dump. Runs on a worker; any error becomes a row."""
    try:
        import verifier_py

        # Not mapped: if a file on a share is cut short, a mapping would end the worker with a signal.
        opened = verifier_py.open(Path(os.fsdecode(dump)), symbols=symbols, mmap=False)
        leaks = opened.leaks()
        info = opened.info()
        kernel = info["kernel"]
        missing = [module["missing"] for module in kernel["modules"] if module["base"] == kernel["base"]]
        common = {"dump": shown(dump), "build": info["build"], "problems": len(leaks.problems)}
        common["extent"] = leaks.extent
        common["incomplete_because"] = "\n".join(leaks.incomplete_because) or None
        common["symbols_missing"] = missing[0] if missing else None
        # A dump without leaks also gets a row, which shows that it was read.
        return [common | of_group(group) for group in leaks] or [common]
    except Exception as error:
        return [failure(dump, error)]


def failure(dump: bytes, error: BaseException | str) -> dict[str, Any]:
    """The row of a dump that could not be read."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    # An error may name a path that is not UTF-8.
    return {"dump": shown(dump), "extent": "unknown", "error": shown(os.fsencode(text))}


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


def outstanding(rows: list[dict[str, Any]]) -> str:
    """The result of a dump in words. No blocks means no leaks only if the answer is complete."""
    blocks = f"{sum(row.get('count') or 0 for row in rows)} blocks outstanding"
    because = (rows[0].get("incomplete_because") or "").split("\n")[0]
    kinds = {"complete": blocks, "at least": f"at least {blocks}: {because}", "unknown": f"unknown: {because}"}
    return kinds[rows[0]["extent"]]


def say(text: str) -> None:
    """Prints a line. Control characters from a dump, which could move the cursor, become U+FFFD."""
    print("".join("\ufffd" if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 else c for c in text), flush=True)


def write(table: pa.Table, path: Path) -> None:
    """Writes the whole file or nothing, even if the machine stops, so the next run can trust the file."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        pq.write_table(table, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def part_of(parts: Path, dump: bytes, symbols: str | None) -> Path:
    """The file for the rows of a dump; its name changes with the dump and the symbol path."""
    stat = os.stat(dump)
    identity = dump + f"\0{stat.st_size}\0{stat.st_mtime_ns}\0{symbols}".encode(errors="surrogateescape")
    # A file name can have any bytes and the longest length that the file system allows.
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", Path(os.fsdecode(dump)).stem)[:40]
    return parts / f"{stem}-{hashlib.sha256(identity).hexdigest()[:16]}.parquet"


def read_part(part: Path) -> pa.Table | None:
    """The rows of a dump; None if the file is absent or is not such a table."""
    try:
        table = pq.read_table(part)
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(PART) and len(table) else None


def find(places: Iterable[Path]) -> tuple[list[bytes], list[dict[str, Any]]]:
    """The dumps (named files, and *.dmp in folders at any depth), and the folders that cannot be read."""
    found: set[bytes] = set()
    failed: list[dict[str, Any]] = []

    def refused(error: OSError) -> None:
        failed.append(failure(os.fsencode(error.filename), error))

    for place in places:
        if not place.is_dir():
            found.add(real(os.fsencode(place)))
            continue
        for folder, _, names in os.walk(os.fsencode(place), onerror=refused):
            found.update(real(os.path.join(folder, name)) for name in names if name.lower().endswith(b".dmp"))
    return sorted(found), failed


def real(path: bytes) -> bytes:
    """The target of a path, so that each dump counts once; the path itself if it has no target."""
    target = os.path.realpath(path)
    return target if os.path.exists(target) else os.path.abspath(path)


def run(
    client: Client, out: Path, dumps: list[bytes], failed: list[dict[str, Any]], symbols: str | None, by: str
) -> None:
    """Examines the dumps that have no part yet, then writes the two tables."""
    parts = out / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    failed = [*failed]
    wanted = {}
    for dump in dumps:
        try:
            wanted[part_of(parts, dump, symbols)] = dump
        except OSError as error:
            failed.append(failure(dump, error))
    for row in failed:
        say(f"{row['dump']}: {row['error']}")
    read = {part: table for part in wanted if (table := read_part(part)) is not None}
    again = {part for part, table in read.items() if table["symbols_missing"].null_count < len(table)}
    missing = {part: dump for part, dump in wanted.items() if part in again or part not in read}
    done = f"{len(dumps)} dumps, {len(wanted) - len(missing)} of them done before"
    say(f"{done}, {len(again)} again without symbols" if again else done)
    # If a worker dies, other workers go on: the dump is tried on another worker, then reported.
    futures = {
        client.submit(examine, dump, symbols, pure=False): (part, dump) for part, dump in missing.items()
    }
    for number, future in enumerate(as_completed(futures), 1):
        part, dump = futures[future]
        if future.status == "finished":
            rows = future.result()
        else:
            rows = [failure(dump, f"the worker failed: {future.exception()}")]
        error = rows[0].get("error")
        if error is None:
            read[part] = pa.Table.from_pylist(rows, schema=PART)
            write(read[part], part)
        else:
            read.pop(part, None)
            failed += rows
        say(f"[{number}/{len(missing)}] {shown(dump)}: {error or outstanding(rows)}")
        future.release()
    summarize(pa.concat_tables([*read.values(), pa.Table.from_pylist(failed, schema=PART)]), out, by)


def summarize(rows: pa.Table, out: Path, by: str) -> None:
    """The table of leaks and the table of dumps."""
    leaks = rows.filter(pa.compute.is_valid(rows["count"]))
    if by == "names":
        # Remove the offset after a function's name; keep it after a module without a name.
        stacks = pa.compute.replace_substring_regex(leaks["stack"], r"(?m)(!.*)\+0x[0-9a-f]+$", r"\1")
        leaks = leaks.set_column(leaks.column_names.index("stack"), "stack", stacks)
    # The reason for a missing stack differs between dumps, so group only by whether there is a stack.
    leaks = leaks.append_column("has_stack", pa.compute.is_null(leaks["why_no_stack"]))
    leaks = leaks.group_by(["driver", "tag", "stack", "has_stack"]).aggregate(
        [
            ("why_no_stack", "min"),
            ("dump", "count_distinct"),
            ("count", "sum"),
            ("bytes", "sum"),
            ("bytes", "max"),
            ("dump", "min"),
        ]
    )
    names = ["driver", "tag", "stack", "has_stack", "why_no_stack", "dumps", "count", "bytes", "most_bytes", "first_dump"]
    leaks = leaks.rename_columns(names).sort_by([("bytes", "descending"), ("stack", "ascending")])
    columns = ["build", "count", "bytes", "problems", "extent", "incomplete_because", "symbols_missing", "error"]
    how = ["max", "sum", "sum", "max", "max", "max", "max", "max"]
    dumps = rows.group_by("dump").aggregate(list(zip(columns, how)))
    dumps = dumps.rename_columns(["dump", *columns]).sort_by("dump")
    write(leaks, out / "leaks.parquet")
    write(dumps, out / "dumps.parquet")
    failed = len(dumps) - dumps["error"].null_count
    unnamed = len(dumps) - dumps["symbols_missing"].null_count
    text = f"{len(leaks)} different leaks in {len(dumps)} dumps; {failed} dumps could not be read"
    whole = len(dumps.filter(pa.compute.equal(dumps["extent"], "complete")))
    if partly := len(dumps) - whole - failed:
        text += f", {partly} were not read whole and may hold more"
    say(f"{text}, {unnamed} have no symbols of the kernel" if unnamed else text)
    for row in leaks.slice(0, 10).to_pylist():
        first = row["stack"].split("\n")
        site = next((name for name in first if not name.startswith("nt!")), first[0])
        say(f"{row['bytes']:>14,} bytes {row['count']:>7} blocks {row['dumps']:>5} dumps  {row['tag']} {site}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes one table of leaks from many dumps, across machines.")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("dumps", type=Path, nargs="+", help="dumps, or folders with *.dmp")
    parser.add_argument("--symbols", help="a folder, a store or srv*CACHE*URL (default: _NT_SYMBOL_PATH)")
    parser.add_argument("--by", choices=["names", "offsets"], default="names", help="how stacks are compared")
    parser.add_argument("--scheduler", help="address of a Dask scheduler (default: a cluster on this machine)")
    parser.add_argument("--workers", type=int, help="processes of the cluster on this machine")
    arguments = parser.parse_args()
    dumps, failed = find(arguments.dumps)
    if not dumps and not failed:
        sys.exit("no dumps there")
    if arguments.scheduler:
        cluster: dict[str, Any] = {"address": arguments.scheduler}
    else:
        cluster = {"n_workers": arguments.workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with Client(**cluster) as client:
        run(client, arguments.out, dumps, failed, arguments.symbols, arguments.by)


if __name__ == "__main__":
    main()
