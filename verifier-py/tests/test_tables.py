"""Tables as Python sequences and as Arrow streams."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pytest

import verifier_py as verifier

def sql(query: str, **tables: object) -> list[Any]:
    """What duckdb answers, the tables registered as they are."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(query).fetchall()


LEAK = "myfault!MyfaultDeviceControl+0x358"


@pytest.fixture(params=["drivers", "pool", "log", "flags", "outstanding", "events"])
def table(request: pytest.FixtureRequest, dump: verifier.Dump) -> verifier.Table[tuple[object, ...]]:
    history = dump.history(dump.pool()[0].address)
    tables: dict[str, verifier.Table[tuple[object, ...]]] = {
        "drivers": dump.drivers(),
        "pool": dump.pool(),
        "log": dump.log("pool"),
        "flags": verifier.flags(0x9BB),
        "outstanding": history.outstanding,
        "events": history.events,
    }
    return tables[request.param]


def test_sequence(table: verifier.Table[tuple[object, ...]]) -> None:
    rows = list(table)
    assert len(rows) == len(table) > 0
    assert rows == [table[i] for i in range(len(table))]
    assert table[-1] == rows[-1]
    assert list(table[1:]) == rows[1:] and list(table[:-1]) == rows[:-1] and list(table[5:2]) == []
    assert [*zip(iter(table), iter(table))] == [*zip(rows, rows)]
    for wrong in (len(table), -len(table) - 1):
        with pytest.raises(IndexError):
            table[wrong]
    with pytest.raises(ValueError, match="step 1"):
        table[::2]
    with pytest.raises(TypeError, match="not str"):
        table["address"]  # type: ignore[call-overload]
    assert tuple(type(rows[0])._fields) == table.columns  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(rows)) == rows


def test_frozen(dump: verifier.Dump) -> None:
    pool = dump.pool()
    with pytest.raises(AttributeError):
        pool.problems = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        pool[0].size = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        dump.settings().statistics["x"] = 1  # type: ignore[index]
    with pytest.raises(TypeError):
        dump.info()["kernel"]["base"] = 1
    hash(pool[0]), hash(dump.log("pool")[0])


def test_arrow_round_trip(table: verifier.Table[tuple[object, ...]]) -> None:
    arrow = pyarrow.table(table)
    arrow.validate(full=True)
    assert arrow.to_pylist() == table.to_dicts()
    assert pyarrow.schema(table) == arrow.schema
    assert polars.DataFrame(table).to_dicts() == table.to_dicts()
    assert polars.from_arrow(table).to_list() == table.to_dicts()  # type: ignore[union-attr]
    assert len(pandas.DataFrame.from_arrow(table)) == len(table)
    assert pyarrow.table(polars.DataFrame(table)).num_rows == len(table)
    assert len(sql("select * from t", t=table)) == len(table)
    # A stream belongs to one consumer; a table gives as many as are asked for.
    assert pyarrow.table(table) == pyarrow.table(table)
    assert pyarrow.table(table[1:]).num_rows == len(table) - 1
    assert pyarrow.table(table[:0]).schema == arrow.schema


def test_a_stream_that_nobody_takes(dump: verifier.Dump) -> None:
    for _ in range(100):
        dump.pool().__arrow_c_stream__()
        dump.pool().__arrow_c_schema__()


def test_types(dump: verifier.Dump) -> None:
    schema = pyarrow.schema(dump.log("pool"))
    address = schema.field("address")
    assert address.type == pyarrow.uint64() and not address.nullable
    assert address.metadata == {b"display": b"hex"}
    assert schema.field("size").metadata is None
    frame = schema.field("frames").type.value_type
    assert frame.field("address").type == pyarrow.uint64()
    assert pyarrow.types.is_dictionary(frame.field("symbol").type)
    assert frame.field("symbol").nullable
    drivers = pyarrow.schema(dump.drivers())
    assert drivers.field("base").nullable and not drivers.field("loads").nullable


def test_sql_over_a_table(dump: verifier.Dump) -> None:
    query = """
        select log.frames[3].symbol, count(*), sum(pool.size)
        from pool join log using (address) where log.operation = 'allocate' group by 1
    """
    rows = sql(query, log=dump.log("pool"), pool=dump.pool())
    assert rows == [(LEAK, 10, 10 * 0xFB000)]


