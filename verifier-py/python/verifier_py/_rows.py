"""Named tuples for the rows of tables.

Made from the descriptions in verifier-core by ``BLESS=1 cargo test -p verifier-py``; do not edit.
"""

from __future__ import annotations

from typing import NamedTuple

from ._values import Address, Frame, _repr

__all__ = [
    "CarvedPoolEvent",
    "FaultEvent",
    "IrpEvent",
    "IrqlEvent",
    "PendingEvent",
    "PoolEvent",
    "RegionEvent",
    "SuppressedEvent",
    "WatchedIrp",
    "WorkaroundEvent",
]


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

    def __repr__(self) -> str:
        return _repr(self)
