"""What the views return: named tuples for the rows of tables, and a few documents.

Names are those of the JSON contract. Addresses are numbers here, and shown in hexadecimal.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ._verifier_py import escape_html

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._verifier_py import Flags, Table

_ADDRESSES = frozenset(
    {
        "address",
        "base",
        "bit",
        "block",
        "caller",
        "code",
        "directory_table_base",
        "end",
        "entry",
        "irp",
        "kd_debugger_data_block",
        "level",
        "parameters",
        "ps_loaded_module_list",
        "start",
        "suspect_entry",
        "target_driver",
        "thread",
        "verified_data",
    }
)


def _text(name: str, value: object) -> str:
    if isinstance(value, int) and name in _ADDRESSES:
        return hex(value)
    if isinstance(value, tuple) and name in _ADDRESSES:
        return f"({', '.join(map(hex, value))})"
    return repr(value)


def _repr(record: Any) -> str:
    fields = zip(record._fields, record)
    return f"{type(record).__name__}({', '.join(f'{n}={_text(n, v)}' for n, v in fields)})"


class Problem(NamedTuple):
    """Something that could not be read or does not fit, told beside what could be read."""

    what: str
    address: int | None
    why: str

    def __repr__(self) -> str:
        return _repr(self)


class Frame(NamedTuple):
    """A frame of a call stack."""

    address: int
    symbol: str | None
    """``module!name+0x1f``, ``module+0x1234`` without a symbol, ``None`` outside all modules."""

    def __repr__(self) -> str:
        return _repr(self)


class Flag(NamedTuple):
    """A flag of ``verifier /flags``."""

    bit: int
    name: str

    def __repr__(self) -> str:
        return _repr(self)


class Allocation(NamedTuple):
    """A pool allocation that a verified driver still holds."""

    driver: str
    """``(no known driver)`` for a block of the pool info tree that no stack tells."""
    address: int
    size: int
    tag: str
    caller: int
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""

    def __repr__(self) -> str:
        return _repr(self)


class Outstanding(NamedTuple):
    """An outstanding allocation that holds the address of a :class:`History`."""

    driver: str
    entry: int
    """Where Verifier's own entry for the block lies."""
    address: int
    size: int
    tag: str
    caller: int
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    stack: tuple[Frame, ...] | None
    """The stack that the pool info tree keeps of the block, innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class PoolEvent(NamedTuple):
    """A record of the pool log."""

    slot: int
    address: int
    size: int
    thread: int
    operation: str
    """``allocate``, ``free``, ``failed`` or ``unknown``."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class IrqlEvent(NamedTuple):
    """A record of the log of IRQL transitions."""

    slot: int
    thread: int
    old_irql: int
    new_irql: int
    processor: int
    tick: int
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class FaultEvent(NamedTuple):
    """A record of the log of injected faults."""

    slot: int
    thread: int
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class RegionEvent(NamedTuple):
    """A record of the log of critical regions."""

    slot: int
    thread: int
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class IrpEvent(NamedTuple):
    """A record of the IRP log."""

    slot: int
    irp: int
    thread: int
    kernel_apc_disable: int | None
    """None where the build's records do not have it (Windows 7)."""
    special_apc_disable: int | None
    irql: int | None
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class ContiguousMemory(NamedTuple):
    """Contiguous memory that a driver holds."""

    driver: str
    address: int
    size: int
    caller: int
    caller_symbol: str | None

    def __repr__(self) -> str:
        return _repr(self)


class PoolStack(NamedTuple):
    """A stack of the pool info tree, with what it allocated."""

    live_count: int
    live_bytes: int
    tag: str
    pool: str | None
    """``paged`` or ``nonpaged``, where the element tells."""
    driver: str | None
    told_by: str | None
    """How the driver was told."""
    allocations: int
    frees: int
    bytes_allocated: int
    bytes_freed: int
    blocks: int
    """Live blocks that point at it."""
    block_bytes: int
    hash: int
    flags: int
    element: int
    """Where it lies."""
    in_tree: bool
    stack: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class WatchedIrp(NamedTuple):
    """A canceled IRP that is watched."""

    address: int
    """Where the ``_VF_WATCHDOG_IRP`` lies."""
    irp: int
    due_tick_count: int
    """The tick by which the IRP must be completed."""
    inserted: int
    tracked_stack_location: int
    cancel_timeout_ticks: int

    def __repr__(self) -> str:
        return _repr(self)


