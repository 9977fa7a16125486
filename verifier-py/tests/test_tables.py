"""Tables as Python sequences and as Arrow streams."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow
import pytest

from conftest import Sheet

import verifier_py as verifier

def sql(query: str, **tables: object) -> list[Any]:
    """duckdb's answer to a query over the registered tables."""
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(query).fetchall()


LEAK = "myfault!MyfaultDeviceControl+0x358"


TABLES = "drivers pool log flags leaks leaks-by-tag diff outstanding events lifetimes".split()


@pytest.fixture(params=TABLES)
def table(
    request: pytest.FixtureRequest, dump: verifier.Dump, other: verifier.Dump
) -> verifier.Table[tuple[object, ...]]:
    history = dump.history(dump.pool()[0].address)
    tables: dict[str, verifier.Table[tuple[object, ...]]] = {
        "drivers": dump.drivers(),
        "pool": dump.pool(),
        "log": dump.log("pool"),
        "flags": verifier.flags(0x9BB),
        "leaks": dump.leaks(),
        "leaks-by-tag": dump.leaks("tag"),
        "diff": verifier.diff(dump, other),
        "outstanding": history.outstanding,
        "events": history.events,
        "lifetimes": history.lifetimes,
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
    for step in (2, 3, -1, -2, 1000):
        assert list(table[::step]) == rows[::step]
        assert pyarrow.table(table[::step]).to_pylist() == table.to_dicts()[::step]
    assert list(table[1:5:2]) == rows[1:5:2] and list(table[8:1:-3]) == rows[8:1:-3]
    for huge in (1 << 70, -(1 << 70)):
        with pytest.raises(IndexError, match="of"):
            table[huge]
    assert list(reversed(table)) == rows[::-1]
    assert table.index(rows[-1]) == rows.index(rows[-1]) and table.count(rows[0]) == rows.count(rows[0])
    assert rows[0] in table and rows[0][:-1] not in table and table.count("nothing") == 0
    with pytest.raises(ValueError):
        table.index("nothing")
    with pytest.raises(ValueError):
        table.index(rows[0], len(table))
    # A table has all operations of a sequence but is not registered as one, because polars would then read it
    # row by row instead of by columns.
    assert not isinstance(table, Sequence)
    with pytest.raises(TypeError, match="not str"):
        table["address"]  # type: ignore[call-overload]
    assert tuple(type(rows[0])._fields) == table.columns  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(rows)) == rows


def test_equal_and_pickled(table: verifier.Table[tuple[object, ...]], dump: verifier.Dump) -> None:
    plain: verifier.Table[tuple[object, ...]] = verifier.Table(table)
    assert plain == verifier.Table(table) and hash(plain) == hash(verifier.Table(table))
    assert plain[1:] == table[1:][:] or isinstance(table, (verifier.Log, verifier.Pool, verifier.Flags))
    assert plain != verifier.Table(table)[1:] and plain != list(table) and plain != dump.contiguous()
    assert list(plain) == list(table) and repr(plain) == repr(table)
    for part in (plain, plain[1:], plain[::-1], plain[:0]):
        again = pickle.loads(pickle.dumps(part))
        assert again == part and list(again) == list(part)
        assert pyarrow.table(again) == pyarrow.table(part)
        assert pyarrow.schema(again).equals(pyarrow.schema(part), check_metadata=True)
        assert again.problems == part.problems and repr(again) == repr(part)
    assert copy.deepcopy(plain) == copy.copy(plain) == plain
    if isinstance(table, (verifier.Leaks, verifier.Diff)):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(table)


def test_no_table_of_anything() -> None:
    from verifier_py._verifier_py import _restore

    name, record, rows, columns, *rest = verifier.flags(9)[:].__reduce__()[1][1].__reduce__()[1]
    assert list(_restore(name, record, rows, columns, *rest)) == list(verifier.flags(9))
    (field, (length, validity, buffers, children)), second = columns
    for array in (
        (length, validity, [buffers[0][:4]], children),
        (length + 1, validity, buffers, children),
        (length, validity, [], children),
        (length, validity, buffers, [second[1]]),
    ):
        with pytest.raises(ValueError):
            _restore(name, record, rows, ((field, array), second), *rest)
    length, validity, (offsets, text), children = second[1]
    wild = (length, validity, [offsets[:-4] + b"\xff\xff\xff\x7f", text], children)
    with pytest.raises(ValueError):
        _restore(name, record, rows, (columns[0], (second[0], wild)), *rest)


