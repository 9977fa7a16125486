"""Threads on one session, processes on one file, and the free-threaded interpreter."""

from __future__ import annotations

import multiprocessing
import re
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from readers import Physical

import verifier_py as verifier


def everything(session: verifier.Session) -> list[Any]:
    return [
        session.settings().to_dict(),
        session.drivers().to_dicts(),
        session.pool().to_dicts(),
        session.log("pool").to_dicts(),
        session.leaks().to_dicts(),
        # The heading names the file, if there is one.
        re.sub("\n`memory.dmp[^\n]*\n", "", session.leaks().to_markdown()),
        session.kd("!verifier 3 myfault.sys"),
        session.info().to_dict()["kernel"]["modules"],
    ]


@pytest.mark.parametrize("workers", [2, 8])
def test_threads_on_one_dump(folder: Path, dump: verifier.Dump, workers: int) -> None:
    want = everything(dump)
    for _ in range(5):
        # A new session each time: the first thread finds its symbols and headers.
        fresh = verifier.open(folder / "memory.dmp", symbols=folder / "symbols")
        with ThreadPoolExecutor(workers) as threads:
            for got in threads.map(everything, [fresh] * workers):
                assert got == want


def test_threads_on_one_table(dump: verifier.Dump) -> None:
    log = dump.log("pool")
    iterator = iter(log)

    def drain(_: int) -> list[Any]:
        return list(iterator)

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(drain, range(4)))
    assert sorted(event.slot for part in parts for event in part) == sorted(e.slot for e in log)
    with ThreadPoolExecutor(4) as threads:
        assert all(rows == log.to_dicts() for rows in threads.map(lambda _: log.to_dicts(), range(8)))


def test_threads_on_one_reader(folder: Path, dump: verifier.Dump) -> None:
    info = dump.info()
    session = verifier.Session(
        memory=Physical(folder / "memory.dmp"),
        dtb=info["directory_table_base"],
        ps_loaded_module_list=info["ps_loaded_module_list"],
        build=info["build"],
        kd_debugger_data_block=info["kd_debugger_data_block"],
        symbols=folder / "symbols",
    )
    want = everything(dump)
    with ThreadPoolExecutor(4) as threads:
        assert all(got == want for got in threads.map(everything, [session] * 4))


def in_another_process(folder: Path) -> list[Any]:
    return everything(verifier.open(folder / "memory.dmp", symbols=folder / "symbols"))


def test_four_processes_on_one_file(folder: Path, dump: verifier.Dump) -> None:
    want = everything(dump)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=spawn) as processes:
        assert all(got == want for got in processes.map(in_another_process, [folder] * 4))


def test_free_threaded_interpreter() -> None:
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        found = next(filter(None, map(shutil.which, ("python3.14t", "python3.13t"))), None)
        if found is None:
            pytest.skip("no free-threaded interpreter (python3.13t or later) is installed")
        pytest.skip(f"{found} is there, but this wheel is for interpreters with a GIL")
    code = "import sys, verifier_py; sys.exit(sys._is_gil_enabled())"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
