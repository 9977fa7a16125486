"""Every view has the data of the command's JSON, and marks the same fields as addresses."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from conftest import Sheet

import verifier_py as verifier
from verifier_py import _documents, _values

COMMAND = os.environ.get("VERIFIER_COMMAND")

pytestmark = pytest.mark.skipif(
    not COMMAND, reason="VERIFIER_COMMAND does not say where the command is"
)


def plain(value: Any) -> Any:
    """Named tuples and frozen documents as dicts and lists."""
    if isinstance(value, verifier.Table):
        return value.to_dicts()
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    return value


def facts(table: Any, *names: str) -> dict[str, Any]:
    ends = ("complete", "extent", "incomplete_because", "problems")
    return {name: plain(getattr(table, name)) for name in (*names, *ends)}


def by_driver(pool: verifier.Pool, contiguous: verifier.Table[Any]) -> dict[str, Any]:
    """The table, nested like the command's JSON."""
    drivers: dict[Any, Any] = {}
    for part, table in (("allocations", pool), ("contiguous", contiguous)):
        for row in table.to_dicts():
            parts = drivers.setdefault(row.pop("driver"), {"allocations": [], "contiguous": []})
            parts[part].append(row)
    unowned = drivers.pop(None, {"allocations": []})["allocations"]
    nested = [{"name": name, **parts} for name, parts in drivers.items()]
    return {"drivers": nested, "unowned": unowned, **facts(pool, "pool_info")}


def carved(pool: verifier.CarvedPool) -> dict[str, Any]:
    drivers = {one["owner"]: {**plain(one), "allocations": []} for one in pool.owners}
    own = ("driver", "owner", "is_signed")

    def rest(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in own}

    for row in pool.to_dicts():
        drivers[row["owner"]]["allocations"].append(rest(row))
    comparison = plain(pool.comparison)
    if comparison:
        comparison["only_carved"] = [rest(row) for row in comparison["only_carved"]]
    return {
        **facts(pool, "source", "pages_looked_at", "why_not_compared"),
        "drivers": list(drivers.values()),
        "comparison": comparison,
    }


RING = ("kind", "capacity", "written", "order", "wrapped", "unused", "empty_because")
LEAKS = ("unload_leak", "by", "filter", "summary", "baseline", "coverage", "log", "pool_info", "omitted")


def leaks(groups: verifier.Leaks) -> dict[str, Any]:
    """The table in two lists, like the command's JSON."""
    rows = groups.to_dicts()
    return {
        "groups": [row for row in rows if row["source"] != "contiguous"],
        "contiguous": [row for row in rows if row["source"] == "contiguous"],
        **facts(groups, *LEAKS),
    }


VIEWS: dict[str, tuple[list[str], Callable[[verifier.Dump], dict[str, Any]]]] = {
    "info": (["info"], lambda dump: dump.info().to_dict()),
    "settings": (["settings"], lambda dump: dump.settings().to_dict()),
    "drivers": (
        ["drivers"],
        lambda dump: {"drivers": dump.drivers().to_dicts(), **facts(dump.drivers())},
    ),
    "pool": (["pool"], lambda dump: by_driver(dump.pool(), dump.contiguous())),
    "pool --by-stack": (
        ["pool", "--by-stack"],
        lambda dump: {
            "stacks": dump.pool_stacks().to_dicts(),
            **facts(dump.pool_stacks(), "source", "pool_info"),
        },
    ),
    "pool --carve": (["pool", "--carve"], lambda dump: carved(dump.pool(carve=True))),
    "log pool --carve": (
        ["log", "pool", "--carve"],
        lambda dump: {
            "entries": dump.log("pool", carve=True).to_dicts(),
            **facts(
                dump.log("pool", carve=True), "kind", "source", "order", "pages_looked_at", "pages"
            ),
        },
    ),
    "log watched": (
        ["log", "watched"],
        lambda dump: {
            "entries": dump.log("watched").to_dicts(),
            **facts(
                dump.log("watched"),
                *("kind", "length", "maximum", "tick", "canceled", "empty_because"),
            ),
        },
    ),
    "leaks": (
        ["leaks"],
        lambda dump: leaks(dump.leaks()),
    ),
    "leaks --tag": (
        ["leaks", "--tag", "Leak", "--min-size", "16"],
        lambda dump: leaks(dump.leaks(tag="Leak", min_size=16)),
    ),
    "history": (
        ["history", "--address"],
        lambda dump: dump.history(dump.pool()[0].address).to_dict(),
    ),
    "deadlock": (["deadlock"], lambda dump: dump.deadlock().to_dict()),
}


def log_view(kind: str) -> Callable[[verifier.Dump], dict[str, Any]]:
    return lambda dump: {
        "entries": dump.log(kind).to_dicts(),
        **facts(dump.log(kind), *RING),
    }


VIEWS |= {f"log {kind}": (["log", kind], log_view(kind)) for kind in verifier.LOGS}