def test_documents_are_equal_and_pickled(dump: verifier.Dump) -> None:
    block = dump.pool()[0].address
    for make in (
        dump.info,
        dump.settings,
        dump.deadlock,
        lambda: dump.history(block),
        lambda: verifier.flags(9),
        lambda: dump.log("pool"),
        lambda: dump.log("watched"),
        dump.pool,
        dump.pool_stacks,
        lambda: dump.pool(carve=True),
        lambda: dump.log("pool", carve=True),
        lambda: dump.drivers()[0],
    ):
        one, two = make(), make()
        assert one == two and hash(one) == hash(two), one
        again = pickle.loads(pickle.dumps(one))
        assert again == one and type(again) is type(one) and repr(again) == repr(one)
        assert copy.deepcopy(one) == one
    assert dump.log("pool") != dump.log("pool", last=3)
    assert pickle.loads(pickle.dumps(dump.deadlock())).to_text() == dump.deadlock().to_text()


def test_a_slice_keeps_what_is_known(dump: verifier.Dump) -> None:
    log = dump.log("pool")[2:5]
    assert isinstance(log, verifier.Log) and (log.kind, log.capacity, len(log)) == ("pool", 65536, 3)
    assert isinstance(dump.pool()[:1], verifier.Pool) and dump.pool()[:1].pool_info.blocks == 0
    assert type(dump.leaks()[:1]) is verifier.Table


def test_frozen(dump: verifier.Dump) -> None:
    pool = dump.pool()
    with pytest.raises(AttributeError):
        pool.problems = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        dump.log("pool").kind = "x"
    settings = dump.settings()
    with pytest.raises(AttributeError):
        settings.modes["options"].append("x")
    with pytest.raises(TypeError):
        settings.modes["fault_injection"]["probability"] = 1
    with pytest.raises(TypeError):
        dump.drivers()[0].counters.update(x=1)  # type: ignore[union-attr]
    changed = settings.to_dict()
    changed["modes"]["fault_injection"]["probability"] = changed["statistics"]["x"] = 1
    assert settings == dump.settings()
    hash(settings), hash(dump.drivers()[0]), hash(dump.info()), hash(dump.history(0))
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
    # By design of polars, from_arrow makes a Series of every stream.
    series = polars.from_arrow(table)
    assert isinstance(series, polars.Series) and series.to_list() == table.to_dicts()
    assert series.struct.unnest().equals(polars.DataFrame(table))
    assert len(pandas.DataFrame.from_arrow(table)) == len(table)
    assert pyarrow.table(polars.DataFrame(table)).num_rows == len(table)
    assert len(sql("select * from t", t=table)) == len(table)
    # A stream has one consumer; a table gives any number of streams.
    assert pyarrow.table(table) == pyarrow.table(table)
    assert pyarrow.table(table[1:]).num_rows == len(table) - 1
    assert pyarrow.table(table[:0]).schema == arrow.schema


def test_a_stream_without_a_consumer_is_released(dump: verifier.Dump) -> None:
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


