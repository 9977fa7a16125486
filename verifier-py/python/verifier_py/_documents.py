"""Results other than tables: documents, and text with problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from ._rows import Lifetime, Neighbor, Outstanding, PoolEvent
from ._values import Problem, _freeze, _hex
from ._verifier_py import _completeness, _note, _require_complete, escape_html

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._tables import Flags
    from ._types import Extent
    from ._verifier_py import Table

# The keys of a document whose values are shown in hexadecimal: addresses, and numbers like them.
_ADDRESSES = frozenset(
    {
        "acquired",
        "address",
        "base",
        "bit",
        "block",
        "call_stack",
        "caller",
        "children",
        "code",
        "current_other_node",
        "current_spin_node",
        "cycles",
        "directory_table_base",
        "end",
        "entry",
        "held",
        "instigator",
        "irp",
        "kd_debugger_data_block",
        "level",
        "lock",
        "locks",
        "node",
        "parameters",
        "parent",
        "participants",
        "ps_loaded_module_list",
        "resource_address",
        "root",
        "start",
        "suspect_entry",
        "target_driver",
        "thread",
        "thread_entry",
        "thread_owner",
        "value",
        "verified_data",
    }
)


def _text(name: str, value: object) -> str:
    return _hex(value) if name in _ADDRESSES else repr(value)


class _Answer:
    """A result with problems, from which follows whether it is complete."""

    __slots__ = ()

    def _problems(self) -> tuple[Problem, ...]:
        problems: tuple[Problem, ...] = getattr(self, "problems")  # noqa: B009
        return problems

    def _answer(self) -> tuple[Extent, tuple[str, ...]]:
        return _completeness(self._problems())

    @property
    def complete(self) -> bool:
        """Whether it is the whole answer: all data that lead to it were read, and nothing contradicts it."""
        return self.extent == "complete"

    @property
    def extent(self) -> Extent:
        """``complete``; ``at least``, if more may exist; ``unknown``, if nothing supports it."""
        return self._answer()[0]

    @property
    def incomplete_because(self) -> tuple[str, ...]:
        """Why the answer is not complete, the most serious reason first; empty if it is complete."""
        return self._answer()[1]

    def require_complete(self) -> Self:
        """Returns the result if the answer is complete, else raises :class:`IncompleteError`."""
        _require_complete(self._answer())
        return self

    def _note(self) -> str:
        return _note(self.extent)

    def _conclusion(self) -> dict[str, Any]:
        """The keys at the end of every document."""
        return {
            "complete": self.complete,
            "extent": self.extent,
            "incomplete_because": list(self.incomplete_because),
            "problems": [problem._asdict() for problem in self._problems()],
        }


_CONCLUSION = frozenset({"complete", "extent", "incomplete_because", "problems"})


class _ProblemText(_Answer, str):
    """Text with the problems of its data."""

    problems: tuple[Problem, ...]
    _judged: tuple[Extent, tuple[str, ...]]

    def __new__(
        cls,
        text: str,
        problems: tuple[Problem, ...] = (),
        answer: tuple[Extent, tuple[str, ...]] | None = None,
    ) -> Self:
        """Text with problems; the problems give the extent unless the answer has its own."""
        this = super().__new__(cls, text)
        this.problems = problems
        this._judged = answer or _completeness(problems)
        return this

    def _answer(self) -> tuple[Extent, tuple[str, ...]]:
        return self._judged

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (str(self), self.problems, self._judged)


class Text(_ProblemText):
    """Text as the debugger or the command prints it, with the problems of its data."""

    def _repr_html_(self) -> str:
        # Names in the text were escaped when Rust wrote it, so its line breaks are safe.
        return f"<pre>{escape(self)}</pre>{_problems(self)}"


class Picture(_ProblemText):
    """A picture as SVG, which a notebook shows."""

    def __repr__(self) -> str:
        return f"<picture: {len(self)} characters of SVG{self._note()}>"

    def _repr_svg_(self) -> str:
        return str(self)


class Page(_ProblemText):
    """An HTML page, which a notebook shows in a frame."""

    def __repr__(self) -> str:
        return f"<page: {len(self)} characters of HTML{self._note()}>"

    def _repr_html_(self) -> str:
        frame = 'sandbox="allow-scripts" style="width:100%;height:40em;border:1px solid gray"'
        return f'<iframe {frame} srcdoc="{escape(self)}"></iframe>'


def _problems(answer: _Answer) -> str:
    """The problems as a table shows them."""
    problems = answer._problems()
    if not problems:
        return ""
    lines = [
        f"{one.what}{'' if one.address is None else f' at {one.address:#x}'}: {one.why}"
        for one in problems[:5]
    ]
    if len(problems) > len(lines):
        lines.append(f"and {len(problems) - len(lines)} more")
    items = "".join(f"<li>{escape_html(line)}</li>" for line in lines)
    return f"<details><summary>problems: {len(problems)}{answer._note()}</summary><ul>{items}</ul></details>"


def _rows(pairs: Mapping[str, Any]) -> str:
    def value(name: str, value: Any) -> str:
        if isinstance(value, Mapping):
            return _rows(value)
        if isinstance(value, tuple) and value and isinstance(value[0], Mapping):
            return f"{len(value)}: " + ", ".join(escape_html(str(one.get("name"))) for one in value)
        return escape_html(value if isinstance(value, str) else _text(name, value))

    rows = (f"<tr><th>{escape_html(n)}</th><td>{value(n, v)}</td></tr>" for n, v in pairs.items())
    return f"<table>{''.join(rows)}</table>"


def _thaw(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _thaw(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        if isinstance(value, Problem):
            return value._asdict()
        return [_thaw(inner) for inner in value]
    return value


class _Document(_Answer, Mapping[str, Any]):
    """A frozen document."""

    __slots__ = ("_document",)

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = _freeze(document)

    def __getitem__(self, key: str) -> Any:
        return self._document[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document)

    def __len__(self) -> int:
        return len(self._document)

    def __hash__(self) -> int:
        return hash(self._document)

    def _repr_html_(self) -> str:
        shown = {name: value for name, value in self.items() if name not in _CONCLUSION}
        return _rows(shown) + _problems(self)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read or does not fit."""
        problems: tuple[Problem, ...] = self._document["problems"]
        return problems

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        thawed: dict[str, Any] = _thaw(self._document)
        return thawed


