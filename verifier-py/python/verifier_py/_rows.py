"""Named tuples for the rows of tables.

Made from the descriptions in verifier-core by ``BLESS=1 cargo test -p verifier-py``; do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ._values import Address, Frame, Total, _repr

__all__ = [
    "Allocation",
    "CarvedAllocation",
    "CarvedPoolEvent",
    "ContiguousMemory",
    "DiffGroup",
    "Driver",
    "FaultEvent",
    "HeldBlock",
    "Image",
    "IrpEvent",
    "IrqlEvent",
    "LeakGroup",
    "LeakedBlock",
    "Lifetime",
    "Neighbor",
    "Outstanding",
    "PendingEvent",
    "PoolEvent",
    "PoolStack",
    "RegionEvent",
    "SuppressedEvent",
    "WatchedIrp",
    "WorkaroundEvent",
]


class Allocation(NamedTuple):
    """An outstanding allocation."""

    driver: str | None
    """The file name of its driver; ``None`` if the driver is unknown."""
    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    tag: str | None
    """The pool tag; ``None`` for contiguous memory."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    source: str
    """Where Verifier keeps the entry of the block; "carved" if no tree and no list leads to the entry.
    One of ``tracker``, ``carved``, ``contiguous`` and ``pool info tree``."""
    attributed_by: str | None
    """How the driver of a block of the pool info tree was found; ``None`` if the entry itself names it.
    One of ``a frame in its image`` and ``a frame in its unloaded image``."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry. One of
    ``address outside the kernel``, ``size too large``, ``same block as another entry``, ``overlaps
    another block`` and ``caller in no image``."""

    def __repr__(self) -> str:
        return _repr(self)


class CarvedAllocation(NamedTuple):
    """An allocation whose tracking entry was found by its content."""

    driver: str | None
    """The file name of its driver; ``None`` if the driver is unknown."""
    owner: Address
    """The data of the driver that the tracking page names."""
    is_signed: bool
    """True if that data has Verifier's signature."""
    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    tag: str
    """The pool tag."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    source: str
    """Always "carved". Always ``carved``."""
    physical_page: Address | None
    """The physical page of the tracking entry; ``None`` if only its virtual address is known."""
    slot: int
    """The slot of the tracking entry on its page."""
    entry: Address | None
    """The virtual address of the tracking entry; ``None`` if it is unknown."""

    def __repr__(self) -> str:
        return _repr(self)


class CarvedPoolEvent(NamedTuple):
    """A record of the pool log that was found by its content."""

    physical_page: Address | None
    """The physical page on which the record starts; ``None`` if only its virtual address is known."""
    page: Address | None
    """The virtual address of that page; ``None`` if it is unknown."""
    offset: int
    """Where on the page the record starts, in bytes."""
    address: Address
    """The block, the MDL or the mapping; ``None`` if the allocation failed."""
    size: int
    """The size in bytes that was asked for, or the size of the block that was freed."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    operation: str
    """What happened to the block, by the names of the frames. One of ``allocate``, ``free``, ``failed``
    and ``unknown``."""
    is_cut: bool
    """True if the record ends on another page that was not found, so that frames may be missing."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class ContiguousMemory(NamedTuple):
    """Contiguous memory that a driver holds."""

    driver: str | None
    """The file name of its driver; ``None`` if the driver is unknown."""
    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry. One of
    ``address outside the kernel``, ``size too large``, ``same block as another entry``, ``overlaps
    another block`` and ``caller in no image``."""

    def __repr__(self) -> str:
        return _repr(self)


class DiffGroup(NamedTuple):
    """Blocks of both dumps that have a stack, tag, driver or size in common."""

    tag: str | None
    """The pool tag; ``None`` if the blocks do not share one."""
    driver: str | None
    """The file name of the driver; ``None`` if the blocks do not share one."""
    label: str
    """The first frame outside the kernel and Verifier, a tag, a driver or a size."""
    why_no_stack: str | None
    """Why the group has no stack; ``None`` if it has one."""
    stack: tuple[str, ...] | None
    """The names of the call stack, innermost frame first; ``None`` if the blocks do not share one."""
    contiguous: bool
    """True for contiguous memory, which has no tag."""
    merged: int
    """Of how many groups of one caller it is the sum, if one dump lacks stacks of the other; else 0."""
    old: Total
    """The blocks of the earlier dump."""
    new: Total
    """The blocks of the later dump."""
    growth: Total
    """How much more the later dump has."""
    appeared: tuple[Address, ...]
    """Blocks that only the later dump has."""
    gone: tuple[Address, ...]
    """Blocks that only the earlier dump has."""

    def __repr__(self) -> str:
        return _repr(self, "label", "tag", "growth")


