"""Compares every answer sheet, including logs and leaks, with records, polars and pandas."""

from __future__ import annotations

from typing import Any

import pandas
import polars
import pytest
from conftest import FOLDERS, Sheet

import verifier_py as verifier


def flat(name: str) -> str:
    """A counter's name in lower case without underscores, in which C's names and ours are equal."""
    return name.replace("_", "").lower()


def same(got: dict[str, int], want: dict[str, int]) -> None:
    found = {flat(name): value for name, value in got.items()}
    for name, value in want.items():
        assert found[flat(name)] == value, name


def test_settings(sheet: Sheet) -> None:
    settings = sheet.dump.settings()
    assert settings.level == sheet.want["level"]
    summary = {name: value for name, value in sheet.want["summary"].items() if name != "Level"}
    same(dict(settings.statistics), summary)


def test_drivers(sheet: Sheet) -> None:
    frame = polars.DataFrame(sheet.dump.drivers())
    panda = pandas.DataFrame.from_arrow(sheet.dump.drivers())
    assert frame.height == len(panda) == len(sheet.want["drivers"])
    by_polars = {row["name"].lower(): row for row in frame.to_dicts()}
    by_pandas = {row["name"].lower(): row for row in panda.to_dict("records")}
    for want in sheet.want["drivers"]:
        for rows in (by_polars, by_pandas):
            row: dict[str, Any] = rows[want["name"].lower()]
            for name in ("loads", "unloads", "base", "size", "suspect_entry", "target_driver"):
                if name in want:
                    # pandas uses floats if a value may be absent; they are exact enough to compare.
                    value = row[name]
                    exact = not isinstance(value, float)
                    assert value == (want[name] if exact else float(want[name])), name
            if "counters" in want:
                same(row["counters"], want["counters"])
            else:
                assert row["counters"] is None and row["base"] is None or row["base"] != row["base"]


@pytest.mark.parametrize("by", ["polars", "pandas"])
def test_pool(sheet: Sheet, by: str) -> None:
    table = sheet.dump.pool()
    rows: list[Any]
    if by == "polars":
        rows = polars.DataFrame(table).to_dicts()
    else:
        rows = pandas.DataFrame.from_arrow(table).to_dict("records")
    want = sheet.blocks()
    assert sorted(row["address"] for row in rows) == sorted(want)
    for row in rows:
        driver, one = want[row["address"]]
        assert (row["size"], row["tag"]) == (one["size"], one["tag"])
        if driver is None:
            # Its caller is a frame of its stack.
            assert row["source"] == "pool info tree" and row["caller"] in one["frames"]
            continue
        assert (row["driver"].lower(), row["caller"]) == (driver, one["caller"])
        symbol, right = row["caller_symbol"], one["caller_symbol"]
        if symbol is None or symbol != symbol:
            assert right[0].startswith("0x")
        else:
            assert symbol in right
    one = sheet.want["drivers"][0]["name"]
    of_one = [row for row in rows if row["driver"].lower() == one.lower()]
    assert len(sheet.dump.pool(one)) == len(of_one) >= len(sheet.want["drivers"][0]["allocations"])


@pytest.mark.parametrize("by", ["records", "polars", "pandas"])
def test_pool_log(sheet: Sheet, by: str) -> None:
    log = sheet.dump.log("pool")
    rows: list[Any]
    if by == "records":
        rows = [event._asdict() | {"frames": [f._asdict() for f in event.frames]} for event in log]
    elif by == "polars":
        rows = polars.DataFrame(log).to_dicts()
    else:
        rows = pandas.DataFrame.from_arrow(log).to_dict("records")
    entries = sheet.want["pool_log"]["entries"]
    assert log.capacity == sheet.want["pool_log"]["length"]
    assert len(rows) == len(log) == len(entries)
    symbols_of: dict[int, set[str | None]] = {}
    for row, want in zip(rows, entries, strict=True):
        for name in ("address", "size", "thread"):
            assert row[name] == want[name]
        assert [frame["address"] for frame in row["frames"]] == want["frames"]
        for frame in row["frames"]:
            symbols_of.setdefault(frame["address"], set()).add(frame["symbol"])
        operation = "free" if want["free"] else "allocate"
        assert row["operation"] == (operation if want["address"] else "failed")
    for address, symbols in symbols_of.items():
        (symbol,) = symbols
        right = sheet.names(address)
        assert symbol in right or symbol is None and right[0].startswith("0x")


SHEETS = {"irql": "irql_log", "fault": "fault_log", "region": "critical_region_log", "irp": "irp_log"}


