"""Forty machines with planted leaks and two broken dumps: all of the leaks, nothing else, and two rows
with an error; and a run that is killed midway goes on where it was.
"""

from __future__ import annotations

import collections
import json
import os
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
    # One has no header; of the other only the header and the page map are left.
    (folder / BROKEN[0]).write_bytes(b"This is no dump.")
    os.truncate(folder / BROKEN[1], 0x4000)
    return folder


def start(out: Path, machines: Path, *cluster: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(FLEET), str(out), str(machines), *(cluster or ("--workers", "2"))]
    command += ["--symbols", str(machines / "symbols")]
    # Its own session: what is killed is killed with its workers.
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(out: Path, machines: Path, *cluster: str) -> str:
    process = start(out, machines, *cluster)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return text


def planted(machines: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What is to be found: driver, tag and stack, with dumps, count and bytes."""
    leaks: dict[tuple[str, str, str], dict[str, Any]] = collections.defaultdict(collections.Counter)
    for dump, of_dump in json.loads((machines / "planted.json").read_text()).items():
        for leak in of_dump if dump not in BROKEN else []:
            total = leaks[leak["driver"], leak["tag"], "\n".join(leak["stack"])]
            total.update(dumps=1, count=leak["count"], bytes=leak["bytes"])
    return leaks


def check(out: Path, machines: Path) -> None:
    found = {(row["driver"], row["tag"], row["stack"]): row for row in pq.read_table(out / "leaks.parquet").to_pylist()}
    want = planted(machines)
    assert found.keys() == want.keys() and len(want) == 3
    for key, row in found.items():
        assert {name: row[name] for name in ("dumps", "count", "bytes")} == want[key]
    dumps = pq.read_table(out / "dumps.parquet").to_pylist()
    assert len(dumps) == MACHINES
    errors = {Path(row["dump"]).name: row["error"] for row in dumps if row["error"]}
    assert errors.keys() == set(BROKEN)
    assert "file offset" in errors[BROKEN[0]] and all(not row["problems"] for row in dumps)
    assert len({row["build"] for row in dumps if not row["error"]}) == 4


def test_planted_leaks_are_found_and_nothing_else(machines: Path, tmp_path: Path) -> None:
    text = finish(tmp_path, machines)
    check(tmp_path, machines)
    assert f"3 different leaks in {MACHINES} dumps; 2 dumps could not be read" in text
    # A dump that changes is read again, and what failed; here by somebody else's cluster.
    shutil.copy(machines / "machine-001.dmp", machines / "machine-000.dmp.new")
    os.replace(machines / "machine-000.dmp.new", machines / "machine-000.dmp")
    written = json.loads((machines / "planted.json").read_text())
    written["machine-000.dmp"] = written["machine-001.dmp"]
    (machines / "planted.json").write_text(json.dumps(written))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        text = finish(tmp_path, machines, "--scheduler", cluster.scheduler_address)
    assert f"{MACHINES} dumps, {MACHINES - 3} of them done before" in text
    check(tmp_path, machines)


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
