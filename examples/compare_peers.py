#!/usr/bin/env python3
"""Compares `verifier` with its peers on dumps that they can open.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install ntoseye kdmp-parser volatility3
    cargo build --release -p verifier-host -p verifier-examples
    PATH=/tmp/peers/bin:$PATH /tmp/peers/bin/python examples/compare_peers.py target/release/verifier ../shared/dumps

The script installs nothing; peers that are not installed are left out. Each line shows the values that
agree, or both values if they differ. The exit code is 1 if anything differs, else 0. If a peer cannot open a
dump or show a value, the output says so, and this does not count as a difference. The kdmp-parser of PyPI
wraps the C++ parser, not the Rust crate that the benches use.
"""

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import kdmp_parser
except ImportError:
    kdmp_parser = None


class Result:
    """The result for one peer and one dump."""

    def __init__(self):
        self.agreed, self.differs, self.missing = [], [], []

    def check(self, what, ours, theirs):
        if ours == theirs:
            self.agreed.append(what)
        else:
            self.differs.append(f"{what}: ours {ours!r}, theirs {theirs!r}")


def run(command, timeout=300):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return done.stdout, done.stderr.strip()


class Ours:
    """The output of `verifier` for a dump."""

    def __init__(self, program, folder):
        self.dump = folder / "memory.dmp"
        self.symbols = folder / "symbols"
        self.program = program
        self.pages_program = Path(program).with_name("pages")
        self.info = self.ask("info")
        self.settings = self.ask("settings")
        self.drivers = self.ask("drivers")
        kernel = self.info.get("kernel") or {}
        self.modules = {m["name"].lower(): (int(m["base"], 16), m["size"]) for m in kernel.get("modules", [])}
        self.dtb = int(self.info["directory_table_base"], 16)

    def frames(self):
        """The page frames in the dump, by the library's own map."""
        out = subprocess.run([self.pages_program, self.dump], capture_output=True, check=True).stdout
        return [int(line, 16) for line in out.split()]

    def pages(self, frames):
        """The bytes of pages, read by the library."""
        numbers = [hex(pfn) for pfn in frames]
        out = subprocess.run([self.pages_program, self.dump, *numbers], capture_output=True, check=True).stdout
        return [out[i * 4096:(i + 1) * 4096] for i in range(len(frames))]

    def ask(self, what):
        out, err = run([self.program, what, self.dump, "--symbols", self.symbols, "--format", "json"])
        return json.loads(out) if out else {"failed": err}


def named(flags):
    """Flag names, with one name for each flag that the two tools name differently."""
    same = {"dma verification": "dma checking", "enhanced i/o verification": "i/o verification"}
    return {same.get(name.lower(), name.lower()) for name in flags}


def with_ntoseye(ours):
    result = Result()
    out, err = run(["ntoseye", "--dump", ours.dump, "--sympath-append", ours.symbols, "--batch",
                    "-c", "vertarget", "-c", ".bugcheck", "-c", "lm", "-c", "!verifier"])
    if "kernel base" not in out and "Verify Level" not in out:
        result.missing.append("does not open it: " + (err or out).splitlines()[-1])
        return result
    flat = out.replace("`", "")

    def one(pattern, base=16):
        found = re.search(pattern, flat)
        return int(found.group(1), base) if found else None

    header = ours.info
    result.check("dtb", ours.dtb, one(r"DTB\s+([0-9a-f]+)"))
    result.check("build", header["build"], one(r"\n\s+build\s+(\d+)\n", 10))
    result.check("bugcheck", header["bug_check"]["code"], one(r"Bugcheck code ([0-9a-fA-F]+)"))
    kernel = (ours.info.get("kernel") or {}).get("base")
    result.check("kernel base", int(kernel, 16) if kernel else None, one(r"kernel base\s+([0-9a-f]+)"))
    listed = re.findall(r"^([0-9a-f]{8,16})\s+([0-9a-f]{8,16})\s+(\S+)\s.*?(\S+)\s*$", flat, re.M)
    theirs = {image.lower(): (int(start, 16), int(end, 16) - int(start, 16)) for start, end, _, image in listed}
    result.check("modules (names, bases, sizes)", ours.modules, theirs)
    result.check("verifier level", ours.settings.get("level"), one(r"Verify Level 0x([0-9a-f]+)"))
    text = out[out.find("enabled options are:"):out.find("Summary of All")]
    theirs = {line.strip() for line in text.splitlines()[1:] if line.startswith("        ")}
    mine = {flag["name"] for flag in ours.settings.get("flags", [])}
    result.check("verifier flags", sorted(named(mine)), sorted(named(theirs)))
    statistics = ours.settings.get("statistics", {})
    lines = {
        "RaiseIrqls": "raise_irqls", "AcquireSpinLocks": "acquire_spin_locks",
        "Synch Executions": "synchronize_executions", "Trims": "trims",
        "Pool Allocations Attempted": "allocations_attempted",
        "Pool Allocations Succeeded": "allocations_succeeded",
        "Pool Allocations Succeeded SpecialPool": "allocations_succeeded_special_pool",
        "Pool Allocations With NO TAG": "allocations_with_no_tag",
        "Pool Allocations Failed": "allocations_failed", "Loads": "loads", "Unloads": "unloads",
        "Current paged pool allocations": "current_paged_pool_allocations",
        "Peak paged pool allocations": "peak_paged_pool_allocations",
        "Current nonpaged pool allocations": "current_non_paged_pool_allocations",
        "Peak nonpaged pool allocations": "peak_non_paged_pool_allocations",
    }
    for line, field in lines.items():
        if field in statistics:
            result.check(field, statistics[field], one(rf"\n\s*{line}\s+0x([0-9a-f]+)"))
    if "drivers unavailable" in out:
        why = re.search(r"drivers unavailable: (.*)", out).group(1)
        result.missing.append(f"its driver list fails: {why}")
    else:
        listed = re.findall(r"^\s*[0-9a-f]{8,16}\s+(Loaded|Unloaded|Never Loaded).*?(\S+)\s*$", flat, re.M | re.I)
        mine = {driver["name"].lower() for driver in ours.drivers.get("drivers", [])}
        result.check("drivers", sorted(mine), sorted(name.lower() for _, name in listed))
    return result


