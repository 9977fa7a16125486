"""What the views return: named tuples for the rows of tables, and a few documents.

Names are those of the JSON contract. Addresses are numbers here, and shown in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self, TypeAlias

    from ._tables import Flags
    from ._verifier_py import Table

Address: TypeAlias = int
"""A number that people read in hexadecimal: so it stands in a record's text."""

# What is an address, or is read like one, in a document.
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


def _hex(value: object) -> str:
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, tuple):
        return f"({''.join(f'{_hex(one)}, ' for one in value).rstrip(' ' if len(value) == 1 else ', ')})"
    return repr(value)


def _text(name: str, value: object) -> str:
    return _hex(value) if name in _ADDRESSES else repr(value)


_HEX_FIELDS: dict[Any, frozenset[str]] = {}


def _hex_fields(record: Any) -> frozenset[str]:
    """The fields of a record that are declared as addresses."""
    found = _HEX_FIELDS.get(record)
    if found is None:
        kinds = record.__annotations__.items()
        found = _HEX_FIELDS[record] = frozenset(n for n, kind in kinds if "Address" in str(kind))
    return found


def _repr(record: Any) -> str:
    shown = _hex_fields(type(record))
    fields = (f"{n}={_hex(v) if n in shown else repr(v)}" for n, v in zip(record._fields, record))
    return f"{type(record).__name__}({', '.join(fields)})"


def _frozen(*_args: object, **_named: object) -> Any:
    """Refuses: the dict is frozen."""
    raise TypeError("the dict is frozen; dict() of it is not")


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed, and has a hash."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _frozen
    clear = pop = popitem = setdefault = update = _frozen

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return (FrozenDict, (dict(self),))


class Problem(NamedTuple):
    """Something that could not be read or does not fit, told beside what could be read."""

    what: str
    address: Address | None
    why: str

    def __repr__(self) -> str:
        return _repr(self)


class Frame(NamedTuple):
    """A frame of a call stack."""

    address: Address
    symbol: str | None
    """``module!name+0x1f``, ``module+0x1234`` without a symbol, ``None`` outside all modules."""

    def __repr__(self) -> str:
        return _repr(self)


class Flag(NamedTuple):
    """A flag of ``verifier /flags``."""

    bit: Address
    name: str

    def __repr__(self) -> str:
        return _repr(self)


class Allocation(NamedTuple):
    """A pool allocation that a verified driver still holds."""

    driver: str
    """``(no known driver)`` for a block of the pool info tree that no stack tells."""
    address: Address
    size: int
    tag: str
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    told_by: str | None
    """How the driver of a block of the tree was told."""

    def __repr__(self) -> str:
        return _repr(self)


class Outstanding(NamedTuple):
    """An outstanding allocation that holds the address of a :class:`History`."""

    driver: str
    entry: Address
    """Where Verifier's own entry for the block lies."""
    address: Address
    size: int
    tag: str
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    told_by: str | None
    """How the driver of a block of the tree was told."""
    stack: tuple[Frame, ...] | None
    """The stack that the pool info tree keeps of the block, innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class PoolEvent(NamedTuple):
    """A record of the pool log."""

    slot: int
    address: Address
    size: int
    thread: Address
    operation: str
    """``allocate``, ``free``, ``failed`` or ``unknown``."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class IrqlEvent(NamedTuple):
    """A record of the log of IRQL transitions."""

    slot: int
    thread: Address
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
    thread: Address
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class RegionEvent(NamedTuple):
    """A record of the log of critical regions."""

    slot: int
    thread: Address
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class IrpEvent(NamedTuple):
    """A record of the IRP log."""

    slot: int
    irp: Address
    thread: Address
    kernel_apc_disable: int | None
    """None where the build's records do not have it (Windows 7)."""
    special_apc_disable: int | None
    irql: int | None
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class SuppressedEvent(NamedTuple):
    """A record of the log of bug checks that were suppressed."""

    slot: int
    code: Address
    parameter1: Address
    parameter2: Address
    parameter3: Address
    parameter4: Address
    frames: tuple[Frame, ...]
    """Always empty: the log keeps none."""

    def __repr__(self) -> str:
        return _repr(self)