class Driver(NamedTuple):
    """A driver that is configured for Driver Verifier."""

    name: str
    """The file name that was configured."""
    state: str
    """What became of the driver, by its loads and unloads. One of ``loaded``, ``unloaded`` and ``never
    loaded``."""
    loads: int
    """How often the driver was loaded."""
    unloads: int
    """How often the driver was unloaded."""
    base: Address | None
    """The base of its image; ``None`` if no image is loaded."""
    size: int | None
    """The size of its image in bytes."""
    suspect_entry: Address | None
    """Its ``_VF_SUSPECT_DRIVER_ENTRY``; ``None`` if the list does not have the entry anymore."""
    target_driver: Address | None
    """Its ``_VF_TARGET_DRIVER``; ``None`` if the tree does not have the image."""
    verified_data: Address | None
    """Its ``_VF_TARGET_VERIFIED_DRIVER_DATA``."""
    counters: Mapping[str, int] | None
    """The sums of the counters of its images: every integer that the structure of the build has."""
    images: tuple[Image, ...]
    """Its verified images."""
    from_bug_check: bool
    """True if only the parameters of bug check 0xC4/0x62 lead to the data of the driver."""

    def __repr__(self) -> str:
        return _repr(self)


class FaultEvent(NamedTuple):
    """A fault that Verifier injected."""

    slot: int
    """The record's slot in the ring."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class HeldBlock(NamedTuple):
    """An outstanding allocation with the stack that made it."""

    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    tag: str | None
    """The pool tag; ``None`` for contiguous memory."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    source: str
    """Where Verifier keeps the entry of the block; "carved" if no tree and no list leads to the entry.
    One of ``tracker``, ``carved``, ``contiguous`` and ``pool info tree``."""
    attributed_by: str | None
    """How the driver of a block of the pool info tree was found; ``None`` if the entry itself names it.
    One of ``a frame in its image`` and ``a frame in its unloaded image``."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry. One of
    ``address outside the kernel``, ``size too large``, ``same block as another entry``, ``overlaps
    another block`` and ``caller in no image``."""
    driver: str
    """The file name of its driver."""
    pool: str | None
    """The pool of the block; ``None`` if it is unknown. One of ``nonpaged`` and ``paged``."""
    requested: int | None
    """The size in bytes that the driver asked for; ``None`` if it is unknown."""
    thread: Address | None
    """The ``_ETHREAD`` that made the allocation; ``None`` if the log does not have its record."""
    slot: int | None
    """The slot in the pool log of the record of the allocation."""
    stack_source: str | None
    """Where the stack is from; ``None`` if the block has none. One of ``pool log`` and ``pool info
    tree``."""
    known: bool | None
    """Whether the baseline knows the block; ``None`` without a baseline."""
    stack: tuple[Frame, ...] | None
    """The call stack that made the allocation, innermost frame first; ``None`` if it is unknown."""
    why_no_stack: str | None
    """Why the stack is unknown."""

    def __repr__(self) -> str:
        return _repr(self)


class Image(NamedTuple):
    """A verified image of a driver."""

    base: Address | None
    """The base of the image; ``None`` if it is unknown."""
    size: int
    """The size of the image in bytes."""
    target_driver: Address | None
    """Its ``_VF_TARGET_DRIVER``; ``None`` if the tree does not have the image."""
    is_carved: bool
    """True if the tree does not lead to the image, and a search found its data."""
    verified_data: Address
    """Its ``_VF_TARGET_VERIFIED_DRIVER_DATA``."""
    counters: Mapping[str, int]
    """Its counters: every integer that the structure of the build has."""

    def __repr__(self) -> str:
        return _repr(self)