class PendingEvent(NamedTuple):
    """A record of the log of IRPs that were forced to pend."""

    slot: int
    irp: int
    thread: int
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class Lifetime(NamedTuple):
    """One life of a block that held the address of a :class:`History`; indexes of its ``events``."""

    block: int
    allocated: int | None
    """``None`` where the record of its allocation is gone."""
    freed: int | None
    """``None`` where it is held, or the record of its free is gone."""
    held: bool
    """True where the block is held now."""
    why_unknown: str | None
    """Why the allocation of a block that is held is not in the log."""

    def __repr__(self) -> str:
        return _repr(self)


class Neighbor(NamedTuple):
    """A block near the address of a :class:`History`."""

    address: int
    size: int
    driver: str | None
    """Whose it is, where it is outstanding."""
    newest: str | None
    """The operation of its newest record, where the log has one."""

    def __repr__(self) -> str:
        return _repr(self)


class LeakedBlock(NamedTuple):
    """An outstanding allocation of a :class:`LeakGroup`."""

    address: int
    size: int
    tag: str
    caller: int
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    driver: str
    pool: str | None
    """``paged`` or ``nonpaged``, where it can be told."""
    requested: int | None
    """The size that the driver asked for, where it is known."""
    thread: int | None
    """Like ``slot`` out of the log's record."""
    slot: int | None
    stack_source: str | None
    """``pool log`` or ``pool info tree``."""

    def __repr__(self) -> str:
        return _repr(self)


class LeakGroup(NamedTuple):
    """Outstanding allocations that have something in common; ``None`` is what they do not share."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int
    largest: int
    tag: str | None
    driver: str | None
    label: str
    """The line that allocated them, or the tag, driver or size."""
    stack: tuple[Frame, ...] | None
    """Innermost first."""
    why_no_stack: str | None
    stack_source: str | None
    """``pool log`` or ``pool info tree``; ``None`` also where the blocks differ."""
    allocations: tuple[LeakedBlock, ...]

    def __repr__(self) -> str:
        where = f"{self.label!r}, tag={self.tag!r}, driver={self.driver!r}"
        return f"LeakGroup({where}, count={self.count}, bytes={self.bytes})"


class WithoutStack(NamedTuple):
    """Blocks without a stack, and why."""

    why: str
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class StackSources(NamedTuple):
    """How many blocks have their stack from where."""

    pool_log: int
    pool_info_tree: int


class Coverage(NamedTuple):
    """How many outstanding allocations have a stack."""

    allocations: int
    with_stack: int
    uncertain: int
    """Of those, whose record may be something else than their allocation."""
    bytes: int
    bytes_with_stack: int
    with_stack_of: StackSources
    without_stack: tuple[WithoutStack, ...]


class Reach(NamedTuple):
    """How far back the pool log reaches."""

    capacity: int
    written: int
    """Records ever written, modulo 2^32."""
    records: int
    """Records that were read."""
    missing: int
    """Slots that could not be read."""


class TreeReach(NamedTuple):
    """How far the pool info tree was read."""

    blocks: int
    unread: int
    """Blocks that were not reached."""
    stacks: int


class Omitted(NamedTuple):
    """What ``top`` left out."""

    groups: int
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class Total(NamedTuple):
    """Blocks and their bytes; negative where a growth is a loss."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class DiffGroup(NamedTuple):
    """Outstanding allocations of two dumps that have something in common."""

    label: str
    tag: str | None
    driver: str | None
    stack: tuple[str, ...] | None
    """Names, or addresses without one, innermost first."""
    why_no_stack: str | None
    merged: int
    """How many groups of one caller, with and without stack, it is the sum of; else 0."""
    old: Total
    new: Total
    growth: Total
    appeared: tuple[int, ...]
    """Blocks that only the later dump has; across boots all of it."""
    gone: tuple[int, ...]
    """Blocks that only the earlier dump has; across boots all of it."""

    def __repr__(self) -> str:
        return f"DiffGroup({self.label!r}, tag={self.tag!r}, growth={self.growth})"


