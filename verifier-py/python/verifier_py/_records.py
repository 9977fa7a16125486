"""Named tuples for rows with rows inside, and for facts about a whole answer.

Names are those of the JSON. Addresses are numbers here, and shown in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _rows
from ._values import Address, Frame, FrozenDict, Problem, _freeze, _hex, _hex_fields, _repr

if TYPE_CHECKING:
    from ._verifier_py import Table

class Flag(NamedTuple):
    """A flag of ``verifier /flags``."""

    bit: Address
    name: str

    def __repr__(self) -> str:
        return _repr(self)


class Allocation(NamedTuple):
    """A pool allocation that a verified driver still holds."""

    driver: str
    """``(no known driver)`` for a block of the pool info tree whose stack has no frame in a verified driver."""
    address: Address
    size: int
    tag: str
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker`` or ``pool info tree``."""
    attributed_by: str | None
    """How the driver of a block of the tree was determined."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry."""

    def __repr__(self) -> str:
        return _repr(self)


class Outstanding(NamedTuple):
    """An outstanding allocation that contains the address of a :class:`History`."""

    driver: str
    entry: Address
    """The address of Verifier's own entry for the block."""
    address: Address
    size: int
    tag: str | None
    """``None`` for contiguous memory."""
    caller: Address
    caller_symbol: str | None
    source: str
    """``tracker``, ``pool info tree``, ``carved`` or ``contiguous``."""
    attributed_by: str | None
    """How the driver of a block of the tree was determined."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry."""
    stack: tuple[Frame, ...] | None
    """The stack of the block in the pool info tree, innermost frame first."""

    def __repr__(self) -> str:
        return _repr(self)


class CarvedAllocation(NamedTuple):
    """An allocation on a tracking page that was found by its shape."""

    driver: str | None
    """``None`` if the page's owner does not give it."""
    owner: Address
    is_signed: bool
    """True if the owner has Verifier's signature."""
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
    """The address of the entry, if its page's address is known."""

    def __repr__(self) -> str:
        return _repr(self)


class Comparison(NamedTuple):
    """Carved data compared with the lists."""

    both: int
    """Allocations that are in both."""
    only_listed: Table[Allocation]
    only_carved: Table[CarvedAllocation]


class PoolInfo(NamedTuple):
    """Facts of the pool info trees."""

    empty_because: str | None
    """Why the trees are empty, if they are empty by design."""
    blocks: int
    blocks_counted: int | None
    """The kernel's count of blocks; ``None`` if it cannot be read."""
    stacks: int
    stacks_counted: int | None
    failed: int
    """Allocations that failed."""
    insertion_failures: int | None
    """Blocks that the kernel could not add."""
    deletion_failures: int | None
    """Frees of blocks that were not in the tree."""
    stack_failures: int | None
    """Stacks that the kernel could not add, and so blocks."""
    only_tags: tuple[str, ...]
    """If not empty, the kernel tracks only these tags."""


class ContiguousMemory(NamedTuple):
    """Contiguous memory that a driver holds."""

    driver: str
    address: Address
    size: int
    caller: Address
    caller_symbol: str | None
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry."""

    def __repr__(self) -> str:
        return _repr(self)


class PoolStack(NamedTuple):
    """A stack of the pool info tree, with what it allocated."""

    live_count: int
    live_bytes: int
    tag: str
    pool: str | None
    """``paged`` or ``nonpaged``, if the element says so."""
    driver: str | None
    attributed_by: str | None
    """How the driver was determined."""
    allocations: int
    frees: int
    bytes_allocated: int
    bytes_freed: int
    blocks: int
    """Live blocks that point at the stack."""
    block_bytes: int
    hash: Address
    flags: Address
    element: Address
    """Its address."""
    in_tree: bool
    stack: tuple[Frame, ...]
    """Innermost frame first."""

    def __repr__(self) -> str:
        return _repr(self)


class Lifetime(NamedTuple):
    """One lifetime of a block that contained the address of a :class:`History`, as indexes of its ``events``."""

    block: Address
    allocated: int | None
    """``None`` if the record of its allocation is gone."""
    freed: int | None
    """``None`` if it is still held, or the record of its free is gone."""
    held: bool
    """True if the block is held now."""
    why_unknown: str | None
    """Why the allocation of a held block is not in the log."""

    def __repr__(self) -> str:
        return _repr(self)


class Neighbor(NamedTuple):
    """A block near the address of a :class:`History`."""

    address: Address
    size: int
    driver: str | None
    """Its driver, if it is outstanding."""
    newest: str | None
    """The operation of its newest record, if the log has one."""

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
    """How the driver of a block of the tree was determined."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry."""
    driver: str
    pool: str | None
    """``paged`` or ``nonpaged``, if that is known."""
    requested: int | None
    """The size that the driver requested, if it is known."""
    thread: Address | None
    """From the log's record, like ``slot``."""
    slot: int | None
    stack_source: str | None
    """``pool log`` or ``pool info tree``."""

    def __repr__(self) -> str:
        return _repr(self)