def test_leaks(dump: verifier.Dump, tmp_path: Path) -> None:
    leaks = dump.leaks()
    (group,) = leaks
    assert isinstance(leaks, verifier.Table) and leaks.by == "stack"
    assert (group.count, group.bytes, group.tag, group.label) == (10, 10 * 0xFB000, "Leak", LEAK)
    assert group.stack and group.stack[2].symbol == LEAK and group.why_no_stack is None
    assert [one.address for one in group.allocations] == [one.address for one in dump.pool()]
    assert group.allocations[0].requested == 0xFA000
    assert leaks.coverage == (10, 10, 0, 10 * 0xFB000, 10 * 0xFB000, (10, 0), ())
    assert leaks.pool_info is None and group.stack_source == "pool log"
    assert (leaks.log.capacity, leaks.log.records, leaks.counted) == (65536, 12, 10)
    assert leaks.to_text().startswith("10 blocks are outstanding")
    assert leaks.to_markdown(top=None).startswith("### Driver Verifier: 10 blocks")
    folded = leaks.to_folded(weight="count")
    assert folded.startswith("myfault.sys;") and folded.endswith(";(tag Leak) 10\n")
    picture = leaks.flamegraph()
    assert leaks.flamegraph(inverted=True) != picture
    blocks = leaks.blocks()
    assert len(blocks) == 10 and type(blocks[0]) is verifier.HeldBlock
    assert all(block.stack == group.stack and block.why_no_stack is None for block in blocks)
    assert blocks.complete
    assert isinstance(picture, verifier.Picture) and "MyfaultDeviceControl" in picture
    assert picture._repr_svg_() == picture == dump.flamegraph()
    assert leaks.flamegraph(tmp_path / "new" / "x.svg") == ()
    assert (tmp_path / "new" / "x.svg").read_text() == picture
    dump.flamegraph(str(tmp_path / "y.svg"), weight="count")
    assert "blocks" in (tmp_path / "y.svg").read_text()


def test_lines_of_source_code(sheet: Sheet) -> None:
    leaks = sheet.dump.leaks("line", driver="leaky")
    assert len(leaks) and all(group.line for group in leaks)
    assert all(group.file and group.file.endswith("leaky.c") for group in leaks)
    assert all(group.label == f"{group.file}:{group.line}" for group in leaks)
    for block in leaks.blocks():
        assert block.file and block.line
        for frame in block.stack or ():
            is_driver = (frame.symbol or "").startswith("leaky!")
            assert (frame.file is not None) == (frame.line is not None) == is_driver, frame
            assert frame.inlined == ()
    columns = sheet.dump.leaks().blocks().to_dicts()[0]["stack"]
    assert columns is None or set(columns[0]) == {"address", "symbol", "file", "line", "inlined"}


def test_source_roots(sheet: Sheet) -> None:
    file = sheet.dump.leaks("line", driver="leaky")[0].file
    assert file
    roots = {file.rpartition("/")[0]: "C:\\src"}
    dump = verifier.open(
        sheet.folder / "memory.dmp", symbols=sheet.folder / "symbols", source_roots=roots
    )
    assert dump.leaks("line", driver="leaky")[0].file == "C:\\src\\leaky.c"


def test_leaks_that_are_wanted(dump: verifier.Dump) -> None:
    assert len(dump.leaks(driver="myfault", tag="L??k", min_size=1, max_size=1 << 30)) == 1
    for nothing, words in (
        ({"tag": "Lack"}, "tag Lack"),
        ({"min_size": 1 << 30}, "at least 1,073,741,824 bytes"),
        ({"max_size": 5}, "at most 5 bytes"),
        ({"pool_type": "paged"}, "paged pool"),
    ):
        leaks = dump.leaks(**nothing)
        assert len(leaks) == 0 and leaks.counted is None
        assert leaks.to_text() == (
            f"No outstanding allocation matches {words} (10 without filters).\n"
            f"Filtered: {words}; 0 of 10 blocks.\n"
        )
    for impossible in ({"tag": "Leaky"}, {"min_size": 5, "max_size": 4}):
        with pytest.raises(verifier.UsageError):
            dump.leaks(**impossible)
    assert dump.leaks("function")[0].label == "myfault!MyfaultDeviceControl"
    whole = dump.leaks()[0].stack
    short = dump.leaks(skip="MyfaultDeviceControl")[0].stack
    assert whole and short and short == whole[3:]
    top = dump.leaks(top=0)
    assert len(top) == 0 and top.omitted == (1, 10, 10 * 0xFB000)