@pytest.mark.parametrize("by", ["records", "polars", "pandas"])
@pytest.mark.parametrize("kind", SHEETS)
def test_event_logs(sheet: Sheet, kind: str, by: str) -> None:
    if SHEETS[kind] not in sheet.want:
        pytest.skip(f"the sheet has no {SHEETS[kind]}")
    entries = sheet.want[SHEETS[kind]]
    log: verifier.Log[Any] = sheet.dump.log(kind)
    rows: list[Any]
    if by == "records":
        rows = [event._asdict() for event in log]
        assert all(rows[i] == event._asdict() for i, event in enumerate(log))
    elif by == "polars":
        rows = polars.DataFrame(log).to_dicts()
    else:
        rows = pandas.DataFrame.from_arrow(log).to_dict("records")
    # One driver of the dumps has no symbols.
    assert log.kind == kind
    assert [one.what for one in log.problems] in ([], ["symbols of vendor.sys"])
    assert len(rows) == len(log) == len(entries) > 0
    for row, want in zip(rows, entries, strict=True):
        assert len(row["frames"]) == want["frames"]
        shown = {name: value for name, value in row.items() if name in want and name != "frames"}
        assert shown == {name: want[name] for name in shown} and "thread" in shown


def expected_stacks(sheet: Sheet) -> dict[int, list[int] | None]:
    """The stack of each block: the newest record of its address, unless that is a free."""
    newest: dict[int, list[int] | None] = {}
    for entry in sheet.want["pool_log"]["entries"]:
        if entry["address"]:
            newest.setdefault(entry["address"], None if entry["free"] else entry["frames"])
    # The pool info tree has the block's own stack.
    return newest | {one["address"]: one["frames"] for one in sheet.want.get("pool_info", ())}


@pytest.mark.parametrize("by", ["records", "polars", "pandas"])
def test_leaks(sheet: Sheet, by: str) -> None:
    leaks = sheet.dump.leaks()
    rows: list[Any]
    if by == "records":
        rows = leaks.to_dicts()
    elif by == "polars":
        rows = polars.DataFrame(leaks).to_dicts()
    else:
        rows = pandas.DataFrame.from_arrow(leaks).to_dict("records")
    stacks = expected_stacks(sheet)
    want = sheet.held()
    seen = []
    for row in rows:
        blocks = list(row["allocations"])
        assert row["count"] == len(blocks) and row["bytes"] == sum(one["size"] for one in blocks)
        for one in blocks:
            seen.append(one["address"])
            driver, block = want[one["address"]]
            assert driver is None or driver == one["driver"].lower()
            assert (one["size"], one["tag"]) == (block["size"], block["tag"])
            stack = stacks.get(one["address"])
            if stack:
                assert [frame["address"] for frame in row["stack"]] == stack
                assert row["why_no_stack"] is None or row["why_no_stack"] != row["why_no_stack"]
            else:
                assert row["stack"] is None and row["why_no_stack"]
    assert sorted(seen) == sorted(want)
    assert leaks.coverage.allocations == len(want)
    assert leaks.coverage.with_stack == sum(bool(stacks.get(address)) for address in want)
    assert leaks.counted == len(want) and leaks.omitted == (0, 0, 0)


def test_leaks_in_other_groups(sheet: Sheet) -> None:
    rows: list[tuple[object, ...]] = [
        (one.driver, one.size, one.tag, one.caller, False) for one in sheet.dump.pool()
    ]
    # Contiguous memory has separate groups.
    rows += [(one.driver, one.size, None, one.caller, True) for one in sheet.dump.contiguous()]
    names = ["driver", "size", "tag", "caller", "contiguous"]
    pool = polars.DataFrame(rows, names, orient="row", schema_overrides={"caller": polars.UInt64})
    groups = {"tag": sheet.dump.leaks("tag"), "driver": sheet.dump.leaks("driver")}
    groups["size"] = sheet.dump.leaks("size")
    for by, leaks in groups.items():
        sums = pool.group_by(by, "contiguous").agg(polars.len(), polars.col("size").sum().alias("bytes"))
        assert sorted((one.count, one.bytes) for one in leaks) == sorted(
            zip(sums["len"], sums["bytes"], strict=True)
        )
    callers = sheet.dump.leaks("caller")
    assert len(callers) == len(pool.unique(["caller", "contiguous"]))
    assert list(sheet.dump.leaks("driver frame")) == list(sheet.dump.leaks("frame"))