class LeakGroup(NamedTuple):
    """Outstanding allocations with common values; a value in which they differ is ``None``."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int
    largest: int
    tag: str | None
    driver: str | None
    label: str
    """The line of code that allocated them, or the tag, driver or size."""
    stack: tuple[Frame, ...] | None
    """Innermost frame first."""
    why_no_stack: str | None
    stack_source: str | None
    """``pool log`` or ``pool info tree``; ``None`` if there is no stack or the blocks differ."""
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
    """The number of blocks for each source of stacks."""

    pool_log: int
    pool_info_tree: int


class Coverage(NamedTuple):
    """How many outstanding allocations have a stack."""

    allocations: int
    with_stack: int
    uncertain: int
    """The number of those whose record may not be their allocation."""
    bytes: int
    bytes_with_stack: int
    with_stack_of: StackSources
    without_stack: tuple[WithoutStack, ...]


class Reach(NamedTuple):
    """How far back the pool log reaches."""

    capacity: int
    written: int | None
    """Records ever written, modulo 2^32; ``None`` if this and their order are unknown."""
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
    """The filters of outstanding allocations; a filter that is not set is ``None``."""

    driver: str | None
    tag: str | None
    min_size: int | None
    max_size: int | None
    pool: str | None
    skip: str | None
    """The pattern for names of wrapper functions."""
    allocations: int
    """Blocks before any filter but ``driver``."""
    bytes: int
    """Bytes of these blocks."""
    undetermined: int
    """Blocks that were left out because their pool is unknown."""
    stacks_skipped: int
    """Stacks from which ``skip`` removed frames."""
    stacks: int


class Omitted(NamedTuple):
    """Groups that ``top`` left out."""

    groups: int
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class UnloadLeak(NamedTuple):
    """A driver that was unloaded before it freed its memory: bug check 0xC4/0x62."""

    driver: str
    verified_data: Address
    counted: int
    """The number of blocks in the bug check's parameters."""
    count: int  # type: ignore[assignment]  # not the method of tuples
    """The number of blocks that could be read."""
    bytes: int


class Total(NamedTuple):
    """Blocks and their bytes; negative for a decrease."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class DiffGroup(NamedTuple):
    """Outstanding allocations of two dumps with common values."""

    label: str
    tag: str | None
    contiguous: bool
    """Whether they are contiguous memory, which has no tag."""
    driver: str | None
    stack: tuple[str, ...] | None
    """Names, or addresses without a name, innermost frame first."""
    why_no_stack: str | None
    merged: int
    """The number of groups of one caller, with and without stack, that were added up; else 0."""
    old: Total
    new: Total
    growth: Total
    appeared: tuple[Address, ...]
    """Blocks that only the later dump has; for different boots, all its blocks."""
    gone: tuple[Address, ...]
    """Blocks that only the earlier dump has; for different boots, all its blocks."""

    def __repr__(self) -> str:
        return f"DiffGroup({self.label!r}, tag={self.tag!r}, growth={self.growth})"


class Image(NamedTuple):
    """A verified image in memory."""

    base: Address | None
    size: int
    target_driver: Address | None
    verified_data: Address
    is_carved: bool
    """True if the tree does not lead to it and its data were found by their shape."""
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
    """The sum over its images, by the C names in snake_case; ``None`` if it has no image."""
    images: tuple[Image, ...]
    from_bug_check: bool
    """True if only the parameters of bug check 0xC4/0x62 lead to the driver's data."""

    def __repr__(self) -> str:
        return _repr(self)


_RECORDS: dict[str, Any] = {
    record.__name__: record
    for record in (
        *(getattr(_rows, name) for name in _rows.__all__),
        Allocation,
        CarvedAllocation,
        Comparison,
        ContiguousMemory,
        Coverage,
        DiffGroup,
        Driver,
        Filter,
        Flag,
        Frame,
        FrozenDict,
        Image,
        LeakGroup,
        LeakedBlock,
        Lifetime,
        Neighbor,
        Omitted,
        Outstanding,
        PoolInfo,
        PoolStack,
        Problem,
        Reach,
        StackSources,
        Total,
        TreeReach,
        UnloadLeak,
        WithoutStack,
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