def test_diff(dump: verifier.Dump, other: verifier.Dump) -> None:
    diff = verifier.diff(dump, other)
    assert diff.same_boot and diff.why and diff.by == "stack-and-tag"
    assert diff.old == diff.new == (10, 10 * 0xFB000) and diff.growth == (1, 0xFB000)
    grew, shrank = diff
    assert (grew.tag, grew.growth, shrank.tag, shrank.growth) == (
        ("Lack", (1, 0xFB000), "Leak", (-1, -0xFB000))
    )
    assert grew.stack and LEAK in grew.stack and grew.appeared == shrank.gone != ()
    assert diff.to_markdown().startswith("### Driver Verifier: +1 block, ")
    assert diff.rebuilt == () and grew.merged == 0
    assert "tag Lack" in diff.to_text()
    assert not verifier.diff(dump, other, boot="other").same_boot
    assert len(verifier.diff(dump, other, "size")) == 0
    assert len(verifier.diff(dump, other, top=1)) == verifier.diff(dump, other, top=1).omitted == 1
    assert diff.problems == diff.old_problems + diff.new_problems


def test_report(dump: verifier.Dump, tmp_path: Path) -> None:
    page = dump.report()
    assert isinstance(page, verifier.Page) and page.startswith("<!doctype html>")
    assert "MyfaultDeviceControl" in page and "memory.dmp" in page
    frame = page._repr_html_()
    assert frame.startswith("<iframe sandbox=") and "<script" not in frame
    assert dump.report(tmp_path / "x.html", driver="myfault") == ()
    written = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "Filtered: driver myfault; 10 of the driver&#39;s 10 blocks." in written
    with pytest.raises(OSError):
        dump.report(tmp_path / "x.html" / "below a file.html")
    assert dump.pool("myfault")  # the session still works


def test_a_file_that_is_not_such_an_output_is_replaced_only_by_force(
    dump: verifier.Dump, tmp_path: Path
) -> None:
    leaks = dump.leaks()
    writers: list[Callable[[Path, bool], object]] = [
        lambda path, force: dump.report(path, force=force),
        lambda path, force: dump.flamegraph(path, force=force),
        lambda path, force: leaks.flamegraph(path, force=force),
    ]
    for number, write in enumerate(writers):
        path = tmp_path / str(number)
        path.write_text("mine")
        with pytest.raises(verifier.UsageError, match="force=True"):
            write(path, False)
        assert path.read_text() == "mine"
        assert write(path, True) == ()
        # It is such an output now.
        assert write(path, False) == ()


def test_records_of_every_log() -> None:
    """Each kind has its class, whose fields are those of the columns."""
    from verifier_py._records import record_class

    for kind in verifier.LOGS:
        record = getattr(verifier, f"{kind.title()}Event")
        assert record_class(record.__name__, record._fields) is record
        assert record._fields[0] == "slot" and record._fields[-3:] == ("frames", "file", "line")
    event = verifier.SuppressedEvent(1, 0xC4, 0xFFFFF80012345678, 0, 0, 0, None, (), None, None)
    assert repr(event).startswith("SuppressedEvent(slot=1, code=196, parameter1=0xfffff80012345678,")
    assert pickle.loads(pickle.dumps(event)) == event
    with pytest.raises(TypeError, match="fields"):
        record_class("FaultEvent", ("slot",))


def test_logs_by_name(dump: verifier.Dump) -> None:
    assert verifier.LOGS[0] == "pool" and {"irql", "irp", "fault"} < set(verifier.LOGS)
    with pytest.raises(verifier.UsageError, match=", ".join(verifier.LOGS)):
        dump.log("music")


def test_repr(dump: verifier.Dump) -> None:
    assert repr(dump.pool()) == "<pool: 10 rows>"
    assert repr(dump.pool()[:1]) == "<pool: 1 row>"
    assert repr(dump.settings()) == "<settings: level 0x8 (Pool tracking)>"
    assert repr(dump.info()) == "<info: build 7601, x64>"
    assert "address=0xfffffa8005400000, size=1028096" in repr(dump.pool()[0])
    assert repr(dump.leaks()) == "<leaks: 1 row>"
    assert repr(dump.flamegraph()).startswith("<picture: ")
    assert repr(dump.report()).startswith("<page: ") and str(dump.report()).startswith("<!doctype")
    assert repr(dump.leaks()[0]).startswith("LeakGroup('myfault!MyfaultDeviceControl+0x358', tag=")
    assert repr(dump.log("pool")[0]).startswith("PoolEvent(slot=12, address=0xfffffa80")
    for thing in (
        dump.pool(),
        dump.log("pool"),
        dump.drivers(),
        dump.settings(),
        dump.info(),
        dump.leaks(),
        dump.history(dump.pool()[0].address),
    ):
        html = thing._repr_html_()
        assert html.startswith("<table>") and len(html) < 20_000
    assert "0xfffffa8005400000" in dump.pool()._repr_html_()
    assert LEAK in dump.log("pool")._repr_html_()
    assert dump.kd("lm")._repr_html_().startswith("<pre>")


