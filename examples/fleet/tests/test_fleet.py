"""Forty machines with planted leaks and two broken dumps give exactly these leaks, and two rows with an
error. A run continues after an earlier one that was killed. Every file in a folder of dumps gets a row.
"""

from __future__ import annotations

import collections
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

for package in ("dask.distributed", "pyarrow"):
    pytest.importorskip(package, reason=f"{package} is not installed")
import distributed  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import verifier_py  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
FLEET = Path(__file__).resolve().parents[1] / "fleet.py"
MACHINES = 40
BROKEN = ("machine-012.dmp", "machine-030.dmp")

if shutil.which("cargo") is None:
    pytest.skip("cargo, which makes the dumps, is not installed", allow_module_level=True)
if not hasattr(verifier_py.Dump, "leaks"):
    pytest.skip("this verifier_py has no leaks()", allow_module_level=True)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machines")
    make = ["cargo", "run", "-q", "-p", "verifier-synth", "--example", "fleet", "--", str(folder), str(MACHINES)]
    subprocess.run(make, cwd=ROOT, check=True)
    # One has no header; the other has only the header and the page map.
    (folder / BROKEN[0]).write_bytes(b"This is not a dump.")
    os.truncate(folder / BROKEN[1], 0x4000)
    return folder


def start(out: Path, machines: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(FLEET), str(out), str(machines), *options]
    command += [] if "--scheduler" in options else ["--workers", "2"]
    command += [] if "--symbols" in options else ["--symbols", str(machines / "symbols")]
    # Its own session, so that its workers are killed with it.
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(out: Path, machines: Path, *options: str) -> str:
    process = start(out, machines, *options)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return text


