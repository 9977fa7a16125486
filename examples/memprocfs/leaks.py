#!/usr/bin/env python3
"""Leaks over memory that LeechCore or MemProcFS reads: a dump, a remote LeechAgent, an FPGA.

    pip install ./verifier-py memprocfs
    python examples/memprocfs/leaks.py DEVICE --symbols PATH            physical memory by LeechCore
    python examples/memprocfs/leaks.py DEVICE --symbols PATH --vmm      virtual memory by MemProcFS

DEVICE is LeechCore's `-device`. Licenses: memprocfs is under the AGPL 3, leechcorepyc under the GPL 3;
neither is part of this project nor linked with it, and a program that you distribute together with them is
subject to their terms.

LeechCore does not open files of less than 16 MiB. It fails reads of part of a page, so this reads whole pages.
Live memory needs `--module-list`, the address of PsLoadedModuleList; a dump's header has it.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from typing import Any

import leechcorepyc
import verifier_py

PAGE = 0x1000
MACHINES = {0x14C: "x86", 0x8664: "x64", 0xAA64: "arm64"}


class LeechCoreMemory:
    """Physical memory of a LeechCore device. It raises an exception for a page that it does not have."""

    def __init__(self, device: leechcorepyc.LeechCore) -> None:
        # Pages may be kept only if the memory does not change.
        self.page = device.read if device.is_volatile else lru_cache(4096)(device.read)

    def read(self, address: int, size: int) -> bytes:
        skip = address % PAGE
        page: bytes = self.page(address - skip, PAGE)
        return page[skip : skip + size]


class VmmMemory:
    """The kernel's virtual memory, which MemProcFS translates (and where it can, pages in)."""

    def __init__(self, vmm: Any) -> None:
        processes = {process.pid: process for process in vmm.process_list()}
        # 4 is System. If MemProcFS does not find the processes, it has one process without a name.
        self.memory = processes.get(4, next(iter(processes.values()))).memory

    def read(self, address: int, size: int) -> bytes:
        got: bytes = self.memory.read(address, size)
        if len(got) != size:
            raise ValueError(f"{len(got)} of {size} bytes")
        return got


def option(device: leechcorepyc.LeechCore, name: str) -> int | None:
    """A value from the header of a dump; None if the device has no header."""
    try:
        return device.get_option(getattr(leechcorepyc, f"LC_OPT_MEMORYINFO_{name}")) or None
    except RuntimeError:
        return None


def open_session(
    where: str, symbols: str | None, *, vmm: bool = False, dtb: int | None = None, module_list: int | None = None
) -> verifier_py.Session:
    """A session over the device."""
    device = leechcorepyc.LeechCore(where)
    dtb = dtb or option(device, "OS_DTB")
    if dtb is None:
        raise SystemExit("the device does not say where the kernel's page tables are: --dtb")
    hints = {
        "machine": MACHINES[option(device, "OS_MACHINE_IMAGE_TP") or 0x8664],
        "build": option(device, "OS_VERSION_MINOR"),
        "ps_loaded_module_list": module_list or option(device, "OS_PsLoadedModuleList"),
        "kd_debugger_data_block": option(device, "OS_KdDebuggerDataBlock"),
    }
    if not vmm:
        return verifier_py.Session(memory=LeechCoreMemory(device), dtb=dtb, symbols=symbols, **hints)
    import memprocfs

    opened = memprocfs.Vmm(["-device", where, "-dtb", hex(dtb), "-disable-symbolserver", "-disable-python"])
    return verifier_py.Session(memory=VmmMemory(opened), symbols=symbols, **hints)


def main() -> None:
    parser = argparse.ArgumentParser(description="Leaks over memory that LeechCore or MemProcFS reads.")
    parser.add_argument("device", help="LeechCore's -device, such as a dump's path")
    parser.add_argument("--symbols", help="the syntax of _NT_SYMBOL_PATH")
    parser.add_argument("--vmm", action="store_true", help="let MemProcFS translate")
    parser.add_argument("--dtb", type=lambda text: int(text, 0), help="CR3 of the kernel")
    parser.add_argument("--module-list", type=lambda text: int(text, 0), help="address of PsLoadedModuleList")
    a = parser.parse_args()
    leaks = open_session(a.device, a.symbols, vmm=a.vmm, dtb=a.dtb, module_list=a.module_list).leaks()
    # Its first line says if the answer is not complete, and so does the exit code.
    print(leaks.to_text())
    for problem in leaks.problems:
        print(problem)
    raise SystemExit(0 if leaks.complete else 4)


if __name__ == "__main__":
    main()