def named(evil: str, folder: Path, tmp_path: Path) -> verifier.Dump:
    """The sample with another name for the driver."""
    data = (folder / "memory.dmp").read_bytes()
    old = "myfault.sys".encode("utf-16-le")
    assert data.count(old) >= 2 and len(evil) == len("myfault.sys")
    (tmp_path / "evil.dmp").write_bytes(data.replace(old, evil.encode("utf-16-le")))
    dump = verifier.open(tmp_path / "evil.dmp", symbols=folder / "symbols")
    assert dump.pool()[0].driver == evil
    return dump


def test_html_turns_no_text(folder: Path, tmp_path: Path) -> None:
    obeyed = "\u061c\u200e\u200f\u202e\u2028\u2029\x9b"
    dump = named(f"{obeyed}.sys", folder, tmp_path)
    for thing in (dump.pool(), dump.drivers(), dump.info(), dump.kd("!verifier 3"), dump.leaks()):
        html = thing._repr_html_()
        assert not set(html) & set(obeyed), thing
        assert "\ufffd" * len(obeyed) + ".sys" in html, thing
    assert not set(dump.report()) & set(obeyed)


def test_html_is_escaped(folder: Path, tmp_path: Path) -> None:
    dump = named("""<b>&"'+.sys""", folder, tmp_path)
    for thing in (
        dump.pool(),
        dump.drivers(),
        dump.info(),
        dump.kd("!verifier 3"),
        dump.leaks(),
        dump.leaks().to_text(),
    ):
        html = thing._repr_html_()
        assert "<b>" not in html and "&lt;b&gt;" in html
    page = dump.report()
    assert "<b>" not in page and "&lt;b&gt;" in page and "<b>" not in page._repr_html_()


def test_documents(dump: verifier.Dump) -> None:
    settings = dump.settings()
    assert settings.to_dict()["flags"] == [{"bit": 8, "name": "Pool tracking"}]
    assert settings.flags.level == settings.level == 8
    assert settings.statistics["allocations_attempted"] == 11
    info = dump.info().to_dict()
    assert (info["bug_check"]["code"], info["bug_check"]["parameters"]) == (0xE2, [0, 0, 0, 0])
    assert info["bug_check"]["name"] is None, "not one of Verifier's"
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
    assert verifier.flags(names="pool tracking").level == 8
    assert list(verifier.flags(0)) == []


def test_demo(tmp_path: Path) -> None:
    dump = verifier.demo(tmp_path / "new" / "folder")
    assert dump.path == tmp_path / "new" / "folder" / "memory.dmp"
    assert isinstance(dump, verifier.Session) and len(dump.pool("myfault")) == 10
    again = verifier.demo(str(tmp_path / "new" / "folder"))
    assert list(again.pool()) == list(dump.pool())


def test_smaller_views(dump: verifier.Dump) -> None:
    modes = dump.settings().modes
    # Windows 7 has no rule classes; its other modes are numbers.
    assert modes["rule_classes"] is None and isinstance(modes["fault_injection"], dict)
    assert modes["excluded_drivers"] == ()
    assert modes["xdv_excluded_drivers"] is None
    assert dump.settings().to_dict()["modes"] == dict(modes) | {"excluded_drivers": [], "options": list(modes["options"])}
    log = dump.log("pool")
    assert log.wrapped is False and (log.capacity, log.written) == (65536, 12)
    watched = dump.watched_irps()
    assert watched == dump.log("watched") and watched.kind == "watched"
    assert watched.empty_because and watched.empty_because in repr(watched)
    assert watched.empty_because in watched._repr_html_()
    assert len(watched) == 0 and polars.DataFrame(watched).columns[:2] == ["address", "irp"]
    held = dump.contiguous()
    assert len(held) == 0 and polars.DataFrame(held).columns[0] == "driver"
    stacks = dump.pool_stacks()
    assert stacks.source == "pool info tree" and stacks.pool_info.empty_because
    assert stacks.pool_info.empty_because in repr(stacks)
    assert len(stacks) == 0 and polars.DataFrame(stacks).schema["in_tree"] == polars.Boolean
    for view in (dump.contiguous, dump.pool_stacks):
        with pytest.raises(verifier.UsageError, match="absent.sys"):
            view("absent.sys")


