#!/usr/bin/env python3
"""Compares the tables of bug checks with Microsoft's documentation.

usage: checks/bug_checks.py DOCS_DIR

DOCS_DIR is a checkout of github.com/MicrosoftDocs/windows-driver-docs, or a folder with the pages
bug-check-0xNN--*.md of it. Prints each subcode that is in one and not in the other, each parameter that is
reserved in one and not in the other, and each parameter whose kind does not fit its documented words, and ends
with 1 if there is one. EXCEPTIONS lists where the documentation contradicts itself or the kernel, with the reason.
"""
import html
import re
import sys
from pathlib import Path

TABLES = Path(__file__).resolve().parent.parent / "verifier-core/src/verifier/bug_check/tables"

# How many subcodes each page documents: a page that is read wrongly does not pass for one that agrees.
COUNTS = {0xC4: 244, 0x1C4: 79, 0xC9: 103, 0xE6: 35, 0xC1: 8, 0xC7: 6, 0xF1: 13, 0x10D: 15}
PLAIN = [0xC6, 0xCB, 0xCC, 0xCD, 0xCE, 0xD4, 0xD5, 0xD6]

# (code, subcode, parameter): why the table differs. Parameter 0 is the whole subcode.
EXCEPTIONS = {
    (0xC4, 0x62, 3): "kernels of Windows 7 to 11 pass the driver's data in what the page calls reserved",
    (0xC4, 0x4000B, 0): "the page of SpinlockRelease says 0x4000B, the references say 0x4000A",
    (0x1C4, 0x4000B, 0): "the page of SpinlockRelease says 0x4000B, the references say 0x4000A",
    (0xC9, 0x200, 2): "the page's text says that parameter 2 is typically the address of code",
    (0xC9, 0x21B, 2): "the page's text says that parameter 2 is typically the address of code",
}

# Words of the documentation, and the kinds that fit them. The first line that matches decides.
KINDS = [
    (r"irql value$|address of.*irql", {"address", "irql"}),
    (r"^0: read", {"access"}),
    (r"^0: kernel", {"mode"}),
    (r"^0:.*1:|handle passed|structure$|out of mdl bounds", None),
    (r"irql", {"irql"}),
    (r"device object", {"device_object"}),
    (r"driver object", {"driver_object"}),
    (r"file object", {"file_object"}),
    (r"pool tag", {"pool_tag"}),
    (r"pool type", {"pool_type"}),
    (r"pool header contents", {"number"}),
    (r"pool header", {"pool_header"}),
    (r"i/o control code", {"io_control"}),
    (r"major function", {"major_function"}),
    (r"controller|channel number", {"number"}),
    (r"mdl flag", {"mdl_flags"}),
    (r"buffer that the mdl|associated virtual address|in the mdl$|bytes left in the mdl", None),
    (r"\bmdl\b", {"mdl"}),
    (r"apc disable count", {"signed"}),
    (r"number of|count|how many|unaccounted|total", {"count", "size", "number", "time", "signed", "address"}),
    (r"user-mode address present", {"address"}),
    (r"\birp status|status code|exception status", {"status"}),
    (r"\birp\b", {"irp"}),
    (r"thread", {"thread"}),
    (r"process address|current process", {"process"}),
    (r"microsec|millisec", {"time"}),
    (r"routine|address of the call|code where|caller's address|callback (function|address)|"
     r"address inside the driver|address that referenced", {"code", "caller"}),
    (r"spin lock handle|handle", {"handle", "address", "object"}),
    (r"spin lock number", {"number"}),
    (r"spin lock|mutex|eresource|pushlock|remove lock|remove_lock", {"lock"}),
    (r"name of the driver|file name", {"wide_text"}),
    (r"string|section name", {"text"}),
    (r"physical address", {"physical_address"}),
    (r"access ?mode", {"mode"}),
    (r"rule state|supplemental", {"internal"}),
    (r"internal verifier data", {"internal"}),
]


