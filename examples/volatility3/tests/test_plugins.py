"""The plugins, run by `vol` as a user does, compared with the package's views of the same dump.

Of the shared dumps, volatility3 opens a complete dump (1) and a bitmap dump (5) of x64 kernels. It refuses
the others because of their kind or machine.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("volatility3", reason="volatility3 is not installed")
import verifier_py  # noqa: E402

HERE = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("VERIFIER_SHARED_DUMPS") or HERE.parents[1].parent / "shared" / "dumps")
DUMPS = ["win7-rich", "win10-19041-rich"]


class Case:
    """A dump, the package's session over it, and a way to run a plugin on it."""

    def __init__(self, folder: Path, tables: Path) -> None:
        self.folder = folder
        self.tables = tables
        self.dump = verifier_py.open(folder / "memory.dmp", symbols=folder / "symbols")

    def run(self, plugin: str, *options: str, renderer: str = "json") -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("vol"))]
        places = ["-s", str(self.tables), "-p", str(HERE), "-f", str(self.folder / "memory.dmp")]
        command = [*program, "-q", "--offline", "-r", renderer, *places, f"windows.verifier.{plugin}", *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    def rows(self, plugin: str, *options: str) -> list[dict[str, Any]]:
        done = self.run(plugin, "--symbols", str(self.folder / "symbols"), *options)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows


@pytest.fixture(scope="module", params=DUMPS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = SHARED / request.param
    if not (folder / "memory.dmp").exists():
        pytest.skip(f"no dumps in {SHARED}")
    # Volatility needs its tables in its own folder structure.
    tables = tmp_path_factory.mktemp("tables")
    place = tables / "windows" / "ntkrnlmp.pdb"
    place.mkdir(parents=True)
    for table in (SHARED.parent / "isf").glob("*.json.xz"):
        shutil.copy(table, place)
    return Case(folder, tables)


def test_settings(case: Case) -> None:
    rows = case.rows("Settings")
    settings = case.dump.settings()
    assert rows[0]["Value"] == settings.level
    flags = [(row["Name"], row["Value"]) for row in rows if row["Kind"] == "Flag"]
    assert flags == [(flag.name, flag.bit) for flag in settings.flags]
    statistics = {row["Name"]: row["Value"] for row in rows if row["Kind"] == "Statistic"}
    assert statistics == dict(settings.statistics) and len(statistics) > 10


def test_pool(case: Case) -> None:
    def ours(driver: str | None) -> list[tuple[Any, ...]]:
        return [
            (row.driver, row.address, row.size, row.tag, row.caller, row.caller_symbol, row.source)
            for row in case.dump.pool(driver)
        ]

    def theirs(*options: str) -> list[tuple[Any, ...]]:
        names = ("Driver", "Address", "Size", "Tag", "Caller", "Symbol", "Source")
        return [tuple(row[name] for name in names) for row in case.rows("Pool", *options)]

    assert theirs() == ours(None) and len(ours(None)) > 20
    driver = ours(None)[0][0]
    assert theirs("--driver", driver) == ours(driver)


def test_log(case: Case) -> None:
    rows = case.rows("Log", "--last", "100")
    log = case.dump.log("pool", last=100)
    assert len(rows) == len(log) == 100
    for theirs, ours in zip(rows, log):
        got = [theirs[name] for name in ("Operation", "Address", "Size", "Thread", "Slot")]
        assert got == [ours.operation, ours.address, ours.size, ours.thread, ours.slot]
        frames = [(frame["Address"], frame["Symbol"]) for frame in theirs["__children"]]
        assert frames == [tuple(frame)[:2] for frame in ours.frames]
    address = log[0].address
    rows = case.rows("Log", "--address", hex(address))
    assert [row["Slot"] for row in rows] == [row.slot for row in case.dump.log("pool", address=address)]


@pytest.mark.parametrize("kind", [kind for kind in verifier_py.LOGS if kind != "pool"])
def test_other_logs(case: Case, kind: str) -> None:
    try:
        log = case.dump.log(kind, last=20)
    except (verifier_py.MissingSymbol, verifier_py.FaultError):
        # Volatility's table may also lack the type, if the data are not in the dump.
        done = case.run("Log", "--kind", kind)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "unable to read a requested page" in done.stderr or "related to a symbol table" in done.stderr
        return
    rows = case.rows("Log", "--kind", kind, "--last", "20")
    assert len(rows) == len(log)
    names = [name for name in log.columns if name not in ("slot", "frames", "file", "line")]
    for theirs, ours in zip(rows, log):
        got = [theirs[name.replace("_", " ").title()] for name in names]
        assert [theirs["Slot"], *got] == [ours.slot, *(getattr(ours, name) for name in names)]
        frames = [(frame["Frame"], frame["Symbol"]) for frame in theirs["__children"]]
        assert frames == [tuple(frame)[:2] for frame in ours.frames]


@pytest.mark.parametrize("case", DUMPS[1:], indirect=True)
def test_an_event_log_has_records_to_compare(case: Case) -> None:
    assert len(case.dump.log("irql")) > 20


def test_leaks(case: Case) -> None:
    if not hasattr(verifier_py.Session, "leaks"):
        pytest.skip("this verifier_py has no leaks()")
    rows = case.rows("Leaks")
    groups = case.dump.leaks()
    assert len(rows) == len(groups) > 1
    for theirs, ours in zip(rows, groups):
        got = [theirs[name] for name in ("Driver", "Tag", "Count", "Bytes")]
        assert got == [ours.driver, ours.tag, ours.count, ours.bytes]
        frames = [(frame["Address"], frame["Symbol"]) for frame in theirs["__children"]]
        assert frames == [tuple(frame)[:2] for frame in ours.stack or ()]
        if ours.stack is None:
            assert theirs["Symbol"] == ours.why_no_stack


def test_an_empty_table_that_is_not_complete_is_a_row() -> None:
    place = importlib.util.spec_from_file_location("plugins", HERE / "windows" / "verifier.py")
    assert place and place.loader
    plugins = importlib.util.module_from_spec(place)
    place.loader.exec_module(plugins)

    def rows(plugin: Any, complete: bool, extent: str, length: int) -> list[Any]:
        class Table:
            def __len__(self) -> int:
                return length

        table = Table()
        table.complete, table.extent = complete, extent  # type: ignore[attr-defined]
        return list(plugin.nothing(plugin, table))

    for plugin in (plugins.Pool, plugins.Leaks):
        assert rows(plugin, True, "complete", 0) == rows(plugin, False, "at least", 3) == []
        ((level, row),) = rows(plugin, False, "unknown", 0)
        assert (level, row[-1], len(row)) == (0, "unknown", len(plugin.COLUMNS))


@pytest.mark.parametrize("case", DUMPS[:1], indirect=True)
def test_other_renderers(case: Case) -> None:
    csv = case.run("Pool", renderer="csv").stdout.rstrip().splitlines()
    assert csv[0] == "TreeDepth,Driver,Address,Size,Tag,Caller,Symbol,Source,Extent"
    assert all(line.endswith(",complete") for line in csv[1:])
    assert [line.split(",")[2] for line in csv[1:]] == [hex(row.address) for row in case.dump.pool()]
    pretty = case.run("Settings", renderer="pretty").stdout
    names = [line.split("|")[2].strip() for line in pretty.splitlines() if line.count("|") > 2]
    assert "allocations_attempted" in names


@pytest.mark.parametrize("case", DUMPS[1:], indirect=True)
def test_the_quick_renderer(case: Case) -> None:
    """The output of `vol` without options for it."""
    quick = case.run("Log", "--kind", "irp", "--last", "3", renderer="quick").stdout.strip().splitlines()
    log = case.dump.log("irp", last=3)
    (head,) = (at for at, line in enumerate(quick) if line.startswith("Slot\tIrp\tThread\t"))
    lines = [line.split("\t") for line in quick[head + 1 :] if line]
    assert [line[0] for line in lines if not line[0].startswith("*")] == [str(row.slot) for row in log]
    assert [line[1] for line in lines if not line[0].startswith("*")] == [hex(row.irp) for row in log]
    assert len(lines) == len(log) + sum(len(row.frames) for row in log)


@pytest.mark.parametrize("case", DUMPS[:1], indirect=True)
@pytest.mark.parametrize(
    "options, message",
    [
        (("Pool", "--driver", "nobody.sys"), "no driver nobody.sys is configured"),
        (("Leaks", "--driver", "nobody.sys"), "no driver nobody.sys is configured"),
        (("Pool", "--symbols", "what*is*this"), "what*is*this"),
        (("Log", "--kind", "nonsense"), "invalid choice"),
        (("Log", "--last", "-1"), "plugins.Log.last"),
        (("Log", "--last", "many"), "argument --last"),
        (("Log", "--address", "0x1ffffffffffffffff"), "plugins.Log.address"),
        (("Log", "--address", "there"), "argument --address"),
    ],
)
def test_a_bad_option_is_reported_in_one_line(case: Case, options: tuple[str, ...], message: str) -> None:
    done = case.run(*options)
    assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
