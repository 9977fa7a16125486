"""What the classes of rows are made of: addresses, frozen dicts, frames and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

    from ._types import Extent

Address: TypeAlias = int
"""A number that a record's text shows in hexadecimal."""


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


def _repr(record: Any, *names: str) -> str:
    """The text of a record. If names are given, only these fields, and the first one without its name."""
    shown = _hex_fields(type(record))

    def text(name: str) -> str:
        value = getattr(record, name)
        return _hex(value) if name in shown else repr(value)

    fields = [f"{name}={text(name)}" for name in names or record._fields]
    if names:
        fields[0] = text(names[0])
    return f"{type(record).__name__}({', '.join(fields)})"


def _frozen(*_args: object, **_named: object) -> Any:
    """Raises an error, because the dict is frozen."""
    raise TypeError("the dict is frozen; dict() of it is not")


class FrozenDict(dict[str, Any]):
    """A dict that cannot be changed and has a hash."""

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
    """Data that could not be read or do not fit, reported with the data that could be read."""

    what: str
    address: Address | None
    why: str
    leaves: Extent = "at least"
    """The extent that the answer has despite the problem: ``complete`` (a remark), ``at least`` or ``unknown``."""

    def __repr__(self) -> str:
        return _repr(self)


class InlinedFrame(NamedTuple):
    """A function that the compiler inlined at a frame."""

    function: str
    file: str
    """The path of the source file, as in the PDB or as ``source_roots`` places it."""
    line: int

    def __repr__(self) -> str:
        return _repr(self)


class Frame(NamedTuple):
    """A frame of a call stack."""

    address: Address
    symbol: str | None
    """``module!name+0x1f``, ``module+0x1234`` without a symbol, ``None`` outside all modules."""
    file: str | None = None
    """The source file of the call, ``None`` if no PDB has its line."""
    line: int | None = None
    """The line in that file."""
    inlined: tuple[InlinedFrame, ...] = ()
    """The functions that were inlined there, the innermost first."""

    def __repr__(self) -> str:
        return _repr(self)


class Total(NamedTuple):
    """Blocks and their bytes; negative for a decrease."""

    count: int  # type: ignore[assignment]  # not the method of tuples
    bytes: int
