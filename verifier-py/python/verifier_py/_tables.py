"""Tables with facts about all their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from ._records import Comparison, Flag, PoolInfo
from ._rows import Allocation, CarvedAllocation, CarvedPoolEvent, PoolStack, WatchedIrp
from ._values import _freeze
from ._verifier_py import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import SupportsIndex

    from typing_extensions import Self

_R = TypeVar("_R")


class _Described(Table[_R]):
    """A frozen table with facts about its rows. A slice keeps them."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, table: Table[_R], /, **facts: Any) -> None:
        for name, value in facts.items():
            object.__setattr__(self, name, _freeze(value))

    def _facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).__slots__}

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _R: ...
    @overload
    def __getitem__(self, key: slice, /) -> Self: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> _R | Self:
        if isinstance(key, slice):
            return type(self)(super().__getitem__(key), **self._facts())
        return super().__getitem__(key)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        if same is not True or not isinstance(other, _Described):
            return same
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return super().__hash__()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_described, (type(self), Table(self), self._facts()))


def _described(
    kind: type[_Described[Any]], table: Table[Any], facts: dict[str, Any]
) -> _Described[Any]:
    return kind(table, **facts)


class Log(_Described[_R]):
    """A log of recent events with the facts of its ring."""

    __slots__ = ("capacity", "empty_because", "kind", "order", "unused", "wrapped", "written")

    kind: str
    """The log's kind."""
    capacity: int
    """The number of records that fit."""
    written: int | None
    """Records written so far, modulo 2^32; ``None`` if the log's index is unknown."""
    order: str
    """``newest first``, or ``unknown`` if the log's index is unknown: the records are then in the order of
    their slots."""
    wrapped: bool | None
    """Whether records were overwritten; ``None`` if that is unknown."""
    unused: int
    """Slots without a record."""
    empty_because: str | None
    """Why it is empty, if it is empty by design."""


class WatchedIrps(_Described[WatchedIrp]):
    """Canceled IRPs that are watched, in the order of their list."""

    __slots__ = ("canceled", "empty_because", "kind", "length", "maximum", "tick")

    kind: str
    """``watched``."""
    length: int | None
    """The kernel's count of entries."""
    maximum: int | None
    """The largest count so far."""
    tick: int | None
    """The current tick."""
    canceled: int | None
    """IRPs canceled so far."""
    empty_because: str | None
    """Why there are no entries, if there are none."""


class _WithPoolInfo(_Described[_R]):
    __slots__ = ()

    pool_info: PoolInfo

    def __init__(
        self, table: Table[_R], /, *, pool_info: PoolInfo | Mapping[str, Any], **facts: Any
    ) -> None:
        if not isinstance(pool_info, PoolInfo):
            pool_info = PoolInfo(**_freeze(dict(pool_info)))
        super().__init__(table, pool_info=pool_info, **facts)


class Pool(_WithPoolInfo[Allocation]):
    """Outstanding pool allocations."""

    __slots__ = ("pool_info",)

    pool_info: PoolInfo
    """Facts of the pool info trees, if the kernel keeps blocks there."""


class PoolStacks(_WithPoolInfo[PoolStack]):
    """The stacks of the pool info tree, those with the most live bytes first."""

    __slots__ = ("pool_info", "source")

    source: str
    """``pool info tree``."""
    pool_info: PoolInfo
    """Facts of the trees."""


class CarvedPool(_Described[CarvedAllocation]):
    """Allocations that were found by their shape, sorted by owner, page and slot."""

    __slots__ = ("comparison", "owners", "pages_looked_at", "source", "why_not_compared")

    source: str
    """``carved``."""
    pages_looked_at: int
    owners: tuple[Mapping[str, Any], ...]
    """Each with ``name``, ``owner``, ``is_signed`` and its ``pages`` (``physical``, ``address``)."""
    comparison: Comparison | None
    """The comparison with the lists."""
    why_not_compared: str | None


class CarvedLog(_Described[CarvedPoolEvent]):
    """Records of the pool log that were found by their shape; their order is unknown."""

    __slots__ = ("kind", "order", "pages", "pages_looked_at", "source")

    kind: str
    """``pool``."""
    source: str
    """``carved``."""
    order: str
    """``unknown``."""
    pages_looked_at: int
    pages: int
    """Pages with records."""


class Flags(_Described[Flag]):
    """The flags of a level of Verifier."""

    __slots__ = ("level",)

    level: int
    """The level, with all bits."""


for _class in (Log, WatchedIrps, Pool, PoolStacks, CarvedPool, CarvedLog, Flags):
    _class.__module__ = "verifier_py"
del _class
