"""A session over memory that Python code reads."""

from __future__ import annotations

import json
import lzma
import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy
import pytest
from conftest import Sheet
from readers import Physical, Virtual

import verifier_py as verifier


def hints(dump: verifier.Dump) -> dict[str, Any]:
    info = dump.info()
    return {
        "machine": info["machine"],
        "build": info["build"],
        "ps_loaded_module_list": info["ps_loaded_module_list"],
        "kd_debugger_data_block": info["kd_debugger_data_block"],
    }


def logged(session: verifier.Session, kind: str) -> Any:
    """A log, or the error if the build does not have it."""
    try:
        log = session.log(kind)
    except verifier.VerifierError as error:
        return type(error), str(error)
    return log.to_dicts(), log.problems, log.capacity, log.written, log.empty_because


def everything(session: verifier.Session) -> list[Any]:
    block = session.pool()[0].address
    return [
        session.settings().to_dict(),
        session.drivers().to_dicts(),
        session.pool().to_dicts(),
        session.pool().problems,
        session.log("pool").to_dicts(),
        session.log("pool").problems,
        session.history(block).to_dict(),
        session.leaks().to_dicts(),
        session.leaks().problems,
        session.leaks("frame", skip="Dispatch").to_dicts(),
        str(session.leaks().to_text(top=None)),
        *(logged(session, kind) for kind in verifier.LOGS if kind != "pool"),
        # The title names the file, if there is one.
        re.sub(r" – memory\.dmp[^<–]*?(?= –|<)", "", str(session.flamegraph())),
        str(session.kd("!verifier 3")),
        session.info().to_dict()["kernel"]["modules"],
    ]


@pytest.fixture
def nt(folder: Path) -> Path:
    return next(folder.glob("symbols/ntkrnlmp.pdb/*.json"))


@pytest.fixture
def arguments(folder: Path, dump: verifier.Dump) -> dict[str, Any]:
    """All arguments of a session over the sample, except its memory."""
    dtb = dump.info()["directory_table_base"]
    return {"dtb": dtb, "symbols": folder / "symbols", **hints(dump)}


def test_physical(folder: Path, dump: verifier.Dump, arguments: dict[str, Any]) -> None:
    session = verifier.Session(memory=Physical(folder / "memory.dmp"), **arguments)
    assert everything(session) == everything(dump)
    assert "path" not in session.info() and session.info()["paging"] == "x64, 4 levels"
    # Without a header, the kernel's own note of the bug check is shown.
    assert session.info()["bug_check"] == dump.info()["bug_check"]
    assert str(session.kd(".bugcheck")) == str(dump.kd(".bugcheck"))


def test_stable_memory_is_read_less_often(folder: Path, arguments: dict[str, Any]) -> None:
    def reads(stable: bool) -> tuple[int, list[Any]]:
        memory = Physical(folder / "memory.dmp")
        session = verifier.Session(memory=memory, **arguments, stable=stable)
        return memory.reads, everything(session)

    moving, still = reads(False), reads(True)
    assert still[1] == moving[1] and still[0] * 2 < moving[0]


