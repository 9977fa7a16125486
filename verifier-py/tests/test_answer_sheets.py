"""Every answer sheet, by way of the records, of polars and of pandas."""

from __future__ import annotations

from typing import Any

import pandas
import polars
import pytest
from conftest import Sheet


def flat(name: str) -> str:
    """A counter's name without case and underscores: C's and ours are then the same."""
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
                    # pandas has floats where a value may be absent: enough to tell them apart.
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
    want = [
        (driver["name"].lower(), one) for driver in sheet.want["drivers"] for one in driver["allocations"]
    ]
    key = ("address", "size", "tag", "caller")
    assert sorted((row["driver"].lower(), *(row[k] for k in key)) for row in rows) == sorted(
        (driver, *(one[k] for k in key)) for driver, one in want
    )
    names = {one["address"]: one["caller_symbol"] for _, one in want}
    for row in rows:
        symbol = row["caller_symbol"]
        right = names[row["address"]]
        if symbol is None or symbol != symbol:
            assert right[0].startswith("0x")
        else:
            assert symbol in right
    one = sheet.dump.pool(sheet.want["drivers"][0]["name"])
    assert len(one) == len(sheet.want["drivers"][0]["allocations"])


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
    told: dict[int, set[str | None]] = {}
    for row, want in zip(rows, entries, strict=True):
        for name in ("address", "size", "thread"):
            assert row[name] == want[name]
        assert [frame["address"] for frame in row["frames"]] == want["frames"]
        for frame in row["frames"]:
            told.setdefault(frame["address"], set()).add(frame["symbol"])
        operation = "free" if want["free"] else "allocate"
        assert row["operation"] == (operation if want["address"] else "failed")
    for address, symbols in told.items():
        (symbol,) = symbols
        right = sheet.names(address)
        assert symbol in right or symbol is None and right[0].startswith("0x")


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