class Image(NamedTuple):
    """A verified image in memory."""

    base: int
    size: int
    target_driver: int
    verified_data: int
    counters: dict[str, int] | None

    def __repr__(self) -> str:
        return _repr(self)


class Driver(NamedTuple):
    """A driver that Verifier is configured for."""

    name: str
    state: str
    """``loaded``, ``unloaded`` or ``never loaded``."""
    loads: int
    unloads: int
    base: int | None
    size: int | None
    suspect_entry: int | None
    target_driver: int | None
    verified_data: int | None
    counters: dict[str, int] | None
    """The sum over its images, by the C names in snake_case; ``None`` where it has no image."""
    images: tuple[Image, ...]

    def __repr__(self) -> str:
        return _repr(self)


class _Told(str):
    """Text with the problems that were met."""

    problems: tuple[Problem, ...]

    def __new__(cls, text: str, problems: tuple[Problem, ...] = ()) -> Self:
        """Text with problems."""
        this = super().__new__(cls, text)
        this.problems = problems
        return this

    def __getnewargs__(self) -> tuple[str, tuple[Problem, ...]]:  # type: ignore[override]
        return (str(self), self.problems)


class Text(_Told):
    """Text as the debugger or the command prints it, with the problems that were met."""

    def _repr_html_(self) -> str:
        # The names in it went through Rust's escapes when it was written; its lines are its own.
        return f"<pre>{escape(self)}</pre>"


class Picture(_Told):
    """A picture as SVG, which a notebook shows."""

    def __repr__(self) -> str:
        return f"<picture: {len(self)} characters of SVG>"

    def _repr_svg_(self) -> str:
        return str(self)


class Page(_Told):
    """An HTML page, which a notebook shows in a frame of its own."""

    def __repr__(self) -> str:
        return f"<page: {len(self)} characters of HTML>"

    def _repr_html_(self) -> str:
        frame = 'sandbox="allow-scripts" style="width:100%;height:40em;border:1px solid gray"'
        return f'<iframe {frame} srcdoc="{escape(self)}"></iframe>'