def with_kdmp_parser(ours):
    result = Result()
    try:
        dump = kdmp_parser.KernelDumpParser(ours.dump)
    except Exception as error:  # its errors are of many kinds
        result.missing.append(f"does not open it: {error}")
        return result
    header = dump.header
    result.check("dtb", ours.dtb & ~0xFFF, dump.directory_table_base & ~0xFFF)
    result.check("kind", ours.info["kind"], int(dump.type))
    result.check("build", ours.info["build"], header.MinorVersion)
    result.check("bugcheck", ours.info["bug_check"]["code"], header.BugCheckCode)
    result.check("ps_loaded_module_list", int(ours.info["ps_loaded_module_list"], 16), header.PsLoadedModuleList)
    present = ours.frames()
    chosen = random.Random(1).sample(present, min(100, len(present)))
    mine = ours.pages(chosen)
    theirs = [bytes(dump.read_physical_page(pfn << 12) or b"") for pfn in chosen]
    silent = sorted(hex(pfn) for pfn, page in zip(chosen, theirs) if not page)
    if silent:
        result.missing.append(f"it reads nothing at the frames {', '.join(silent)}, which the dump has")
    pairs = [(pfn, ours, other) for pfn, ours, other in zip(chosen, mine, theirs) if other]
    result.check(f"{len(pairs)} random pages", [], [pfn for pfn, ours, other in pairs if ours != other])
    return result


def with_volatility(ours):
    result = Result()
    tables = ours.dump.resolve().parents[2] / "isf"
    with tempfile.TemporaryDirectory() as folder:
        # volatility3 needs its tables in its own folder structure.
        place = Path(folder) / "windows" / "ntkrnlmp.pdb"
        place.mkdir(parents=True)
        for table in tables.glob("*.json.xz"):
            shutil.copy(table, place)
        command = ["vol", "-q", "-r", "json", "--offline", "-s", folder, "-f", ours.dump]
        info = rows(result, [*command, "windows.info"])
        modules = rows(result, [*command, "windows.modules"])
    mask = (1 << 48) - 1  # volatility3 does not sign-extend addresses
    if info:
        info = {row["Variable"]: row["Value"] for row in info}
        kernel = (ours.info.get("kernel") or {}).get("base")
        result.check("dtb", ours.dtb & ~0xFFF, int(info["DTB"], 16) & ~0xFFF)
        result.check("kernel base", int(kernel, 16) & mask, int(info["Kernel Base"], 16) & mask)
    if modules:
        theirs = {row["Name"].lower(): (row["Base"] & mask, row["Size"]) for row in modules}
        mine = {name: (base & mask, size) for name, (base, size) in ours.modules.items()}
        result.check("modules (names, bases, sizes)", mine, theirs)
    return result


def rows(result, command):
    """The rows of a volatility3 plugin."""
    out, err = run(command)
    try:
        return json.loads(out)
    except json.JSONDecodeError:
        said = [line.strip() for line in err.splitlines() if line.strip()] or ["nothing said"]
        why = next((line for line in said if "rror" in line), said[-1])
        result.missing.append(f"{command[-1]} fails: {why}")
        return []


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: compare_peers.py VERIFIER DUMPS")
    program, dumps = sys.argv[1], Path(sys.argv[2])
    peers = {}
    if shutil.which("ntoseye"):
        peers["ntoseye"] = with_ntoseye
    if kdmp_parser:
        peers["kdmp-parser"] = with_kdmp_parser
    if shutil.which("vol"):
        peers["volatility3"] = with_volatility
    print("peers here:", ", ".join(peers) or "none")
    differs = False
    for folder in sorted(path.parent for path in dumps.glob("*/memory.dmp")):
        ours = Ours(program, folder)
        for name, compare in peers.items():
            result = compare(ours)
            print(f"{folder.name}, {name}: {len(result.agreed)} agreed ({', '.join(result.agreed)})")
            for line in result.differs:
                print(f"  DIFFERS {line}")
            for line in result.missing:
                print(f"  not compared: {line}")
            differs |= bool(result.differs)
    sys.exit(differs)


if __name__ == "__main__":
    main()
