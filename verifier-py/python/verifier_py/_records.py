"""Named tuples for facts about a whole answer, and the classes of all records by their names.

Names are those of the JSON. Addresses are numbers here, and shown in hexadecimal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _rows
from ._rows import Allocation, CarvedAllocation
from ._values import Address, Frame, FrozenDict, InlinedFrame, Problem, Total, _repr

if TYPE_CHECKING:
    from ._verifier_py import Table


class Flag(NamedTuple):
    """A flag of ``verifier /flags``."""

    bit: Address
    name: str

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


class Ignored(NamedTuple):
    """Blocks that a pattern of ``ignore`` left out, without those of the patterns before it."""

    pattern: str
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


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
    ignored: tuple[Ignored, ...]
    """What each pattern of ``ignore`` left out."""


class KnownLeak(NamedTuple):
    """A leak of a baseline."""

    driver: str
    """Its file name, in lower case."""
    function: str | None
    """``module!function``, or only the module; ``None`` if no frame is outside the kernel and Verifier."""
    tag: str | None
    """``None`` for contiguous memory."""
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class KnownLeaks(NamedTuple):
    """What a baseline says about outstanding allocations."""

    file: str | None
    known: Total
    """The blocks that are known."""
    new: Total
    """The others."""
    no_longer_outstanding: tuple[KnownLeak, ...] | None
    """Leaks of the baseline of which no block is outstanding anymore. ``None`` if that is unknown, because the
    answer is not complete or a filter is set."""


class Omitted(NamedTuple):
    """Groups that ``top`` left out."""

    groups: int
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class DriverTotal(NamedTuple):
    """What a driver holds."""

    name: str
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class LineOfCode(NamedTuple):
    """The line of code of a function that made the most bytes."""

    symbol: str
    file: str | None
    """The source file, ``None`` if no PDB has the line."""
    line: int | None
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int


class Worst(NamedTuple):
    """The function that made the outstanding blocks with the most bytes."""

    function: str
    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int
    line_of_code: LineOfCode


class Summary(NamedTuple):
    """How much is outstanding, who holds it, and which function made most of it."""

    total: Total
    drivers: tuple[DriverTotal, ...]
    """The drivers that hold blocks, the most bytes first."""
    worst: Worst | None
    """``None`` if no block has a line of code outside the kernel and Verifier."""


class UnloadLeak(NamedTuple):
    """A driver that was unloaded before it freed its memory: bug check 0xC4/0x62."""

    driver: str
    verified_data: Address
    counted: int
    """The number of blocks in the bug check's parameters."""
    count: int  # type: ignore[assignment]  # not the method of tuples
    """The number of blocks that could be read."""
    bytes: int


_RECORDS: dict[str, Any] = {
    record.__name__: record
    for record in (
        *(getattr(_rows, name) for name in _rows.__all__),
        Comparison,
        Coverage,
        DriverTotal,
        Filter,
        Flag,
        Frame,
        InlinedFrame,
        FrozenDict,
        LineOfCode,
        Omitted,
        PoolInfo,
        Problem,
        Reach,
        StackSources,
        Summary,
        Total,
        TreeReach,
        UnloadLeak,
        WithoutStack,
        Worst,
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