class WorkaroundEvent(NamedTuple):
    """A record of the log of bug checks that were worked around."""

    slot: int
    type: int
    caller: Address
    pointer: Address
    frames: tuple[Frame, ...]
    """Always empty: the log keeps none."""

    def __repr__(self) -> str:
        return _repr(self)


class CarvedAllocation(NamedTuple):
    """An allocation on a tracking page that was found by what it is."""

    driver: str | None
    """``None`` where the page's owner does not tell it."""
    owner: Address
    is_signed: bool
    """True where the owner has Verifier's signature."""
    address: Address
    size: int
    tag: str
    caller: Address
    caller_symbol: str | None
    source: str
    """``carved``."""
    physical_page: Address | None
    slot: int
    """Its slot on the page."""
    entry: Address | None
    """Where the entry lies, where its page's address is known."""

    def __repr__(self) -> str:
        return _repr(self)


class CarvedEvent(NamedTuple):
    """A record of the pool log that was found by what it is."""

    physical_page: Address | None
    page: Address | None
    offset: int
    """Where on the page it starts."""
    address: Address
    size: int
    thread: Address
    operation: str
    """``allocate``, ``free``, ``failed`` or ``unknown``."""
    is_cut: bool
    """True where it ends on another page, so that frames may be missing."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class Comparison(NamedTuple):
    """What was carved, held against the lists."""

    both: int
    """Allocations that both have."""
    only_listed: Table[Allocation]
    only_carved: Table[CarvedAllocation]


class PoolInfo(NamedTuple):
    """What the pool info trees are and hold."""

    empty_because: str | None
    """Why there is nothing, where there is nothing by design."""
    blocks: int
    blocks_counted: int | None
    """Blocks that the kernel counts; ``None`` where that cannot be read."""
    stacks: int
    stacks_counted: int | None
    failed: int
    """Allocations that failed."""
    insertion_failures: int | None
    """Blocks that were not entered."""
    deletion_failures: int | None
    """Frees of blocks that were not there."""
    stack_failures: int | None
    """Stacks, and so blocks, that were not entered."""
    only_tags: tuple[str, ...]
    """The only tags that are looked at; empty for all."""


class ContiguousMemory(NamedTuple):
    """Contiguous memory that a driver holds."""

    driver: str
    address: Address
    size: int
    caller: Address
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
    hash: Address
    flags: Address
    element: Address
    """Where it lies."""
    in_tree: bool
    stack: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class WatchedIrp(NamedTuple):
    """A canceled IRP that is watched."""

    address: Address
    """Where the ``_VF_WATCHDOG_IRP`` lies."""
    irp: Address
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
    irp: Address
    thread: Address
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class Lifetime(NamedTuple):
    """One life of a block that held the address of a :class:`History`; indexes of its ``events``."""

    block: Address
    allocated: int | None
    """``None`` where the record of its allocation is gone."""
    freed: int | None
    """``None`` where it is held, or the record of its free is gone."""

    def __repr__(self) -> str:
        return _repr(self)


class Neighbor(NamedTuple):
    """A block near the address of a :class:`History`."""

    address: Address
    size: int
    driver: str | None
    """Whose it is, where it is outstanding."""
    newest: str | None
    """The operation of its newest record, where the log has one."""

    def __repr__(self) -> str:
        return _repr(self)


class LeakedBlock(NamedTuple):
    """An outstanding allocation of a :class:`LeakGroup`."""

    address: Address
    size: int
    tag: str
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    told_by: str | None
    """How the driver of a block of the tree was told."""
    driver: str
    pool: str | None
    """``paged`` or ``nonpaged``, where it can be told."""
    requested: int | None
    """The size that the driver asked for, where it is known."""
    thread: Address | None
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
    old: Total
    new: Total
    growth: Total
    appeared: tuple[Address, ...]
    """Blocks that only the later dump has; across boots all of it."""
    gone: tuple[Address, ...]
    """Blocks that only the earlier dump has; across boots all of it."""

    def __repr__(self) -> str:
        return f"DiffGroup({self.label!r}, tag={self.tag!r}, growth={self.growth})"


class Image(NamedTuple):
    """A verified image in memory."""

    base: Address | None
    size: int
    target_driver: Address | None
    verified_data: Address
    counters: Mapping[str, int] | None

    def __repr__(self) -> str:
        return _repr(self)


class Driver(NamedTuple):
    """A driver that Verifier is configured for."""

    name: str
    state: str
    """``loaded``, ``unloaded`` or ``never loaded``."""
    loads: int
    unloads: int
    base: Address | None
    size: int | None
    suspect_entry: Address | None
    target_driver: Address | None
    verified_data: Address | None
    counters: Mapping[str, int] | None
    """The sum over its images, by the C names in snake_case; ``None`` where it has no image."""
    images: tuple[Image, ...]
    from_bug_check: bool
    """True where only the parameters of bug check 0xC4/0x62 lead to the driver's data."""

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
        return f"<pre>{escape(self)}</pre>{_problems(self.problems)}"


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


