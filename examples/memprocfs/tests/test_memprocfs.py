"""Memory through LeechCore and MemProcFS gives the same leaks as the dump itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("memprocfs", reason="memprocfs is not installed, or not for this system")
import verifier_py  # noqa: E402

SCRIPT = Path(__file__).resolve().parents[1] / "leaks.py"
SHARED = Path(os.environ.get("VERIFIER_SHARED_DUMPS") or SCRIPT.parents[2].parent / "shared" / "dumps")

if not hasattr(verifier_py.Session, "leaks"):
    pytest.skip("this verifier_py has no leaks()", allow_module_level=True)


def padded(dump: Path, folder: Path) -> Path:
    """A copy of the size that LeechCore requires."""
    copy = folder / "padded.dmp"
    copy.write_bytes(dump.read_bytes())
    os.truncate(copy, max(copy.stat().st_size, 16 << 20))
    return copy


def said(dump: Path, symbols: Path, *options: str) -> str:
    command = [sys.executable, str(SCRIPT), str(dump), "--symbols", str(symbols), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    # MemProcFS and LeechCore also write to standard output.
    return done.stdout


@pytest.mark.parametrize("options", [(), ("--vmm",)], ids=["leechcore", "memprocfs"])
@pytest.mark.parametrize("name", ["win7-rich", "win10-19041-rich"])
def test_shared_dumps(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    folder = SHARED / name
    if not (folder / "memory.dmp").exists():
        pytest.skip(f"no dumps in {SHARED}")
    symbols = folder / "symbols"
    leaks = verifier_py.open(folder / "memory.dmp", symbols=symbols).leaks()
    assert len(leaks) > 1
    text = said(padded(folder / "memory.dmp", tmp_path), symbols, *options)
    assert str(leaks.to_text()) in text


def test_a_device_without_page_tables_is_told(tmp_path: Path) -> None:
    # LeechCore treats a summary dump, such as the sample, as a file of raw memory.
    dump = padded(verifier_py.demo(tmp_path).path, tmp_path)
    done = subprocess.run([sys.executable, str(SCRIPT), str(dump)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "the device does not say where" in done.stderr
