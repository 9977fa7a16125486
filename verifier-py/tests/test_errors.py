"""Each error is one exception of the tree, with the attributes that a program needs."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import verifier_py as verifier


def test_the_tree() -> None:
    for error, parent in (
        (verifier.FormatError, ValueError),
        (verifier.UsageError, ValueError),
        (verifier.FaultError, LookupError),
        (verifier.SymbolsMissing, LookupError),
        (verifier.MissingType, LookupError),
        (verifier.MissingSymbol, LookupError),
    ):
        assert issubclass(error, verifier.VerifierError) and issubclass(error, parent)
    fault = verifier.FaultError("text", address=5, level=2)
    copy = pickle.loads(pickle.dumps(fault))
    assert (copy.args, copy.address, copy.level) == (("text",), 5, 2)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        verifier.open(tmp_path / "none.dmp")
    assert missing.value.filename == str(tmp_path / "none.dmp")
    with pytest.raises(IsADirectoryError):
        verifier.open(tmp_path)
    (tmp_path / "text").write_text("this is no dump, but it is long enough " * 1000)
    with pytest.raises(verifier.FormatError, match="signature") as malformed:
        verifier.open(tmp_path / "text")
    assert malformed.value.offset == 0
    (tmp_path / "empty").touch()
    for mmap in (True, False):
        with pytest.raises(verifier.FormatError):
            verifier.open(tmp_path / "empty", mmap=mmap)
    with pytest.raises(OSError):
        verifier.demo(tmp_path / "empty" / "below a file")


def test_no_symbols(folder: Path) -> None:
    dump = verifier.open(folder / "memory.dmp", symbols=[])
    assert dump.info()["kernel"]["types"] == "built-in layouts of x64 build 7601"
    assert len(dump.pool()) == 10
    with pytest.raises(verifier.MissingSymbol, match="not found without") as missing:
        dump.log("irql")
    assert missing.value.name == "ViTrackIrqlQueue"


def test_no_symbols_and_no_layouts(folder: Path, tmp_path: Path) -> None:
    image = bytearray((folder / "memory.dmp").read_bytes())
    # A build without known layouts: MinorVersion in the header.
    image[0xC:0x10] = (1000).to_bytes(4, "little")
    # Remove the data that show the right build: NtBuildLab, and the signature of a verified driver's data.
    for mark in (b"7601.", (0x98761940).to_bytes(4, "little")):
        assert mark in image
        image = image.replace(mark, bytes(len(mark)))
    (tmp_path / "memory.dmp").write_bytes(image)
    dump = verifier.open(tmp_path / "memory.dmp", symbols=[])
    assert dump.info()["kernel"]["types"] is None
    for view in (
        dump.pool,
        dump.drivers,
        dump.settings,
        dump.leaks,
        dump.report,
        lambda: dump.log("irql"),
        lambda: verifier.diff(dump, dump),
        lambda: dump.kd("!verifier"),
    ):
        with pytest.raises(verifier.SymbolsMissing, match="ntkrnlmp.pdb") as unknown:
            view()
        assert unknown.value.name == "ntkrnlmp.pdb"
        assert unknown.value.guid == "F19D4C36A538D72835CA4BEEEC16715B"
        assert unknown.value.age == 1


def test_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", str(folder / "symbols"))
    assert len(verifier.open(folder / "memory.dmp").pool()) == 10


def test_other_symbols(folder: Path) -> None:
    path = next(folder.glob("symbols/ntkrnlmp.pdb/*.json"))
    table = json.loads(path.read_text())
    trace = table["user_types"].pop("_VF_POOL_TRACE")
    dump = verifier.open(folder / "memory.dmp", symbols=[table])
    with pytest.raises(verifier.MissingType, match="_VF_POOL_TRACE") as missing:
        dump.log("pool")
    assert (missing.value.type, missing.value.field) == ("_VF_POOL_TRACE", None)
    assert len(dump.pool()) == 10

    del trace["fields"]["Thread"]
    table["user_types"]["_VF_POOL_TRACE"] = trace
    dump = verifier.open(folder / "memory.dmp", symbols=[table])
    with pytest.raises(verifier.MissingType, match="Thread") as missing:
        dump.log("pool")
    assert (missing.value.type, missing.value.field) == ("_VF_POOL_TRACE", "Thread")

    table["symbols"].pop("ViTrackIrqlQueue")
    dump = verifier.open(folder / "memory.dmp", symbols=[table])
    with pytest.raises(verifier.MissingSymbol) as global_:
        dump.log("irql")
    assert global_.value.name == "ViTrackIrqlQueue"

    # Without the list, the tree still leads to the blocks that drivers hold.
    table["symbols"].pop("VfSuspectDriversList")
    dump = verifier.open(folder / "memory.dmp", symbols=[table])
    assert len(dump.pool()) == 10
    assert "list of configured drivers" in [problem.what for problem in dump.pool().problems]

    table["metadata"]["windows"]["pdb"]["GUID"] = "0" * 32
    for wrong in (table, b"neither", b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0", b"\xfd7zXZ\0", b"{"):
        with pytest.raises(verifier.FormatError) as unusable:
            verifier.open(folder / "memory.dmp", symbols=[wrong])
        assert unusable.value.offset is None


def test_absent_memory(folder: Path, tmp_path: Path) -> None:
    """A dump that was cut short gives the data that are left; the rest is a fault or a problem."""
    data = (folder / "memory.dmp").read_bytes()
    seen = set()
    for keep in range(0x4000, len(data), 0x1000):
        (tmp_path / "cut.dmp").write_bytes(data[:keep])
        dump = verifier.open(tmp_path / "cut.dmp", symbols=folder / "symbols")
        assert dump.info()["missing_at_end"] is None or dump.info()["missing_at_end"] > 0
        for view in (dump.drivers, dump.pool, dump.settings, dump.leaks, lambda: dump.log("pool")):
            try:
                seen.add("problems" if view().problems else "whole")
            except verifier.VerifierError as error:
                seen.add(type(error).__name__)
                if isinstance(error, verifier.FaultError):
                    assert error.address
    assert "FaultError" in seen and len(seen) > 1


def test_fault_level(folder: Path) -> None:
    """A fault has the level of the page table that lacks the entry."""

    class Absent:
        def read(self, address: int, size: int) -> bytes:
            return bytes(size)  # page tables without entries

    with pytest.raises(verifier.FaultError, match="level 4") as fault:
        verifier.Session(memory=Absent(), dtb=0x1000, ps_loaded_module_list=0xFFFFF80001839C90)
    assert (fault.value.address, fault.value.level) == (0xFFFFF80001839C90, 4)
    assert fault.value.__cause__ is None, "the reader gave all that was asked for"


def test_arguments(dump: verifier.Dump, folder: Path) -> None:
    for call, text in (
        (lambda: dump.kd("!analyze"), "not a known command"),
        (lambda: dump.kd("!verifier zz"), "not a number"),
        (lambda: dump.kd("lm", style="vista"), "style"),  # type: ignore[arg-type]
        (lambda: dump.pool("other.sys"), "other.sys"),
        (lambda: dump.log("music"), "music"),
        (lambda: dump.leaks("color"), "color"),  # type: ignore[arg-type]
        (lambda: dump.leaks(driver="other.sys"), "other.sys"),
        (lambda: dump.leaks(skip="("), "skip"),
        (lambda: dump.leaks(pool_type="swimming"), "swimming"),  # type: ignore[arg-type]
        (lambda: dump.flamegraph(weight="kilos"), "kilos"),  # type: ignore[call-overload]
        (lambda: verifier.diff(dump, dump, boot="left"), "left"),  # type: ignore[arg-type]
        (lambda: verifier.flags(names=["nonsense"]), "nonsense"),
        (lambda: verifier.flags(), "level"),
        (lambda: verifier.open(folder / "memory.dmp", symbols="srv*"), "symbol path"),
    ):
        with pytest.raises(verifier.UsageError, match=text):
            call()
    with pytest.raises(TypeError, match="not int"):
        verifier.open(folder / "memory.dmp", symbols=3)  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        dump.history(-1)
    with pytest.raises(OverflowError):
        dump.leaks(min_size=-1)
    with pytest.raises(TypeError):
        verifier.diff(dump, "memory.dmp")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        verifier.Dump()  # type: ignore[call-arg]


def test_the_dump_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.dmp"
    copy.write_bytes((folder / "memory.dmp").read_bytes())
    dump = verifier.open(copy, symbols=folder / "symbols")
    for write in (dump.report, dump.flamegraph, dump.leaks().flamegraph):
        with pytest.raises(verifier.UsageError, match="the output is the dump itself"):
            write(copy)
    assert copy.read_bytes() == (folder / "memory.dmp").read_bytes()


def test_garbage_in_a_dump(folder: Path, tmp_path: Path) -> None:
    """With any changed bytes, the answer is a result or an exception of the tree."""
    data = (folder / "memory.dmp").read_bytes()
    for seed in range(60):
        evil = bytearray(data)
        for i in range(400):
            at = 0x3000 + (seed * 7919 + i * 104729 + i * i * 31) % (len(data) - 0x3008)
            struct.pack_into("<Q", evil, at, (seed * 0x9E3779B97F4A7C15 + i * 0xBF58476D1CE4E5B9) % 2**64)
        (tmp_path / "evil.dmp").write_bytes(evil)
        try:
            dump = verifier.open(tmp_path / "evil.dmp", symbols=folder / "symbols")
        except verifier.VerifierError:
            continue
        views: list[Callable[[], Any]] = [dump.info, dump.settings, dump.drivers, dump.pool]
        views += [dump.leaks, dump.report, lambda: verifier.diff(dump, dump)]
        views += [partial(dump.log, kind) for kind in verifier.LOGS]
        for view in views:
            try:
                result = view()
                result._repr_html_(), repr(result)
            except verifier.VerifierError:
                pass