def test_repr(dump: verifier.Dump) -> None:
    assert repr(dump.pool()) == "<pool: 10 rows>"
    assert repr(dump.pool()[:1]) == "<pool: 1 row>"
    assert repr(dump.settings()) == "<settings: level 0x8 (Pool tracking)>"
    assert repr(dump.info()) == "<info: build 7601, x64>"
    assert "address=0xfffffa8005400000, size=1028096" in repr(dump.pool()[0])
    for thing in (dump.pool(), dump.log("pool"), dump.drivers(), dump.settings(), dump.info()):
        html = thing._repr_html_()
        assert html.startswith("<table>") and len(html) < 20_000
    assert "0xfffffa8005400000" in dump.pool()._repr_html_()
    assert LEAK in dump.log("pool")._repr_html_()
    assert dump.kd("lm")._repr_html_().startswith("<pre>")


def test_html_is_escaped(folder: Path, tmp_path: Path) -> None:
    evil = """<b>&"'/.sys"""
    data = (folder / "memory.dmp").read_bytes()
    old = "myfault.sys".encode("utf-16-le")
    assert data.count(old) >= 2 and len(evil) == len("myfault.sys")
    (tmp_path / "evil.dmp").write_bytes(data.replace(old, evil.encode("utf-16-le")))
    dump = verifier.open(tmp_path / "evil.dmp", symbols=folder / "symbols")
    assert dump.pool()[0].driver == evil
    for thing in (dump.pool(), dump.drivers(), dump.info(), dump.kd("!verifier 3")):
        html = thing._repr_html_()
        assert "<b>" not in html and "&lt;b&gt;" in html


def test_documents(dump: verifier.Dump) -> None:
    settings = dump.settings()
    assert settings.to_dict()["flags"] == [{"bit": 8, "name": "Pool tracking"}]
    assert settings.flags.level == settings.level == 8
    assert settings.statistics["allocations_attempted"] == 11
    info = dump.info().to_dict()
    assert info["bug_check"] == {"code": 0xE2, "parameters": [0, 0, 0, 0]}
    assert info["kernel"]["modules"][0]["pdb"]["name"] == "ntkrnlmp.pdb"
    assert info["path"].endswith("memory.dmp")
    history = dump.history(0xFFFFFA8005400010)
    assert repr(history) == "<history of 0xfffffa8005400010: 1 outstanding, 1 events>"
    assert history.to_dict()["events"][0]["frames"][2]["symbol"] == LEAK


def test_log(dump: verifier.Dump) -> None:
    log = dump.log("pool")
    assert (log.kind, log.capacity, log.empty_because, len(log)) == ("pool", 65536, None, 12)
    assert log.written == 12
    assert [event.operation for event in log] == ["allocate"] * 10 + ["free", "allocate"]
    assert isinstance(log, verifier.Table)


def test_kd(dump: verifier.Dump) -> None:
    old = dump.kd("!verifier 3 myfault.sys", style="win7")
    new = dump.kd("!verifier 3 myfault.sys")
    assert old != new and "fffff8800447d634" in old and LEAK in new
    assert isinstance(new, str) and new.problems == ()
    assert pickle.loads(pickle.dumps(new)) == new
    assert LEAK in dump.kd("!verifier 80 fffffa8005400000")


def test_flags() -> None:
    assert verifier.flags(0x9BB).level == 0x9BB
    assert [flag.name for flag in verifier.flags(9)] == ["Special pool", "Pool tracking"]
    assert verifier.flags(names=["pool tracking", "special-pool"]).level == 9
    assert list(verifier.flags(0)) == []


def test_demo(tmp_path: Path) -> None:
    dump = verifier.demo(tmp_path / "new" / "folder")
    assert dump.path == tmp_path / "new" / "folder" / "memory.dmp"
    assert isinstance(dump, verifier.Session) and len(dump.pool("myfault")) == 10
    again = verifier.demo(str(tmp_path / "new" / "folder"))
    assert list(again.pool()) == list(dump.pool())