def plain(text):
    text = re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = html.unescape(text).replace("\\", "").replace("*", "").replace("[", "").replace("]", "")
    return " ".join(text.split()).strip()


def is_reserved(text):
    """The kernel passes zero, or a value that is not documented."""
    return not text or bool(re.fullmatch(r"(0|reserved|\(?unused\)?|none|-)[ .]*(\(?(unused|reserved)\)?)?[ .]*", text, re.I))


def rows_of(page):
    """The rows of all Markdown and HTML tables, each a list of cells as the page has them."""
    for line in page.splitlines():
        if line.lstrip().startswith("|"):
            yield line.strip().strip("|").split("|")
    for row in re.split(r"<tr[^>]*>", page)[1:]:
        yield re.findall(r"<td[^>]*>(.*?)</td>", row.split("</tr>")[0], re.S)


def subcodes(text):
    """The numbers of a cell: `0x13 or 0x14`, `0x21, 0x22`."""
    found = [int(number, 16) for number in re.findall(r"0[xX]([0-9A-Fa-f]+)", text)]
    is_list = re.fullmatch(r"(\s*(or|,)?\s*0[xX][0-9A-Fa-f]+)+.*", plain(text), re.S)
    return found if is_list and len(found) <= 2 else found[:1] if is_list else []


def documented(code, page):
    """{subcode: {parameter: words}} of a page. A parameter that the page does not mention is absent."""
    if code == 0x1C4:
        return live_rules(page)
    found = {}
    for cells in rows_of(page):
        cells = [cell.strip() for cell in cells]
        if code in PLAIN and len(cells) == 2 and plain(cells[0]).isdigit():
            found.setdefault(None, {})[int(plain(cells[0]))] = plain(cells[1])
        elif code == 0xC1 and len(cells) == 5:
            for subcode in subcodes(cells[3]):
                found[subcode] = {n: plain(cells[n - 1]) for n in (1, 2, 3)}
        elif code in (0xC4, 0xC7, 0xF1) and len(cells) >= 4 or code == 0xC9 and len(cells) == 5:
            for subcode in subcodes(cells[0]):
                found[subcode] = {n: plain(cell) for n, cell in enumerate(cells[1:-1], 2)}
        elif code == 0x10D and len(cells) == 4 and subcodes(cells[0]):
            details = {n: plain(cells[n - 1]) for n in (2, 3)}
            said_below = "See table below" in cells[3] or "unused" in cells[3]
            found[subcodes(cells[0])[0]] = {} if said_below else {**details, 4: "Reserved"}
        elif code in (0xC9, 0xE6) and len(cells) in (2, 3) and subcodes(cells[0]):
            text = " ".join(cells[1:])
            parameters = re.findall(r"Param(?:eter)?\s*([234])\s*-\s*(.*?)(?=<p>|</p>|$)", text, re.S)
            is_nested = re.search(r"(indicated by parameter 2|Violation code)", text)
            words = {int(n): plain(text) for n, text in parameters}
            found[subcodes(cells[0])[0]] = {} if is_nested else words
    return found


def live_rules(page):
    """0x1C4: a list, not a table."""
    found, rule = {}, None
    for line in page.splitlines():
        line = plain(line)
        if match := re.match(r"(0x[0-9A-Fa-f]{8})", line):
            rule = found.setdefault(int(match[1], 16), {})
        elif rule is not None and (match := re.match(r"Parameter ([234]) - (.*)", line)):
            rule[int(match[1])] = match[2]
    return found


