"""Named tuples for the rows of tables, and what else is frozen.

Names are those of the JSON contract. Addresses are numbers here, and shown in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from ._types import Extent
    from ._verifier_py import Table

Address: TypeAlias = int
"""A number that people read in hexadecimal: so it stands in a record's text."""


def _hex(value: object) -> str:
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, tuple):
        end = ",)" if len(value) == 1 else ")"
        return f"({', '.join(map(_hex, value))}{end}"
    return repr(value)


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


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return FrozenDict({name: _freeze(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return tuple(_freeze(inner) for inner in value)
    return value


class Problem(NamedTuple):
    """Something that could not be read or does not fit, told beside what could be read."""

    what: str
    address: Address | None
    why: str
    leaves: Extent = "at least"
    """What it leaves of the answer: ``complete`` (a remark), ``at least`` or ``unknown``."""

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
    attributed_by: str | None
    """How the driver of a block of the tree was told."""
    impossible: str | None
    """Why it cannot be as its entry says; ``None`` if nothing contradicts the entry."""

    def __repr__(self) -> str:
        return _repr(self)


class Outstanding(NamedTuple):
    """An outstanding allocation that holds the address of a :class:`History`."""

    driver: str
    entry: Address
    """Where Verifier's own entry for the block lies."""
    address: Address
    size: int
    tag: str | None
    """``None`` for contiguous memory."""
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker``, ``pool info tree``, ``carved`` or ``contiguous``."""
    attributed_by: str | None
    """How the driver of a block of the tree was told."""
    impossible: str | None
    """Why it cannot be as its entry says; ``None`` if nothing contradicts the entry."""
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
    impossible: str | None
    """Which value no kernel writes (``address``, ``size``, ``thread``, ``frame``): the record was damaged."""
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
    impossible: str | None
    """Which value no kernel writes: the record was damaged."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class FaultEvent(NamedTuple):
    """A record of the log of injected faults."""

    slot: int
    thread: Address
    impossible: str | None
    """Which value no kernel writes: the record was damaged."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class RegionEvent(NamedTuple):
    """A record of the log of critical regions."""

    slot: int
    thread: Address
    impossible: str | None
    """Which value no kernel writes: the record was damaged."""
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
    impossible: str | None
    """Which value no kernel writes: the record was damaged."""
    frames: tuple[Frame, ...]
    """Innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class SuppressedEvent(NamedTuple):
    """A record of the log of bug checks that were suppressed."""

    slot: int
    code: int
    """The bug check's code."""
    parameter1: Address
    parameter2: Address
    parameter3: Address
    parameter4: Address
    impossible: str | None
    """Always ``None``: any number is possible."""
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
    impossible: str | None
    """Always ``None``: any number is possible."""
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
    """True where it ends on another page that is not at hand, so that frames may be missing."""
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
    impossible: str | None
    """Why it cannot be as its entry says; ``None`` if nothing contradicts the entry."""

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
    attributed_by: str | None
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
    impossible: str | None
    """Which value no kernel writes: the record was damaged."""
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
    held: bool
    """True where the block is held now."""
    why_unknown: str | None
    """Why the allocation of a block that is held is not in the log."""

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
    tag: str | None
    """``None`` for contiguous memory."""
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker``, ``pool info tree``, ``carved`` or ``contiguous``."""
    attributed_by: str | None
    """How the driver of a block of the tree was told."""
    impossible: str | None
    """Why it cannot be as its entry says; ``None`` if nothing contradicts the entry."""
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
    source: str | None
    """``tracker``, ``pool info tree``, ``carved`` or ``contiguous``; ``None`` if the blocks differ."""
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
    written: int | None
    """Records ever written, modulo 2^32; ``None`` where that is not known, nor their order."""
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


class Filter(NamedTuple):
    """What outstanding allocations were filtered by; ``None`` is what was not asked for."""

    driver: str | None
    tag: str | None
    min_size: int | None
    max_size: int | None
    pool: str | None
    skip: str | None
    """The pattern of wrappers."""
    allocations: int
    """Blocks before all filters but ``driver``."""
    bytes: int
    """Bytes of these."""
    undetermined: int
    """Blocks that were left out since nothing tells their pool."""
    stacks_skipped: int
    """Stacks that lost frames to ``skip``."""
    stacks: int


class Omitted(NamedTuple):
    """What ``top`` left out."""

    groups: int
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class UnloadLeak(NamedTuple):
    """A driver that was unloaded before it freed its memory: bug check 0xC4/0x62."""

    driver: str
    verified_data: Address
    counted: int
    """How many blocks the bug check says."""
    count: int  # type: ignore[assignment]  # not the method of tuples
    """How many of them could be read."""
    bytes: int


class Total(NamedTuple):
    """Blocks and their bytes; negative where a growth is a loss."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class DiffGroup(NamedTuple):
    """Outstanding allocations of two dumps that have something in common."""

    label: str
    tag: str | None
    contiguous: bool
    """Whether they are contiguous memory, which has no tag."""
    driver: str | None
    stack: tuple[str, ...] | None
    """Names, or addresses without one, innermost first."""
    why_no_stack: str | None
    merged: int
    """How many groups of one caller, with and without stack, it is the sum of; else 0."""
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
    is_carved: bool
    """The tree does not lead to it: its data were found by what they are."""
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


_RECORDS: dict[str, Any] = {
    record.__name__: record
    for record in (
        Allocation,
        CarvedAllocation,
        CarvedEvent,
        Comparison,
        ContiguousMemory,
        Coverage,
        DiffGroup,
        Driver,
        FaultEvent,
        Filter,
        Flag,
        Frame,
        FrozenDict,
        Image,
        IrpEvent,
        IrqlEvent,
        LeakGroup,
        LeakedBlock,
        Lifetime,
        Neighbor,
        Omitted,
        Outstanding,
        PendingEvent,
        PoolEvent,
        PoolInfo,
        PoolStack,
        Problem,
        Reach,
        RegionEvent,
        StackSources,
        SuppressedEvent,
        Total,
        TreeReach,
        UnloadLeak,
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