def _problems(problems: tuple[Problem, ...]) -> str:
    """As a table shows them."""
    if not problems:
        return ""
    lines = [
        f"{one.what}{'' if one.address is None else f' at {one.address:#x}'}: {one.why}"
        for one in problems[:5]
    ]
    if len(problems) > len(lines):
        lines.append(f"and {len(problems) - len(lines)} more")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>problems: {len(problems)}</summary><ul>{items}</ul></details>"


def _rows(pairs: Mapping[str, Any]) -> str:
    def value(name: str, value: Any) -> str:
        if isinstance(value, Mapping):
            return _rows(value)
        if isinstance(value, tuple) and value and isinstance(value[0], Mapping):
            return f"{len(value)}: " + ", ".join(escape(str(one.get("name"))) for one in value)
        return escape(value if isinstance(value, str) else _text(name, value))

    rows = (f"<tr><th>{escape(n)}</th><td>{value(n, v)}</td></tr>" for n, v in pairs.items())
    return f"<table>{''.join(rows)}</table>"


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return FrozenDict({name: _freeze(inner) for name, inner in value.items()})
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

    def __hash__(self) -> int:
        return hash(self._document)

    def _repr_html_(self) -> str:
        shown = {name: value for name, value in self.items() if name != "problems"}
        return _rows(shown) + _problems(self.problems)

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
        return f"<info: build {self['build'] or 'unknown'}, {self['machine']}>"


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
        object.__setattr__(self, "statistics", _freeze(self.statistics))
        object.__setattr__(self, "modes", _freeze(self.modes))

    def __repr__(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        return f"<settings: level {self.level:#x} ({names})>"

    def _repr_html_(self) -> str:
        names = ", ".join(flag.name for flag in self.flags)
        shown = {"level": self.level, "flags": names, "statistics": self.statistics}
        return _rows(shown) + _problems(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        return {
            "level": self.level,
            "flags": self.flags.to_dicts(),
            "statistics": dict(self.statistics),
            "modes": _thaw(self.modes),
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
        shown = "".join(table._repr_html_() for table in tables if len(table))
        return (shown or f"<p>{self.address:#x}: nothing is known of it</p>") + _problems(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """The document as dicts and lists."""
        return {
            "address": self.address,
            "outstanding": self.outstanding.to_dicts(),
            "capacity": self.capacity,
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
        CarvedAllocation,
        CarvedEvent,
        Comparison,
        ContiguousMemory,
        Coverage,
        Deadlock,
        DiffGroup,
        Driver,
        FaultEvent,
        Flag,
        Frame,
        FrozenDict,
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
        PoolInfo,
        PoolStack,
        Problem,
        Reach,
        RegionEvent,
        Settings,
        StackSources,
        SuppressedEvent,
        Text,
        Total,
        TreeReach,
        WatchedIrp,
        WithoutStack,
        WorkaroundEvent,
    )
}
for _record in _RECORDS.values():
    _record.__module__ = "verifier_py"


def record_class(name: str, fields: tuple[str, ...]) -> Any:
    """The class of records with these fields."""
    found = _RECORDS[name]
    if found._fields != fields:
        raise TypeError(f"{name} has the fields {found._fields}, not {fields}")
    return found