class Info(_Document):
    """The memory of a session and the parts that can be read: a frozen document.

    Its keys are those of ``verifier info --format json``. A session whose memory is not a
    dump file lacks ``path``, ``kind``, ``bug_check`` and other data of a dump's header.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<info: build {self['build'] or 'unknown'}, {self['machine']}{self._note()}>"


class Deadlock(_Document):
    """The data of deadlock detection: a frozen document.

    Its keys are those of ``verifier deadlock --format json``.
    """

    __slots__ = ("_dot", "_text")

    def __init__(self, document: dict[str, Any], text: Text, dot: Text) -> None:
        super().__init__(document)
        self._text = text
        self._dot = dot

    def __repr__(self) -> str:
        if self["inactive_because"]:
            return f"<deadlock: {self['inactive_because']}{self._note()}>"
        return (
            f"<deadlock: {len(self['resources'])} locks, {len(self['threads'])} threads, "
            f"{len(self['cycles'])} cycles{self._note()}>"
        )

    def to_text(self) -> Text:
        """The text that the command prints."""
        return self._text

    def to_dot(self) -> Text:
        """The order of the locks as a graph in the DOT language."""
        return self._dot

    def _repr_html_(self) -> str:
        return self._text._repr_html_()


@dataclass(frozen=True, repr=False)
class Settings(_Answer):
    """Verifier's level and statistics."""

    level: int
    flags: Flags
    statistics: Mapping[str, int]
    """Values by the C names in snake_case, as far as this build has them."""
    modes: Mapping[str, Any]
    """Rule classes, options, excluded drivers, random faults; None if the build does not have the value."""
    address: int
    """The address of the statistics."""
    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistics", _freeze(self.statistics))
        object.__setattr__(self, "modes", _freeze(self.modes))

    def __repr__(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        return f"<settings: level {self.level:#x} ({names}){self._note()}>"

    def _repr_html_(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        shown = {"level": self.level, "flags": names, "statistics": self.statistics}
        return _rows(shown) + _problems(self)

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        return {
            "level": self.level,
            "flags": self.flags.to_dicts(),
            "statistics": dict(self.statistics),
            "modes": _thaw(self.modes),
            "address": self.address,
            **self._conclusion(),
        }


@dataclass(frozen=True, repr=False)
class History(_Answer):
    """The history of one address."""

    address: int
    outstanding: Table[Outstanding]
    """Outstanding allocations that contain the address."""
    capacity: int
    """The number of records that fit in the pool log."""
    records: int
    """The number of records in the pool log."""
    events: Table[PoolEvent]
    """Records of the pool log whose block contains it, newest first; if their order is unknown, a problem
    says so."""
    lifetimes: Table[Lifetime]
    """Lifetimes of the blocks that contained it, the most recent first."""
    freed_entries: Table[Outstanding]
    """Freed tracking entries that may belong to such a block; their address is lost and shown as 0."""
    neighbors: Table[Neighbor]
    """Blocks on its page and on the two pages before and after it, the nearest first."""
    problems: tuple[Problem, ...]

    def __repr__(self) -> str:
        return (
            f"<history of {self.address:#x}: {len(self.outstanding)} outstanding, "
            f"{len(self.events)} events{self._note()}>"
        )

    def _repr_html_(self) -> str:
        tables = (self.outstanding, self.events, self.lifetimes, self.freed_entries, self.neighbors)
        shown = "".join(table._repr_html_() for table in tables if len(table))
        return (shown or f"<p>{self.address:#x}: nothing is known of it</p>") + _problems(self)

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        return {
            "address": self.address,
            "outstanding": self.outstanding.to_dicts(),
            "capacity": self.capacity,
            "records": self.records,
            "events": self.events.to_dicts(),
            "lifetimes": self.lifetimes.to_dicts(),
            "freed_entries": self.freed_entries.to_dicts(),
            "neighbors": self.neighbors.to_dicts(),
            **self._conclusion(),
        }


for _class in (Deadlock, History, Info, Page, Picture, Settings, Text):
    _class.__module__ = "verifier_py"
del _class