@pytest.mark.parametrize("searched", [False, True])
def test_page_tables_of_a_running_machine_are_walked_anew(
    folder: Path, arguments: dict[str, Any], searched: bool
) -> None:
    if searched:
        arguments["ps_loaded_module_list"] = arguments["kd_debugger_data_block"] = None
    for stable in (False, True):
        memory = Physical(folder / "memory.dmp")
        session = verifier.Session(memory=memory, **arguments, stable=stable)
        level = session.settings().level
        # Remove the top table: without it, only cached translations lead to a page.
        del memory.pages[arguments["dtb"] // 0x1000]
        if stable:
            assert session.settings().level == level
        else:
            with pytest.raises(verifier.FaultError):
                session.settings()


def test_virtual(folder: Path, dump: verifier.Dump, arguments: dict[str, Any]) -> None:
    dtb = arguments.pop("dtb")
    memory = Virtual(Physical(folder / "memory.dmp"), dtb)
    session = verifier.Session(memory=memory, **arguments)
    assert everything(session) == everything(dump)
    assert session.info()["paging"] is None


def test_answer_sheets(sheet: Sheet) -> None:
    info = sheet.dump.info()
    arguments = hints(sheet.dump)
    memory = Physical(sheet.folder / "memory.dmp")
    session = verifier.Session(
        memory=memory,
        dtb=info["directory_table_base"],
        symbols=sheet.folder / "symbols",
        pae="PAE" in (info["paging"] or ""),
        **arguments,
    )
    assert everything(session) == everything(sheet.dump)


@pytest.mark.parametrize("hint", ["ps_loaded_module_list", "kd_debugger_data_block"])
def test_one_hint_is_enough(
    folder: Path, dump: verifier.Dump, arguments: dict[str, Any], hint: str
) -> None:
    arguments[hint] = None
    session = verifier.Session(memory=Physical(folder / "memory.dmp"), **arguments)
    assert list(session.pool()) == list(dump.pool())


@pytest.mark.parametrize("given", [True, False])
def test_the_kernel_alone_is_enough(
    folder: Path, dump: verifier.Dump, arguments: dict[str, Any], given: bool
) -> None:
    """With its base, or the page tables to find it, symbols give the addresses of its lists."""
    arguments["ps_loaded_module_list"] = arguments["kd_debugger_data_block"] = None
    if given:
        arguments["kernel_base"] = dump.info()["kernel"]["base"]
    session = verifier.Session(memory=Physical(folder / "memory.dmp"), **arguments)
    assert list(session.pool()) == list(dump.pool())


def test_symbols_of_every_kind(
    folder: Path, dump: verifier.Dump, nt: Path, arguments: dict[str, Any], tmp_path: Path
) -> None:
    text = nt.read_bytes()
    memory = Physical(folder / "memory.dmp")
    want = [(one.address, one.size) for one in dump.pool()]
    kernel_only: list[Any] = [
        nt,
        str(nt),
        text,
        lzma.compress(text),
        json.loads(text),
        [tmp_path, text],
    ]
    for symbols in kernel_only:
        session = verifier.Session(memory=memory, **arguments | {"symbols": symbols})
        assert [(one.address, one.size) for one in session.pool()] == want
        assert session.pool()[0].caller_symbol == "myfault+0x1634"
    session = verifier.Session(memory=memory, **arguments | {"symbols": [text, folder / "symbols"]})
    assert list(session.pool()) == list(dump.pool())


def test_pdb_as_bytes(sheet: Sheet) -> None:
    (pdb,) = sheet.folder.glob("symbols/ntkr*.pdb/*/*.pdb")
    dump = verifier.open(sheet.folder / "memory.dmp", symbols=[pdb.read_bytes()])
    want = [(one.address, one.size, one.tag) for one in sheet.dump.pool()]
    assert [(one.address, one.size, one.tag) for one in dump.pool()] == want
    other = next(sheet.folder.glob("symbols/leaky.pdb/*/*.pdb"))
    with pytest.raises(verifier.FormatError, match="is wanted"):
        verifier.open(sheet.folder / "memory.dmp", symbols=[other.read_bytes()])


@pytest.mark.parametrize("kind", [bytearray, memoryview, lambda data: numpy.frombuffer(data, "u1")])
def test_other_bytes_serve(
    folder: Path, dump: verifier.Dump, arguments: dict[str, Any], kind: Callable[[bytes], Any]
) -> None:
    class Reader(Physical):
        def read(self, address: int, size: int) -> Any:
            return kind(super().read(address, size))

    session = verifier.Session(memory=Reader(folder / "memory.dmp"), **arguments)
    assert list(session.pool()) == list(dump.pool())


def test_symbols_in_a_buffer(folder: Path, nt: Path, arguments: dict[str, Any]) -> None:
    memory = Physical(folder / "memory.dmp")
    for kind in (bytearray, memoryview):
        arguments["symbols"] = kind(nt.read_bytes())
        assert len(verifier.Session(memory=memory, **arguments).pool()) == 10


def test_absent(folder: Path, arguments: dict[str, Any]) -> None:
    """If a reader raises, bytes are absent: the view raises a fault, or reports a problem with the rest."""

    class Nothing:
        def read(self, address: int, size: int) -> bytes:
            raise LookupError(f"nothing at {address:#x}")

    with pytest.raises(verifier.FaultError, match="LookupError: nothing at 0x") as fault:
        verifier.Session(memory=Nothing(), **arguments)
    assert fault.value.address == arguments["ps_loaded_module_list"]
    assert isinstance(fault.value.__cause__, LookupError)
    assert "nothing at" in str(fault.value.__cause__)

    class Holes(Physical):
        hole = range(0)

        def read(self, address: int, size: int) -> bytes:
            data = super().read(address, size)
            if self.hole and data.startswith(b"\x45\x13\x32\x21", 0x10):
                raise OSError("a hole")
            return data

    memory = Holes(folder / "memory.dmp")
    session = verifier.Session(memory=memory, **arguments)
    whole = session.pool()
    assert len(whole) == 10 and not whole.problems
    memory.hole = range(1)
    part = session.pool()
    assert len(part) < 10 or part.problems


@pytest.mark.parametrize("level", [1, None])
def test_fault(
    folder: Path, dump: verifier.Dump, arguments: dict[str, Any], level: int | None
) -> None:
    """A fault has the address, and the level of the page table if translation failed."""
    address = dump.settings().address
    whole = Physical(folder / "memory.dmp")
    entries: list[int] = []

    class Walk(Physical):
        def read(self, address: int, size: int) -> bytes:
            entries.append(address)
            return super().read(address, size)

    Virtual(Walk(folder / "memory.dmp"), arguments["dtb"]).read(address, 8)
    *_, entry, data = entries

    class Hole:
        opened = False

        def read(self, address: int, size: int) -> bytes:
            if self.opened and level is None and address <= data < address + size:
                raise LookupError("a hole")
            if self.opened and level == 1 and address == entry:
                return bytes(size)
            return whole.read(address, size)

    memory = Hole()
    session = verifier.Session(memory=memory, **arguments)
    memory.opened = True
    with pytest.raises(verifier.FaultError) as fault:
        session.settings()
    assert (fault.value.address, fault.value.level) == (address, level)
    # The cause is the reader's exception if a page table could not be read.
    cause = fault.value.__cause__
    assert cause is None if level else isinstance(cause, LookupError) and str(cause) == "'a hole'" or (
        str(cause) == "a hole"
    )


@pytest.mark.parametrize(
    ("lie", "error", "text"),
    [
        (lambda data: data[:-1], ValueError, r"returned \d+ bytes"),
        (lambda data: data + b"x", ValueError, r"returned \d+ bytes"),
        (lambda data: b"", ValueError, "returned 0 bytes"),
        (lambda data: None, TypeError, "returned NoneType, not bytes"),
        (lambda data: data.decode("latin-1"), TypeError, "returned str, not bytes"),
        (lambda data: list(data), TypeError, "returned list, not bytes"),
    ],
)
def test_liars(
    folder: Path, arguments: dict[str, Any], lie: Any, error: type[Exception], text: str
) -> None:
    class Liar(Physical):
        lies = True

        def read(self, address: int, size: int) -> Any:
            data = super().read(address, size)
            return lie(data) if self.lies else data

    liar = Liar(folder / "memory.dmp")
    with pytest.raises(error, match=text):
        verifier.Session(memory=liar, **arguments)
    assert liar.reads == 1, "nothing more is read from a reader that lies"
    liar.lies = False
    session = verifier.Session(memory=liar, **arguments)
    liar.lies = True
    for view in (
        session.pool,
        session.drivers,
        session.settings,
        session.leaks,
        session.report,
        session.flamegraph,
        lambda: session.log("pool"),
        lambda: session.log("irql"),
        lambda: verifier.diff(session, session),
    ):
        with pytest.raises(error, match=text):
            view()
    liar.lies = False
    assert len(session.pool()) == 10, "a session outlives what its reader did"


def test_garbage(arguments: dict[str, Any]) -> None:
    class Garbage:
        def __init__(self, seed: int) -> None:
            self.state = seed

        def read(self, address: int, size: int) -> bytes:
            self.state = (self.state * 0x5851F42D4C957F2D + address + 1) % 2**64
            return (self.state.to_bytes(8, "little") * (size // 8 + 1))[:size]

    for seed in range(30):
        with pytest.raises(verifier.VerifierError):
            verifier.Session(memory=Garbage(seed), **arguments)
    arguments.pop("dtb")
    for seed in range(30):
        try:
            session = verifier.Session(memory=Garbage(seed), **arguments)
            session.info()
            session.leaks()
        except verifier.VerifierError:
            pass


class Interrupted(Physical):
    """A reader that raises Ctrl-C after a number of reads."""

    after = -1

    def read(self, address: int, size: int) -> bytes:
        if self.reads == self.after:
            self.reads += 1
            raise KeyboardInterrupt
        return super().read(address, size)


def test_interrupt(folder: Path, arguments: dict[str, Any]) -> None:
    """Ctrl-C in a reader ends the work at once, in any view."""
    memory = Interrupted(folder / "memory.dmp")
    session = verifier.Session(memory=memory, **arguments)
    whole = session.pool()
    for later in (0, 1, 10, 50):
        memory.after = memory.reads + later
        with pytest.raises(KeyboardInterrupt):
            session.log("pool")
        assert memory.reads == memory.after + 1
    assert list(session.pool()) == list(whole)


VIEWS: dict[str, Callable[[verifier.Session], Any]] = {
    "pool": lambda session: (session.pool().to_dicts(), session.pool().problems),
    "log": lambda session: (session.log("pool").to_dicts(), session.log("pool").problems),
    "leaks": lambda session: (session.leaks().to_dicts(), session.leaks().problems),
    "info": lambda session: session.info().to_dict(),
    "kd": lambda session: str(session.kd("lm")),
    "deadlock": lambda session: session.deadlock().to_dict(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_what_was_interrupted_is_not_kept(folder: Path, arguments: dict[str, Any], name: str) -> None:
    """After Ctrl-C at any read of a new session's first view, the second view is complete."""
    view = VIEWS[name]
    memory = Interrupted(folder / "memory.dmp")
    # Only the kernel's symbols: names of other modules are read from their images.
    arguments["symbols"] = next(folder.glob("symbols/ntkrnlmp.pdb/*.json"))
    session = verifier.Session(memory=memory, **arguments)
    before = memory.reads
    want = view(session)
    reads = memory.reads - before
    for later in range(0, reads, max(1, reads // 60)):
        session = verifier.Session(memory=memory, **arguments)
        memory.after = memory.reads + later
        with pytest.raises(KeyboardInterrupt):
            view(session)
        memory.after = -1
        assert view(session) == want, f"after {later} reads"


@pytest.mark.parametrize("threaded", [False, True])
def test_ctrl_c(folder: Path, arguments: dict[str, Any], threaded: bool) -> None:
    """A signal while Rust works over a slow reader: Python's handler ends the work at a read."""

    class Slow(Physical):
        alarm = -1

        def read(self, address: int, size: int) -> bytes:
            if self.reads == self.alarm:
                signal.raise_signal(signal.SIGINT)
            return super().read(address, size)

    memory = Slow(folder / "memory.dmp")
    session = verifier.Session(memory=memory, **arguments)
    whole = session.leaks().to_dicts()
    memory.alarm = memory.reads + 20
    if threaded:
        # Handlers run in the main thread, which waits here, so the other thread continues.
        with ThreadPoolExecutor(1) as threads, pytest.raises(KeyboardInterrupt):
            threads.submit(session.leaks).result()
    else:
        with pytest.raises(KeyboardInterrupt):
            session.leaks()
        assert memory.reads < memory.alarm + 10
    memory.alarm = -1
    assert session.leaks().to_dicts() == whole


def test_progress(folder: Path) -> None:
    """The progress callable gets each step of the work, and can end the work by raising."""
    calls: list[tuple[str, int, int | None]] = []
    dump = verifier.open(
        folder / "memory.dmp",
        symbols=folder / "symbols",
        progress=lambda *said: calls.append(said),
    )
    dump.report()
    stages = [what for what, done, _ in calls if done == 0]
    assert stages == [
        "reading the pool log",
        "finding symbols",
        "reading the whole pool log",
        "writing",
    ]
    views: list[tuple[str, Callable[[], object]]] = [
        ("reading the pool log", lambda: dump.log("pool")),
        ("reading the IRQL transition log", lambda: dump.log("irql")),
        ("reading the pool log", lambda: dump.history(0xFFFFFA8005400000)),
        ("!verifier 80", lambda: dump.kd("!verifier 80")),
    ]
    for stage, look in views:
        calls.clear()
        look()
        assert calls[0] == (stage, 0, None)

    def enough(what: str, done: int, total: int | None) -> None:
        raise LookupError(f"enough of {what}")

    dump = verifier.open(folder / "memory.dmp", symbols=folder / "symbols", progress=enough)
    for view in (dump.leaks, dump.report, dump.flamegraph, lambda: verifier.diff(dump, dump)):
        with pytest.raises(LookupError, match="enough of reading the pool log"):
            view()
    assert len(dump.pool()) == 10


def test_a_reader_on_its_own_session(folder: Path, arguments: dict[str, Any]) -> None:
    class Curious(Physical):
        session: verifier.Session | None = None
        seen: BaseException | None = None

        def read(self, address: int, size: int) -> bytes:
            if self.session is not None:
                try:
                    self.session.pool()
                except RuntimeError as error:
                    self.seen = error
            return super().read(address, size)

    memory = Curious(folder / "memory.dmp")
    session = verifier.Session(memory=memory, **arguments)
    memory.session = session
    assert len(session.pool()) == 10
    assert "session that it reads for" in str(memory.seen)


def test_a_session_over_a_session(
    folder: Path, dump: verifier.Dump, arguments: dict[str, Any]
) -> None:
    """A reader may use another session."""

    class Layered(Physical):
        def read(self, address: int, size: int) -> bytes:
            dump.settings()
            return super().read(address, size)

    session = verifier.Session(memory=Layered(folder / "memory.dmp"), **arguments)
    assert list(session.pool()) == list(dump.pool())


def test_arguments(folder: Path, arguments: dict[str, Any]) -> None:
    memory = Physical(folder / "memory.dmp")
    with pytest.raises(TypeError, match="read"):
        verifier.Session(memory=b"bytes", **arguments)  # type: ignore[arg-type]
    with pytest.raises(verifier.UsageError, match="vax"):
        verifier.Session(memory=memory, **arguments | {"machine": "vax"})
    for hints in ({"dtb": 0}, {}):
        with pytest.raises(verifier.UsageError, match="is unknown.*ps_loaded_module_list=.*kernel_base="):
            verifier.Session(memory=memory, **hints)  # type: ignore[arg-type]
    for wrong in (5, "often"):
        with pytest.raises(TypeError, match="progress must be callable"):
            verifier.Session(memory=memory, **arguments | {"progress": wrong})
        with pytest.raises(TypeError, match="progress must be callable"):
            verifier.open(folder / "memory.dmp", progress=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        verifier.Session(memory)  # type: ignore[call-arg]