def test_no_raw_memory(folder: Path) -> None:
    # A crash dump opened as raw memory: the page tables at this address do not lead to a kernel.
    with pytest.raises(verifier.VerifierError):
        verifier.open(folder / "memory.dmp", raw=True, dtb=0x1000).pool()


def test_carved(dump: verifier.Dump) -> None:
    pool = dump.pool(carve=True)
    assert isinstance(pool, verifier.CarvedPool) and pool.source == "carved"
    assert {one.address for one in pool} == {one.address for one in dump.pool()}
    assert pool.comparison and pool.comparison.both == 10 and not pool.comparison.only_carved
    assert pool.owners[0]["name"] == "myfault.sys" and pool.owners[0]["pages"]
    one = dump.pool("myfault", carve=True)
    assert len(one) == 10 and one.comparison is None and "one driver" in str(one.why_not_compared)
    log = dump.log("pool", carve=True)
    assert {event.address for event in log} >= {event.address for event in dump.log("pool")}
    assert log.order == "unknown" and log.pages > 0
    block = dump.pool()[0].address
    assert {event.address for event in dump.log("pool", address=block, carve=True)} == {block}
    page = pool.owners[0]["pages"][0]["address"]
    part = dump.pool(range=(page, page + 0x1000))
    assert part.pages_looked_at == 1 and part[0].entry and part.why_not_compared
    for wrong in (
        lambda: dump.log("irql", carve=True),  # type: ignore[call-overload]
        lambda: dump.pool(range=(5, 5)),
    ):
        with pytest.raises(verifier.UsageError):
            wrong()


def test_missing_symbols_are_reported(folder: Path, tmp_path: Path) -> None:
    """Without this problem, missing symbols would look like addresses without names."""
    dump = verifier.open(folder / "memory.dmp", symbols=tmp_path / "none")
    for view in (
        dump.pool,
        dump.leaks,
        dump.drivers,
        dump.settings,
        dump.info,
        lambda: dump.log("pool"),
        lambda: dump.history(dump.pool()[0].address),
        lambda: dump.kd("!verifier 3"),
        dump.report,
        dump.flamegraph,
    ):
        kernel = [one for one in view().problems if one.what == "symbols of the kernel"]
        assert len(kernel) == 1 and "ntkrnlmp.pdb" in kernel[0].why and "none" in kernel[0].why
        assert kernel[0].address == dump.info()["kernel"]["base"]
    assert "symbols of myfault.sys" in [one.what for one in dump.pool().problems]
    assert "symbols of the kernel" in dump.settings()._repr_html_()
    assert "symbols of the kernel" in dump.kd("lm")._repr_html_()
    assert [one.what for one in dump.report(tmp_path / "x.html")] != []
    # Only for modules that the view shows.
    whole = verifier.open(folder / "memory.dmp", symbols=folder / "symbols")
    whole.info()
    assert whole.pool().problems == whole.leaks().problems == whole.drivers().problems == ()


def test_nothing_is_known(dump: verifier.Dump) -> None:
    assert "0x1234: nothing is known" in dump.history(0x1234)._repr_html_()


def test_paths(folder: Path, tmp_path: Path) -> None:
    dump = verifier.open(bytes(folder / "memory.dmp"), symbols=folder / "symbols")
    assert dump.path == folder / "memory.dmp"
    dump.report(bytes(tmp_path / "x.html"))
    assert (tmp_path / "x.html").exists()
    with pytest.raises(TypeError):
        verifier.open(5)  # type: ignore[arg-type]


def test_version() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        assert verifier.__version__ == version("verifier-py")
    except PackageNotFoundError:
        pytest.skip("the package is not installed")
