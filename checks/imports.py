#!/usr/bin/env python3
"""Checks the floors of each crate: no circle of imports between files, and no import from a higher floor.

usage: checks/imports.py [--graph CRATE]

An import is a name in a `use` line, or a path from `crate` or `super`, outside of tests. A name that a module
only hands on (`pub use` in a mod.rs or lib.rs) counts as the file that defines it. FLOORS lists the modules of
a crate, or of a module of it, from the lowest floor to the highest; modules of one line are on one floor.
Prints each circle, each upward import and each module without a floor, and ends with 1 if there is one.
"""
import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    "verifier-core": [
        "addr bytes extent machine number pdb_id",
        "describe raw",
        "error",
        "completeness memory",
        "dump",
        "symbols",
        "types",
        "kernel",
        "verifier",
        "analysis",
        "render",
        "internals",
    ],
    "verifier-core/verifier": [
        "allocation counters flags scan tag tally",
        "bug_check modes settings",
        "totals",
        "tracking",
        "drivers",
        "deadlock log sums",
        "pool",
        "globals",
    ],
}

USE = re.compile(r"^[ \t]*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)


def paths_of(text):
    """The paths that a file names, each as (is re-exported, [segment, ...])."""
    text = re.sub(r"//[^\n]*", "", text)
    text = text.split("#[cfg(test)]\nmod ")[0]
    for public, body in USE.findall(text):
        for path in branches(body):
            yield bool(public), path
    rest = re.sub(r"pub\(in [\w:]+\)", "", USE.sub("", text))
    for path in re.findall(r"\b(?:crate|super)(?:::\w+)+", rest):
        yield False, path.split("::")


def branches(tree):
    """`a::{b, c::{d as e}}` as [[a, b], [a, c, d]]."""
    tree = tree.strip()
    match = re.fullmatch(r"([\w:]*?)(?:::)?\{(.*)\}", tree, re.S)
    if not match:
        return [re.sub(r"\s+as\s+\w+$", "", tree).split("::")]
    prefix = [part for part in match[1].split("::") if part]
    parts, depth, start = [], 0, 0
    inner = match[2]
    for at, character in enumerate(inner + ","):
        if character == "," and depth == 0:
            if inner[start:at].strip():
                parts.append(inner[start:at])
            start = at + 1
        depth += (character == "{") - (character == "}")
    return [prefix + path for part in parts for path in branches(part)]


class Crate:
    """The modules of a crate, and the imports between its files."""

    def __init__(self, source):
        self.files = {}
        for file in sorted(source.rglob("*.rs")):
            path = file.relative_to(source).with_suffix("").parts
            self.files[path[:-1] if path[-1] in ("mod", "lib", "main") else path] = file
        self.uses = {module: list(paths_of(file.read_text())) for module, file in self.files.items()}
        self.imports = {module: self.imports_of(module) for module in self.files}

    def imports_of(self, module):
        found = set()
        hands_on = self.files[module].name in ("mod.rs", "lib.rs")
        for public, path in self.uses[module]:
            target = None if public and hands_on else self.resolve(module, path, set())
            if target is not None and target != module:
                found.add(target)
        return found

    def resolve(self, module, path, seen):
        """The module that defines what `path` names in `module`; None outside of the crate."""
        key = module, tuple(path)
        if key in seen:
            return None
        seen.add(key)
        at, rest = module, list(path)
        if rest[0] == "crate":
            at, rest = (), rest[1:]
        elif rest[0] in ("self", "super"):
            while rest and rest[0] in ("self", "super"):
                at = at[:-1] if rest[0] == "super" else at
                rest = rest[1:]
        elif module + (rest[0],) not in self.files:
            return None
        while rest and at + (rest[0],) in self.files:
            at, rest = at + (rest[0],), rest[1:]
        if rest:
            for _, other in self.uses.get(at, []):
                if other[-1] == rest[0]:
                    target = self.resolve(at, other, seen)
                    if target is not None:
                        return target
        return at if at in self.files else None

    def circles(self):
        """Tarjan's strongly connected components of more than one file."""
        index, low, stack, found = {}, {}, [], []

        def visit(node):
            index[node] = low[node] = len(index)
            stack.append(node)
            for target in sorted(self.imports[node]):
                if target not in index:
                    visit(target)
                    low[node] = min(low[node], low[target])
                elif target in stack:
                    low[node] = min(low[node], index[target])
            if low[node] == index[node]:
                at = stack.index(node)
                if len(stack) - at > 1:
                    found.append(sorted(stack[at:]))
                del stack[at:]

        for node in sorted(self.files):
            if node not in index:
                visit(node)
        return found

    def broken_floors(self, room, floors):
        """Imports of modules in `room` from a higher floor, and modules without a floor."""
        level = {name: at for at, names in enumerate(floors) for name in names.split()}
        depth = len(room)
        for module, targets in sorted(self.imports.items()):
            if module[:depth] != room or module == room:
                continue
            own = level.get(module[depth])
            if own is None:
                yield f"{name(module)} has no floor: add {module[depth]} to FLOORS"
                continue
            for target in sorted(targets):
                is_in = target[:depth] == room and target != room
                if is_in and level.get(target[depth], own) > own:
                    yield f"{name(module)} imports from a higher floor: {name(target)}"


def name(module):
    return "/".join(module) or "lib"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", metavar="CRATE", help="print the imports of one crate, and check nothing")
    arguments = parser.parse_args()
    sys.setrecursionlimit(10_000)
    faults, crates = 0, 0
    for source in sorted(ROOT.rglob("src")):
        if "target" in source.parts or not (source.parent / "Cargo.toml").exists():
            continue
        crate, label = Crate(source), str(source.parent.relative_to(ROOT))
        crates += 1
        if arguments.graph:
            if label == arguments.graph:
                for module, targets in sorted(crate.imports.items()):
                    print(f"{name(module)}: {' '.join(sorted(map(name, targets)))}")
            continue
        found = [f"circle of {len(circle)} files: {', '.join(map(name, circle))}" for circle in crate.circles()]
        for key, floors in FLOORS.items():
            root, *room = key.split("/")
            found.extend(crate.broken_floors(tuple(room), floors) if root == label else [])
        for fault in found:
            print(f"{label}: {fault}")
        faults += len(found)
    if not arguments.graph:
        print(f"{crates} crates, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