def planted(machines: Path, by: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The expected leaks: driver, tag and stack, with dumps, count and bytes."""
    leaks: dict[tuple[str, str, str], dict[str, Any]] = collections.defaultdict(collections.Counter)
    for dump, of_dump in json.loads((machines / "planted.json").read_text()).items():
        for leak in of_dump if dump not in BROKEN else []:
            stack = [name if by == "offsets" else re.sub(r"\+.*", "", name) for name in leak["stack"]]
            total = leaks[leak["driver"], leak["tag"], "\n".join(stack)]
            total.update(dumps=1, count=leak["count"], bytes=leak["bytes"])
    return leaks


def check(out: Path, machines: Path, by: str = "names") -> None:
    found = {(row["driver"], row["tag"], row["stack"]): row for row in pq.read_table(out / "leaks.parquet").to_pylist()}
    want = planted(machines, by)
    # Each of the three is on every build of its machines, with different offsets.
    assert found.keys() == want.keys() and len(want) == (3 if by == "names" else 2 + 4 + 4)
    for key, row in found.items():
        assert row["has_stack"] and row["why_no_stack"] is None
        assert {name: row[name] for name in ("dumps", "count", "bytes")} == want[key]
    dumps = pq.read_table(out / "dumps.parquet").to_pylist()
    assert len(dumps) == MACHINES
    errors = {Path(row["dump"]).name: row["error"] for row in dumps if row["error"]}
    assert errors.keys() == set(BROKEN)
    assert "file offset" in errors[BROKEN[0]] and all(not row["problems"] for row in dumps)
    assert all(row["extent"] == ("unknown" if row["error"] else "complete") for row in dumps)
    assert len({row["build"] for row in dumps if not row["error"]}) == 4


def test_planted_leaks_are_found_and_nothing_else(machines: Path, tmp_path: Path) -> None:
    text = finish(tmp_path, machines)
    check(tmp_path, machines)
    assert f"3 different leaks in {MACHINES} dumps; 2 dumps could not be read" in text
    # A changed dump and the failed dumps are read again; here by an existing cluster.
    shutil.copy(machines / "machine-001.dmp", machines / "machine-000.dmp.new")
    os.replace(machines / "machine-000.dmp.new", machines / "machine-000.dmp")
    written = json.loads((machines / "planted.json").read_text())
    written["machine-000.dmp"] = written["machine-001.dmp"]
    (machines / "planted.json").write_text(json.dumps(written))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        text = finish(tmp_path, machines, "--scheduler", cluster.scheduler_address)
    assert f"{MACHINES} dumps, {MACHINES - 3} of them done before" in text
    check(tmp_path, machines)


def test_offsets_tell_builds_apart(machines: Path, tmp_path: Path) -> None:
    finish(tmp_path, machines, "--by", "offsets")
    check(tmp_path, machines, "offsets")
    text = finish(tmp_path, machines)
    assert f"{MACHINES - 2} of them done before" in text, "parts serve both"
    check(tmp_path, machines)


def rows(out: Path, table: str = "dumps") -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = pq.read_table(out / f"{table}.parquet").to_pylist()
    return read


def test_whatever_a_folder_holds_is_a_row(machines: Path, tmp_path: Path) -> None:
    """Names of any bytes and length, a dangling link, a path that does not exist, a part that was cut."""
    folder, out = tmp_path / "dumps", tmp_path / "out"
    folder.mkdir()
    long, odd = b"m" * 240 + b".dmp", b"m\xff\x1b.dmp"
    for name in (long, odd):
        shutil.copy(machines / "machine-006.dmp", os.path.join(os.fsencode(folder), name))
    (folder / "dangling.dmp").symlink_to(tmp_path / "gone")
    os.truncate(shutil.copy(machines / "machine-006.dmp", folder / "empty.dmp"), 0)
    options = (str(tmp_path / "no such folder"), "--symbols", str(machines / "symbols"))
    text = finish(out, folder, *options)
    assert "5 dumps, 0 of them done before" in text and "\x1b" not in text
    errors = {Path(row["dump"]).name: row["error"] for row in rows(out)}
    assert errors.keys() == {long.decode(), "m\\xff\x1b.dmp", "dangling.dmp", "empty.dmp", "no such folder"}
    assert errors[long.decode()] is None and errors["m\\xff\x1b.dmp"] is None
    for name in ("dangling.dmp", "no such folder"):
        assert errors[name].startswith("FileNotFoundError: ")
    assert errors["empty.dmp"]
    leaks = rows(out, "leaks")
    assert leaks and all(row["dumps"] == 2 for row in leaks)
    # A part that was cut when the machine stopped, and another file in its place, do not count as parts.
    first, second = sorted((out / "parts").glob("*.parquet"))
    os.truncate(first, 0)
    second.write_bytes(b"This is not a table.")
    assert "5 dumps, 0 of them done before" in finish(out, folder, *options)
    assert rows(out, "leaks") == leaks
    assert "5 dumps, 2 of them done before" in finish(out, folder, *options)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FLEET.parent))
    return importlib.import_module("fleet")


def test_leaks_without_a_stack_say_why(fleet: Any, tmp_path: Path) -> None:
    """One caller with and without a stack makes two rows; a module without symbols keeps its offset."""

    def row(dump: str, stack: str, why: str | None, count: int) -> dict[str, Any]:
        return {"dump": dump, "driver": "a.sys", "tag": "Aaaa", "stack": stack, "why_no_stack": why, "count": count, "bytes": count}

    made = [
        row("1", "a!Open+0x10", "overwritten", 1),
        row("2", "a!Open+0x24", "overwritten in another dump", 2),
        row("3", "a!Open+0x24", None, 4),
        row("1", "a+0x10\na!operator+0x1+0x2", None, 8),
        row("2", "a+0x20\na!operator+0x1+0x3", None, 16),
    ]
    fleet.summarize(pa.Table.from_pylist(made, schema=fleet.PART), tmp_path, "names")
    names = ("stack", "has_stack", "why_no_stack", "dumps", "count")
    assert [tuple(row[name] for name in names) for row in rows(tmp_path, "leaks")] == [
        ("a+0x20\na!operator+0x1", True, None, 1, 16),
        ("a+0x10\na!operator+0x1", True, None, 1, 8),
        ("a!Open", True, None, 1, 4),
        ("a!Open", False, "overwritten", 2, 3),
    ]


def test_a_dump_that_is_cut_short_is_not_one_without_leaks(machines: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "dumps", tmp_path / "out"
    folder.mkdir()
    dump = shutil.copy(machines / "machine-006.dmp", folder)
    os.truncate(dump, os.path.getsize(dump) * 7 // 8)
    text = finish(out, folder, "--symbols", str(machines / "symbols"))
    (row,) = rows(out)
    assert row["extent"] in ("at least", "unknown")
    if row["error"] is None:
        assert row["incomplete_because"] and "1 were not read whole" in text
        assert ": unknown: " in text or ": at least " in text
    else:
        assert "1 dumps could not be read" in text


def test_what_a_dump_holds_is_none_only_if_its_answer_is_complete(fleet: Any) -> None:
    text_of = fleet.outstanding
    assert text_of([{"extent": "complete"}]) == "0 blocks outstanding"
    part = {"extent": "at least", "incomplete_because": "a list was cut\nmore", "count": 3}
    assert text_of([part, part]) == "at least 6 blocks outstanding: a list was cut"
    assert text_of([{"extent": "unknown", "incomplete_because": "it is off"}]) == "unknown: it is off"


def test_a_dump_that_is_deleted_meanwhile_is_a_row(fleet: Any, machines: Path, tmp_path: Path) -> None:
    dumps = [tmp_path / name for name in ("before.dmp", "stays.dmp")]
    for dump in dumps:
        shutil.copy(machines / "machine-006.dmp", dump)
    found, failed = fleet.find([tmp_path])
    assert len(found) == 2 and not failed
    dumps[0].unlink()
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        fleet.run(client, tmp_path / "out", found, failed, str(machines / "symbols"), "names")
    errors = {Path(row["dump"]).name: row["error"] for row in rows(tmp_path / "out")}
    assert errors.pop("stays.dmp") is None
    assert errors.pop("before.dmp").startswith("FileNotFoundError: ") and not errors
    # So is a dump that disappears after it was found and before it is read.
    (gone,) = fleet.examine(os.fsencode(dumps[0]), None)
    assert gone["dump"] == str(dumps[0]) and gone["error"]


def test_dumps_without_the_kernels_symbols_are_read_again(machines: Path, tmp_path: Path) -> None:
    folder, out, symbols = tmp_path / "dumps", tmp_path / "out", tmp_path / "symbols"
    folder.mkdir()
    symbols.mkdir()
    for name in ("machine-006.dmp", "machine-001.dmp"):
        shutil.copy(machines / name, folder)
    options = ("--symbols", str(symbols))
    assert "2 have no symbols of the kernel" in finish(out, folder, *options)
    assert all("ntkrnlmp.pdb" in row["symbols_missing"] and not row["error"] for row in rows(out))
    shutil.copytree(machines / "symbols", symbols, dirs_exist_ok=True)
    assert "2 dumps, 0 of them done before, 2 again" in finish(out, folder, *options)
    assert all(row["symbols_missing"] is None for row in rows(out))
    assert "2 dumps, 2 of them done before\n" in finish(out, folder, *options)


def test_a_killed_run_goes_on_where_it_was(machines: Path, tmp_path: Path) -> None:
    process = start(tmp_path, machines)
    parts = tmp_path / "parts"
    deadline = time.monotonic() + 120
    while len(list(parts.glob("*.parquet"))) < 5:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(list(parts.glob("*.parquet")))
    assert 5 <= done < MACHINES - 2 and not (tmp_path / "leaks.parquet").exists()
    assert f"{MACHINES} dumps, {done} of them done before" in finish(tmp_path, machines)
    check(tmp_path, machines)
    assert f"{MACHINES - 2} of them done before" in finish(tmp_path, machines), "only what failed is left"