def test_a_diff_of_a_dump_with_itself_is_empty(sheet: Sheet) -> None:
    other = verifier.open(sheet.folder / "memory.dmp", symbols=sheet.folder / "symbols")
    diff = verifier.diff(sheet.dump, other)
    assert diff.same_boot and len(diff) == 0 and diff.growth == (0, 0)
    assert diff.old == diff.new and diff.old.count == len(sheet.held())
    assert verifier.diff(sheet.dump, other, "tag").unchanged == len(sheet.dump.leaks("tag"))


def test_a_diff_of_two_dumps_matches_their_sheets(sheet: Sheet) -> None:
    """Growth by tag, compared with the sheets of both dumps."""
    old = Sheet(next(folder for folder in FOLDERS if folder != sheet.folder))

    def sums(one: Sheet) -> dict[str | None, int]:
        bytes_of: dict[str | None, int] = {}
        for _, block in one.held().values():
            bytes_of[block["tag"]] = bytes_of.get(block["tag"], 0) + block["size"]
        return bytes_of

    before, after = sums(old), sums(sheet)
    diff = verifier.diff(old.dump, sheet.dump, "tag")
    assert not diff.same_boot and diff.why
    assert {one.tag: one.growth.bytes for one in diff if one.growth.bytes} == {
        tag: after.get(tag, 0) - before.get(tag, 0)
        for tag in before | after
        if after.get(tag, 0) != before.get(tag, 0)
    }
    assert (diff.old.bytes, diff.new.bytes) == (sum(before.values()), sum(after.values()))


def test_history_of_a_freed_block(sheet: Sheet) -> None:
    """The records of one address in order, as pairs of an allocation and its free."""
    entries = sheet.want["pool_log"]["entries"]
    block = next(entry["address"] for entry in entries if entry["free"] and entry["address"])
    history = sheet.dump.history(block)
    assert len(history.lifetimes) > 0
    for life in history.lifetimes:
        for index, operation in ((life.allocated, "allocate"), (life.freed, "free")):
            if index is not None:
                event = history.events[index]
                assert event.address == life.block and event.operation == operation
    for table in (history.lifetimes, history.freed_entries, history.neighbors):
        assert polars.DataFrame(table).to_dicts() == table.to_dicts()
        assert [one._asdict() for one in table] == table.to_dicts()
    assert all(one.address != block for one in history.neighbors)
    assert history.to_dict()["neighbors"] == history.neighbors.to_dicts()


def test_log_of_one_address(sheet: Sheet) -> None:
    block = next(e["address"] for e in sheet.want["pool_log"]["entries"] if e["address"])
    log = sheet.dump.log("pool")
    about = [event for event in log if event.address <= block < event.address + max(event.size, 1)]
    assert about and list(sheet.dump.log("pool", address=block)) == about
    assert list(sheet.dump.log("pool", last=7)) == list(log[:7])
    history = sheet.dump.history(block)
    assert list(history.events) == about
    assert {one.address for one in history.outstanding} == {
        one.address for one in sheet.dump.pool() if one.address <= block < one.address + one.size
    }


def test_info(sheet: Sheet) -> None:
    info = sheet.dump.info()
    assert info["build"] == sheet.want["build"]
    assert info["machine"] == {"pae": "x86"}.get(sheet.want["arch"], sheet.want["arch"])
    assert info["kernel"]["base"] == sheet.want["nt_base"]
    assert info["directory_table_base"] == sheet.want["dtb"]
    assert {m["name"] for m in info["kernel"]["modules"]} >= set(sheet.want["modules"])


def test_deadlock(sheet: Sheet) -> None:
    """If deadlock detection is off, the document says so and has every key."""
    try:
        deadlock = sheet.dump.deadlock()
    except (verifier.MissingSymbol, verifier.MissingType, verifier.FaultError) as error:
        pytest.skip(f"this dump does not tell: {error}")
    if want := sheet.want.get("deadlock"):
        found = {one["resource_address"]: one["node_count"] for one in deadlock["resources"]}
        assert found == {one["address"]: one["nodes"] for one in want["resources"]}
        assert sorted(one["thread"] for one in deadlock["threads"]) == sorted(want["threads"])
        return
    assert deadlock["address"] is None and deadlock["inactive_because"]
    assert deadlock["resources"] == deadlock["threads"] == deadlock["cycles"] == ()
    assert deadlock["inactive_because"] in repr(deadlock)
    assert deadlock.to_dot().startswith("digraph") and deadlock.to_text()
    assert deadlock.to_dict()["problems"] == [one._asdict() for one in deadlock.problems]