def without_unknown_lines(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame as JSON has it: the command leaves out what is unknown."""
    unknown = ("file", "line", "inlined")
    return {name: value for name, value in frame.items() if value or name not in unknown}


def differ(theirs: Any, ours: Any, path: str, differences: list[str], hexes: set[str]) -> None:
    """The differences between the command's document and ours; addresses are text there, numbers here."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if "inlined" in ours:
            ours = without_unknown_lines(ours)
        if theirs.keys() != ours.keys():
            differences.append(f"{path}: {sorted(theirs.keys() ^ ours.keys())}")
        for name in theirs.keys() & ours.keys():
            differ(theirs[name], ours[name], f"{path}.{name}", differences, hexes)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            differences.append(f"{path}: {len(theirs)} and {len(ours)}")
        for one, other in zip(theirs, ours):
            differ(one, other, path, differences, hexes)
    elif isinstance(theirs, str) and isinstance(ours, int):
        hexes.add(path.rsplit(".", 1)[-1])
        if int(theirs, 16) != ours:
            differences.append(f"{path}: {theirs} and {ours:#x}")
    elif isinstance(ours, os.PathLike) or path == ".path":
        pass
    elif theirs != ours:
        differences.append(f"{path}: {theirs!r} and {ours!r}")


def compare(folder: Path, dump: verifier.Dump, name: str) -> set[str]:
    """The names of all addresses in the command's document, which equals ours."""
    words, view = VIEWS[name]
    arguments = [*words, str(folder / "memory.dmp"), "--symbols", str(folder / "symbols")]
    if name == "history":
        arguments = ["history", *arguments[2:], "--address", hex(dump.pool()[0].address)]
    assert COMMAND
    done = subprocess.run(
        [COMMAND, *arguments, "--format", "json"], capture_output=True, text=True
    )
    # If data cannot be read at all, the command prints a document that says so, and fails.
    if done.returncode and not done.stdout:
        with pytest.raises(verifier.VerifierError):
            view(dump)
        return set()
    differences: list[str] = []
    hexes: set[str] = set()
    theirs, ours = json.loads(done.stdout), view(dump)
    if name == "pool":
        # A flat table has no row for a driver without blocks.
        theirs["drivers"] = [
            one for one in theirs["drivers"] if one["allocations"] or one["contiguous"]
        ]
    differ(theirs, ours, "", differences, hexes)
    assert not differences, "\n".join(differences[:20])
    return hexes


def test_a_diff(folder: Path, other: verifier.Dump, dump: verifier.Dump) -> None:
    """A diff equals the command's; its problems name their dump."""
    old, new = str(other.path), str(dump.path)
    assert COMMAND
    arguments = ["--tag", "Le*", "--by", "function", "--symbols", str(folder / "symbols")]
    done = subprocess.run(
        [COMMAND, "diff", old, new, *arguments, "--format", "json"], capture_output=True, text=True
    )
    diff = verifier.diff(other, dump, "function", tag="Le*")
    sides = {
        "old": (diff.old, diff.old_with_stack, diff.old_filter),
        "new": (diff.new, diff.new_with_stack, diff.new_filter),
    }
    ours: dict[str, Any] = {
        name: {**total._asdict(), "with_stack": with_stack, "filter": plain(filtered)}
        for name, (total, with_stack, filtered) in sides.items()
    }
    ours |= facts(diff, "same_boot", "why", "by", "rebuilt", "omitted", "unchanged")
    ours["groups"] = diff.to_dicts()
    differences: list[str] = []
    differ(json.loads(done.stdout), ours, "", differences, set())
    assert not differences and diff.old_filter and diff.old_filter.tag == "Le*", "\n".join(differences[:20])


@pytest.mark.parametrize("name", VIEWS)
def test_of_the_sample(folder: Path, name: str) -> None:
    compare(folder, verifier.open(folder / "memory.dmp", symbols=folder / "symbols"), name)


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "history"])
def test_of_a_damaged_sample(damaged: verifier.Dump, name: str) -> None:
    """An incomplete answer has the same problems, with the same extents."""
    compare(damaged.path.parent, damaged, name)


@pytest.mark.parametrize("name", VIEWS)
def test_of_a_dump(sheet: Sheet, name: str) -> None:
    fresh = verifier.open(sheet.folder / "memory.dmp", symbols=sheet.folder / "symbols")
    hexes = compare(sheet.folder, fresh, name)
    if name in ("info", "settings", "deadlock"):
        # A document's text shows the same values in hexadecimal as JSON.
        assert hexes <= _documents._ADDRESSES, hexes - _documents._ADDRESSES


def test_a_record_shows_what_its_column_is(sheet: Sheet) -> None:
    """A record's text shows those fields in hexadecimal whose column is marked so."""
    dump = sheet.dump
    history = dump.history(dump.pool()[0].address)
    tables: list[verifier.Table[Any]] = [
        dump.drivers(),
        dump.pool(),
        dump.pool(carve=True),
        dump.log("pool", carve=True),
        dump.leaks(),
        dump.pool_stacks(),
        dump.contiguous(),
        verifier.diff(dump, dump),
        verifier.flags(0x9BB),
        history.outstanding,
        history.lifetimes,
        history.neighbors,
    ]
    for kind in (*verifier.LOGS, "watched"):
        try:
            tables.append(dump.log(kind))
        except verifier.VerifierError:
            pass

    def shown(fields: Any) -> set[str]:
        """The fields that are marked, themselves or as items of a list."""
        marked = set()
        for field in fields:
            item = field.type.value_field if pyarrow.types.is_list(field.type) else field
            if (item.metadata or {}).get(b"display") == b"hex":
                marked.add(field.name)
        return marked

    def check(name: str, fields: Any) -> None:
        record = getattr(verifier, name)
        assert shown(fields) == _values._hex_fields(record), name
        assert [field.name for field in fields] == list(record._fields)

    seen = set()
    for table in tables:
        schema = pyarrow.schema(table)
        if len(table):
            name = type(table[0]).__name__
            seen.add(name)
            check(name, schema)
        for part, record in (("frames", "Frame"), ("images", "Image"), ("allocations", "LeakedBlock")):
            if part in schema.names and pyarrow.types.is_list(schema.field(part).type):
                check(record, schema.field(part).type.value_type)
    assert {"Driver", "Allocation", "PoolEvent", "LeakGroup", "CarvedPoolEvent"} <= seen