class IrpEvent(NamedTuple):
    """An IRP that was allocated, completed or canceled."""

    slot: int
    """The record's slot in the ring."""
    irp: Address
    """The ``_IRP``."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    kernel_apc_disable: int | None
    """The thread's count of disabled kernel APCs; negative while they are disabled."""
    special_apc_disable: int | None
    """The thread's count of disabled special kernel APCs; negative while they are disabled."""
    irql: int | None
    """The IRQL of the call."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class IrqlEvent(NamedTuple):
    """An IRQL transition."""

    slot: int
    """The record's slot in the ring."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    old_irql: int
    """The IRQL before the transition."""
    new_irql: int
    """The IRQL after the transition."""
    processor: int
    """The number of the processor."""
    tick: int
    """The kernel's tick count."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class LeakGroup(NamedTuple):
    """Outstanding allocations of one stack, function, caller, tag, driver or size."""

    count: int  # type: ignore[assignment]
    """How many blocks."""
    bytes: int
    """Their size in bytes."""
    largest: int
    """The size in bytes of the largest one."""
    tag: str | None
    """The pool tag; ``None`` if the blocks do not share one."""
    driver: str | None
    """The file name of the driver; ``None`` if the blocks do not share one."""
    label: str
    """A line of code, a function, a tag, a driver or a size."""
    stack: tuple[Frame, ...] | None
    """The call stack, innermost frame first; ``None`` if the blocks do not share one."""
    file: str | None
    """The source file of the line of code that allocated; ``None`` if the blocks do not share one, or
    if no PDB has the line."""
    line: int | None
    """The line in that file."""
    why_no_stack: str | None
    """Why the group has no stack; ``None`` if it has one."""
    stack_source: str | None
    """Where the stacks are from; ``None`` if the blocks differ. One of ``pool log`` and ``pool info
    tree``."""
    source: str | None
    """Where Verifier keeps the entries of the blocks; ``None`` if the blocks differ. One of
    ``tracker``, ``carved``, ``contiguous`` and ``pool info tree``."""
    known: int | None
    """How many of the blocks the baseline knows; ``None`` without a baseline."""
    allocations: tuple[LeakedBlock, ...]
    """Its blocks."""

    def __repr__(self) -> str:
        return _repr(self, "label", "tag", "driver", "count", "bytes")


class LeakedBlock(NamedTuple):
    """An outstanding allocation, joined with the pool log."""

    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    tag: str | None
    """The pool tag; ``None`` for contiguous memory."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    source: str
    """Where Verifier keeps the entry of the block; "carved" if no tree and no list leads to the entry.
    One of ``tracker``, ``carved``, ``contiguous`` and ``pool info tree``."""
    attributed_by: str | None
    """How the driver of a block of the pool info tree was found; ``None`` if the entry itself names it.
    One of ``a frame in its image`` and ``a frame in its unloaded image``."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry. One of
    ``address outside the kernel``, ``size too large``, ``same block as another entry``, ``overlaps
    another block`` and ``caller in no image``."""
    driver: str
    """The file name of its driver."""
    pool: str | None
    """The pool of the block; ``None`` if it is unknown. One of ``nonpaged`` and ``paged``."""
    requested: int | None
    """The size in bytes that the driver asked for; ``None`` if it is unknown."""
    thread: Address | None
    """The ``_ETHREAD`` that made the allocation; ``None`` if the log does not have its record."""
    slot: int | None
    """The slot in the pool log of the record of the allocation."""
    stack_source: str | None
    """Where the stack is from; ``None`` if the block has none. One of ``pool log`` and ``pool info
    tree``."""
    known: bool | None
    """Whether the baseline knows the block; ``None`` without a baseline."""

    def __repr__(self) -> str:
        return _repr(self)


class Lifetime(NamedTuple):
    """One life of a block that held the address of a history."""

    block: Address
    """The block."""
    allocated: int | None
    """The index in ``events`` of its allocation; ``None`` if the log does not have it."""
    freed: int | None
    """The index in ``events`` of its free; ``None`` if the block is held or the log does not have the
    free."""
    held: bool
    """True if the block is held now."""
    why_unknown: str | None
    """Why the log does not have the allocation of a block that is held."""

    def __repr__(self) -> str:
        return _repr(self)


class Neighbor(NamedTuple):
    """A block near the address of a history."""

    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    driver: str | None
    """The file name of its driver; ``None`` if the block is not outstanding."""
    newest: str | None
    """What its newest record in the pool log says; ``None`` if the log has none. One of ``allocate``,
    ``free``, ``failed`` and ``unknown``."""

    def __repr__(self) -> str:
        return _repr(self)