def _rows(pairs: Mapping[str, Any]) -> str:
    def value(name: str, value: Any) -> str:
        if isinstance(value, Mapping):
            return _rows(value)
        if isinstance(value, tuple) and value and isinstance(value[0], Mapping):
            return f"{len(value)}: " + ", ".join(escape_html(str(one.get("name"))) for one in value)
        return escape_html(value if isinstance(value, str) else _text(name, value))

    rows = (f"<tr><th>{escape_html(n)}</th><td>{value(n, v)}</td></tr>" for n, v in pairs.items())
    return f"<table>{''.join(rows)}</table>"


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({name: _freeze(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return tuple(_freeze(inner) for inner in value)
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _thaw(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        if isinstance(value, Problem):
            return value._asdict()
        return [_thaw(inner) for inner in value]
    return value


class _Document(Mapping[str, Any]):
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

    def _repr_html_(self) -> str:
        return _rows(self)

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
    """What a session is over, and what of it can be read: a frozen document.

    Its keys are those of ``verifier info --format json``. A session over other memory than a dump
    file has no ``path``, ``kind``, ``bug_check`` and what else a dump's header says.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<info: build {self['build']}, {self['machine']}>"


class Deadlock(_Document):
    """What deadlock detection keeps: a frozen document.

    Its keys are those of ``verifier deadlock --format json``.
    """

    __slots__ = ("_dot", "_text")

    def __init__(self, document: dict[str, Any], text: Text, dot: Text) -> None:
        super().__init__(document)
        self._text = text
        self._dot = dot

    def __repr__(self) -> str:
        if self["inactive_because"]:
            return f"<deadlock: {self['inactive_because']}>"
        return (
            f"<deadlock: {len(self['resources'])} locks, {len(self['threads'])} threads, "
            f"{len(self['cycles'])} cycles>"
        )

    def to_text(self) -> Text:
        """As the command prints it."""
        return self._text

    def to_dot(self) -> Text:
        """The order of the locks as a graph in the DOT language."""
        return self._dot

    def _repr_html_(self) -> str:
        return self._text._repr_html_()


@dataclass(frozen=True, repr=False)
class Settings:
    """Verifier's level and statistics."""

    level: int
    flags: Flags
    statistics: Mapping[str, int]
    """By the C names in snake_case, as far as this build has them."""
    modes: Mapping[str, Any]
    """Rule classes, options, excluded drivers, random faults; None for what the build does not have."""
    address: int
    """Where the statistics lie."""
    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "statistics", MappingProxyType(dict(self.statistics)))
        object.__setattr__(self, "modes", MappingProxyType(dict(self.modes)))

    def __repr__(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        return f"<settings: level {self.level:#x} ({names})>"

    def _repr_html_(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        return _rows({"level": self.level, "flags": names, "statistics": self.statistics})

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        return {
            "level": self.level,
            "flags": self.flags.to_dicts(),
            "statistics": dict(self.statistics),
            "modes": dict(self.modes),
            "address": self.address,
            "problems": [problem._asdict() for problem in self.problems],
        }


@dataclass(frozen=True, repr=False)
class History:
    """All that is known of one address."""

    address: int
    outstanding: Table[Outstanding]
    """Outstanding allocations that hold it."""
    capacity: int
    """Records that the pool log has room for."""
    records: int
    """Records that it has."""
    events: Table[PoolEvent]
    """Records of the pool log whose block holds it, newest first."""
    lifetimes: Table[Lifetime]
    """Lives of the blocks that held it, the last one first."""
    freed_entries: Table[Outstanding]
    """Freed tracking entries that may be of such a block; their address is 0, it is lost."""
    neighbors: Table[Neighbor]
    """Blocks in its page and the two pages on either side, the nearest first."""
    problems: tuple[Problem, ...]

    def __repr__(self) -> str:
        return (
            f"<history of {self.address:#x}: {len(self.outstanding)} outstanding, "
            f"{len(self.events)} events>"
        )

    def _repr_html_(self) -> str:
        tables = (self.outstanding, self.events, self.lifetimes, self.freed_entries, self.neighbors)
        return "".join(table._repr_html_() for table in tables if len(table))

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
            "problems": [problem._asdict() for problem in self.problems],
        }


_RECORDS: dict[str, Any] = {
    record.__name__: record
    for record in (
        Allocation,
        ContiguousMemory,
        Coverage,
        Deadlock,
        DiffGroup,
        Driver,
        FaultEvent,
        Flag,
        Frame,
        History,
        Image,
        Info,
        IrpEvent,
        IrqlEvent,
        LeakGroup,
        LeakedBlock,
        Lifetime,
        Neighbor,
        Omitted,
        Outstanding,
        Page,
        PendingEvent,
        Picture,
        PoolEvent,
        PoolStack,
        Problem,
        Reach,
        RegionEvent,
        Settings,
        StackSources,
        Text,
        Total,
        TreeReach,
        WatchedIrp,
        WithoutStack,
    )
}
for _record in _RECORDS.values():
    _record.__module__ = "verifier_py"


def record_class(name: str, fields: tuple[str, ...]) -> Any:
    """The class of records with these fields: one of the above, or made for a log that has none."""
    found = _RECORDS.get(name)
    if found is None:
        make: Any = namedtuple
        made = make(name, fields, module=__name__)
        setattr(made, "__repr__", _repr)
        # Where pickle looks for it, and whoever asks next.
        found = _RECORDS[name] = globals()[name] = made
    return found
