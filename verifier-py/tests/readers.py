"""Readers of dump files in plain Python, as another analyzer would provide them."""

from __future__ import annotations

import struct
from pathlib import Path

PAGE = 0x1000


class Physical:
    """The physical memory of a complete dump (type 1), a summary dump (2) or one with a bitmap (5, 6)."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.reads = 0
        wide = self.data[4:8] == b"DU64"
        kind = struct.unpack_from("<I", self.data, 0xF98 if wide else 0xF88)[0]
        self.pages: dict[int, int] = {}
        header = 0x2000 if wide else 0x1000
        if kind == 1:
            at, run, pair = (0x88, 0x98, "<QQ") if wide else (0x64, 0x6C, "<II")
            offset = header
            for i in range(struct.unpack_from("<I", self.data, at)[0]):
                base, count = struct.unpack_from(pair, self.data, run + i * struct.calcsize(pair))
                for page in range(base, base + count):
                    self.pages[page] = offset
                    offset += PAGE
        elif kind in (2, 5, 6):
            assert self.data[header : header + 8] in (b"SDMPDUMP", b"FDMPDUMP")
            if kind == 2:
                offset, bits = struct.unpack_from("<II", self.data, header + 0xC)
                bitmap = header + (0x28 if wide else 0x20)
            else:
                offset, _, bits = struct.unpack_from("<QQQ", self.data, header + 0x20)
                bitmap = header + 0x38
            for page in range(bits):
                if self.data[bitmap + page // 8] >> (page % 8) & 1:
                    self.pages[page] = offset
                    offset += PAGE
        else:
            raise ValueError(f"dump type {kind}")

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        assert address // PAGE == (address + size - 1) // PAGE, "a read crosses a page"
        at = self.pages[address // PAGE] + address % PAGE  # KeyError: absent
        return self.data[at : at + size]


class Virtual:
    """The virtual memory of an x64 kernel, translated in Python."""

    def __init__(self, physical: Physical, dtb: int) -> None:
        self.physical = physical
        self.dtb = dtb

    def read(self, address: int, size: int) -> bytes:
        table = self.dtb & 0xF_FFFF_FFFF_F000
        for level in (4, 3, 2, 1):
            shift = 12 + 9 * (level - 1)
            entry_at = table + 8 * (address >> shift & 0x1FF)
            entry = int.from_bytes(self.physical.read(entry_at, 8), "little")
            transition = level == 1 and entry & 0xC00 == 0x800
            if not entry & 1 and not transition:
                raise LookupError(f"level {level} entry {entry:#x}")
            table = entry & 0xF_FFFF_FFFF_F000
            if level > 1 and entry & 0x80:
                table = table >> shift << shift | address & (1 << shift) - PAGE
                break
        return self.physical.read(table | address % PAGE, size)