def ours():
    """{code: {subcode: {parameter: kind}}} of the tables; a detail's line counts for the general one."""
    found = {}
    for path in sorted(TABLES.glob("*.txt")):
        if path.name in ("rules.txt", "statuses.txt"):
            continue
        for line in path.read_text().splitlines():
            if head := re.match(r"= 0x(\w+) \w+(?: by (\d))?", line):
                table, by = found.setdefault(int(head[1], 16), {}), int(head[2] or 0)
            elif line and not line.startswith("#"):
                key, *cells, _ = (cell.strip() for cell in line.split("|"))
                subcode = None if key == "*" else int(key.split()[0], 16)
                numbers = [n for n in (1, 2, 3, 4) if n != by]
                table[subcode] = {n: cell.split(" ")[0] for n, cell in zip(numbers, cells)}
    for line in (TABLES / "rules.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, state, *_ = (cell.strip() for cell in line.split("|"))
            for code in (0xC4, 0x1C4):
                third = state == "both" or state == "optional" and code == 0xC4
                kinds = {2: "text", 3: "internal" if third else "-", 4: "internal" if state == "both" else "-"}
                found.setdefault(code, {})[int(key, 16)] = kinds
    return found


def fits(words, kind):
    """None if the words do not decide; the kinds that would fit if this one does not."""
    for pattern, kinds in KINDS:
        if re.search(pattern, words, re.I):
            return None if kinds is None or kind in kinds else kinds
    return None


def compare(code, page, table):
    """Yields (subcode, parameter, what differs)."""
    for subcode, parameters in page.items():
        if subcode not in table:
            yield subcode, 0, "is documented, but not in the tables"
            continue
        for n, words in parameters.items():
            kind = table[subcode].get(n, "subcode")
            if is_reserved(words) != (kind == "-"):
                yield subcode, n, f"is documented as {words!r}, but is {kind!r} in the tables"
            elif not is_reserved(words) and (wanted := fits(words, kind)):
                yield subcode, n, f"is documented as {words!r}, but is {kind!r} in the tables, not {wanted}"
        # What the page of 0xC9 and 0xE6 does not mention has no meaning.
        if code == 0xC9 and subcode is not None:
            for n in {2, 3, 4} - parameters.keys():
                if table[subcode].get(n, "-") != "-":
                    yield subcode, n, f"is not documented, but is {table[subcode][n]!r} in the tables"
    for subcode in table.keys() - page.keys():
        yield subcode, 0, "is in the tables, but not documented"


def page_of(folder, code):
    found = sorted(folder.rglob(f"bug-check-0x{code:x}--*.md"))
    return found[0].read_text(encoding="utf-8", errors="replace") if found else None


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) == 2 else None
    if folder is None or not folder.is_dir():
        print("bug_checks.py: skipped: no folder with Microsoft's documentation was given")
        return 0
    tables, wrong, used = ours(), [], set()
    pages = {code: documented(code, page_of(folder, code) or "") for code in (0xC4, 0x1C4)}
    rules = {rule for page in pages.values() for rule in page if rule >= 0x20000}
    for code in [*COUNTS, *PLAIN]:
        page = page_of(folder, code)
        if page is None:
            print(f"{code:#x}: skipped: {folder} has no page of it")
            continue
        found = documented(code, page)
        wanted = COUNTS.get(code, 1)
        if len(found) != wanted:
            wrong.append(f"{code:#x}: {len(found)} subcodes were read of its page, not {wanted}")
        differences = 0
        for subcode, n, what in compare(code, found, tables.get(code, {})):
            if what.endswith("not documented") and n == 0 and subcode in rules:
                continue  # a rule that only the page of the other code has
            if (code, subcode, n) in EXCEPTIONS:
                used.add((code, subcode, n))
                continue
            differences += 1
            at = "" if subcode is None else f"/{subcode:#x}"
            wrong.append(f"{code:#x}{at}: " + (f"parameter {n} {what}" if n else what))
        print(f"{code:#x}: {len(found) - differences} of {len(found)}")
    for code, subcode, n in EXCEPTIONS.keys() - used:
        if page_of(folder, code):
            wrong.append(f"{code:#x}/{subcode}, parameter {n}: this exception is not needed anymore")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