class Outstanding(NamedTuple):
    """An outstanding allocation that holds the address of a history."""

    driver: str
    """The file name of its driver."""
    entry: Address
    """The entry that Verifier keeps of the block."""
    address: Address
    """The block."""
    size: int
    """Its size in bytes."""
    tag: str | None
    """The pool tag; ``None`` for contiguous memory."""
    caller: Address
    """The address from which the driver asked for the block; 0 if it is unknown."""
    caller_symbol: str | None
    """The name of that address."""
    file: str | None
    """The source file of the call that asked for the block; ``None`` if no PDB has the line."""
    line: int | None
    """The line in that file."""
    source: str
    """Where Verifier keeps the entry of the block; "carved" if no tree and no list leads to the entry.
    One of ``tracker``, ``carved``, ``contiguous`` and ``pool info tree``."""
    attributed_by: str | None
    """How the driver of a block of the pool info tree was found; ``None`` if the entry itself names it.
    One of ``a frame in its image`` and ``a frame in its unloaded image``."""
    impossible: str | None
    """Why the block cannot be as its entry says; ``None`` if nothing contradicts the entry. One of
    ``address outside the kernel``, ``size too large``, ``same block as another entry``, ``overlaps
    another block`` and ``caller in no image``."""
    stack: tuple[Frame, ...] | None
    """The call stack that the pool info tree keeps of the block; ``None`` for a tracking entry."""

    def __repr__(self) -> str:
        return _repr(self)


class PendingEvent(NamedTuple):
    """An IRP that was forced to pend."""

    slot: int
    """The record's slot in the ring."""
    irp: Address
    """The ``_IRP``."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class PoolEvent(NamedTuple):
    """A record of the pool log."""

    slot: int
    """The record's slot in the ring."""
    address: Address
    """The block, the MDL or the mapping; ``None`` if the allocation failed."""
    size: int
    """The size in bytes that was asked for, or the size of the block that was freed."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    operation: str
    """What happened to the block, by the names of the frames. One of ``allocate``, ``free``, ``failed``
    and ``unknown``."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class PoolStack(NamedTuple):
    """A call stack of the pool info tree with the allocations that it made."""

    live_count: int
    """Blocks that are live: allocations less frees."""
    live_bytes: int
    """Their size in bytes."""
    tag: str
    """The pool tag of its blocks."""
    pool: str | None
    """The pool of its blocks; ``None`` if the element does not say it. One of ``nonpaged`` and
    ``paged``."""
    driver: str | None
    """The file name of the driver; ``None`` if no frame belongs to a configured one."""
    attributed_by: str | None
    """How the driver was found. One of ``a frame in its image`` and ``a frame in its unloaded
    image``."""
    allocations: int
    """Allocations, failed ones included."""
    frees: int
    """How many of the allocations were freed."""
    bytes_allocated: int
    """Bytes that were allocated."""
    bytes_freed: int
    """How many of the bytes were freed."""
    blocks: int
    """Live blocks in the tree that point at the stack."""
    block_bytes: int
    """Their size in bytes."""
    hash: Address
    """The hash of the frames."""
    flags: Address
    """The flags of the element."""
    element: Address
    """The element of the tree."""
    in_tree: bool
    """False if only the pointer of a block leads to the element."""
    stack: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class RegionEvent(NamedTuple):
    """A critical region that was entered or left."""

    slot: int
    """The record's slot in the ring."""
    thread: Address
    """The thread's ``_ETHREAD``."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class SuppressedEvent(NamedTuple):
    """A bug check that Verifier suppressed."""

    slot: int
    """The record's slot in the ring."""
    code: int
    """The code of the bug check."""
    parameter1: Address
    """Its first parameter."""
    parameter2: Address
    """Its second parameter."""
    parameter3: Address
    """Its third parameter."""
    parameter4: Address
    """Its fourth parameter."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)


class WatchedIrp(NamedTuple):
    """A canceled IRP that Verifier watches until it is completed."""

    address: Address
    """The ``_VF_WATCHDOG_IRP``."""
    irp: Address
    """The ``_IRP``."""
    due_tick_count: int
    """The tick by which the IRP must be completed."""
    inserted: int
    """Not 0 while the IRP is in the list."""
    tracked_stack_location: int
    """The number of the IRP's stack location that is tracked."""
    cancel_timeout_ticks: int
    """Ticks that the IRP may take to be completed."""

    def __repr__(self) -> str:
        return _repr(self)


class WorkaroundEvent(NamedTuple):
    """A bug check that Verifier worked around."""

    slot: int
    """The record's slot in the ring."""
    type: int
    """What was worked around; 1: an allocation of no bytes."""
    caller: Address
    """The return address of the call."""
    pointer: Address
    """The pointer that the call was about."""
    impossible: str | None
    """The value that no kernel writes: the record was damaged; ``None`` if nothing contradicts it. One
    of ``address``, ``size``, ``thread``, ``frame``, ``irp``, ``irql`` and ``processor``."""
    frames: tuple[Frame, ...]
    """The call stack, innermost frame first."""
    file: str | None
    """The source file of the first frame outside the kernel and Verifier; ``None`` if no PDB has the
    line."""
    line: int | None
    """The line in that file."""

    def __repr__(self) -> str:
        return _repr(self)
