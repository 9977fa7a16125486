"""Shared by the tests: the sample dump, and the dumps with answer sheets if they are available."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import verifier_py as verifier

SHARED = Path(
    os.environ.get("VERIFIER_SHARED_DUMPS")
    or Path(__file__).resolve().parents[2].parent / "shared" / "dumps"
)
FOLDERS = sorted(path.parent for path in SHARED.glob("*/expect.json.xz"))


class Sheet:
    """A dump and its answer sheet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.want: dict[str, Any] = json.loads(lzma.open(folder / "expect.json.xz").read())
        self.dump = verifier.open(folder / "memory.dmp", symbols=folder / "symbols")

    def blocks(self) -> dict[int, tuple[str | None, dict[str, Any]]]:
        """The outstanding blocks with their drivers; for a block in the pool info tree the sheet has no driver."""
        blocks = {
            one["address"]: (driver["name"].lower(), one)
            for driver in self.want["drivers"]
            for one in driver["allocations"]
        }
        return blocks | {one["address"]: (None, one) for one in self.want.get("pool_info", ())}

    def held(self) -> dict[int, tuple[str | None, dict[str, Any]]]:
        """The outstanding blocks and contiguous memory, which has no tag."""
        return self.blocks() | {
            one["address"]: (driver["name"].lower(), one | {"tag": None})
            for driver in self.want["drivers"]
            for one in driver.get("contiguous", ())
        }

    def names(self, address: int) -> list[str]:
        """All correct names of an address."""
        names: list[str] = self.want["symbols"][f"{address:#x}"]
        return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sheet" in metafunc.fixturenames:
        missing = pytest.mark.skip(reason=f"no dumps with answer sheets in {SHARED}")
        folders = [pytest.param(folder, id=folder.name) for folder in FOLDERS]
        metafunc.parametrize(
            "sheet",
            folders or [pytest.param(None, id="none", marks=missing)],
            indirect=True,
            scope="session",
        )


@pytest.fixture(scope="session")
def sheet(request: pytest.FixtureRequest) -> Sheet:
    return Sheet(request.param)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sample dump."""
    folder = tmp_path_factory.mktemp("demo")
    verifier.demo(folder)
    return folder


@pytest.fixture(scope="session")
def dump(folder: Path) -> verifier.Dump:
    return verifier.open(folder / "memory.dmp", symbols=folder / "symbols")


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> verifier.Dump:
    """A dump whose driver `leaky.sys` holds 47 blocks and has a PDB with lines of source code."""
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo, which builds the dump, is not installed")
    place = tmp_path_factory.mktemp("lines")
    build = [cargo, "run", "--quiet", "-p", "verifier-synth", "--example", "leaky", "--", str(place)]
    subprocess.run(build, cwd=Path(__file__).parents[2], check=True)
    return verifier.open(place / "memory.dmp", symbols=place / "symbols")


@pytest.fixture(scope="session")
def other(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> verifier.Dump:
    """The sample with another tag on one of its blocks."""
    data = (folder / "memory.dmp").read_bytes()
    assert data.count(b"Leak") >= 10
    path = tmp_path_factory.mktemp("other") / "memory.dmp"
    path.write_bytes(data.replace(b"Leak", b"Lack", 1))
    return verifier.open(path, symbols=folder / "symbols")


@pytest.fixture(scope="session")
def damaged(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> verifier.Dump:
    """The sample without its last pages, so that its lists break off."""
    place = tmp_path_factory.mktemp("damaged")
    (place / "memory.dmp").write_bytes((folder / "memory.dmp").read_bytes()[:0x52000])
    (place / "symbols").symlink_to(folder / "symbols")
    return verifier.open(place / "memory.dmp", symbols=place / "symbols")


@pytest.fixture(autouse=True)
def no_symbol_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests use only the symbols that they name."""
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    yield
