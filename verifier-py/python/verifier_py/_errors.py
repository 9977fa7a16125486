"""What can go wrong: one tree, with builtin parents where Python people expect them.

Files that cannot be opened raise :class:`OSError`, as everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._types import Extent

__all__ = [
    "FaultError",
    "FormatError",
    "IncompleteError",
    "MissingSymbol",
    "MissingType",
    "SymbolsMissing",
    "UsageError",
    "VerifierError",
]


class VerifierError(Exception):
    """Anything that this package raises by itself."""


class UsageError(VerifierError, ValueError):
    """An argument that makes no sense."""


class FormatError(VerifierError, ValueError):
    """A file, or a structure in memory, is not what it says it is."""

    offset: int | None
    """Where in the file; ``None`` for a structure in memory or a symbol file."""
    address: int | None
    """Where in memory; ``None`` for a file."""

    def __init__(self, *args: object, offset: int | None = None, address: int | None = None) -> None:
        super().__init__(*args)
        self.offset = offset
        self.address = address


class FaultError(VerifierError, LookupError):
    """Memory that was needed could not be read."""

    address: int | None
    """The first address that could not be read."""
    level: int | None
    """The level of the page table that ends the translation: 1 is the page table. ``None`` where
    the translation is not what failed."""

    def __init__(self, *args: object, address: int | None = None, level: int | None = None) -> None:
        super().__init__(*args)
        self.address = address
        self.level = level


class SymbolsMissing(VerifierError, LookupError):
    """The kernel's symbols are not at hand; the attributes say which PDB would help."""

    name: str | None
    """The PDB's file name; ``None`` where the image does not tell."""
    guid: str | None
    """Its GUID, 32 hexadecimal digits."""
    age: int | None
    """Its age."""

    def __init__(
        self,
        *args: object,
        name: str | None = None,
        guid: str | None = None,
        age: int | None = None,
    ) -> None:
        super().__init__(*args)
        self.name = name
        self.guid = guid
        self.age = age


class MissingType(VerifierError, LookupError):
    """The kernel's symbols do not have a type, or the type not a field."""

    type: str | None
    """The type, in C spelling."""
    field: str | None
    """The field that was asked for; ``None`` where the whole type is missing."""

    def __init__(self, *args: object, type: str | None = None, field: str | None = None) -> None:
        super().__init__(*args)
        self.type = type
        self.field = field


class MissingSymbol(VerifierError, LookupError):
    """The kernel's symbols do not have a global, or it was not found without them."""

    name: str | None
    """The global."""

    def __init__(self, *args: object, name: str | None = None) -> None:
        super().__init__(*args)
        self.name = name


class IncompleteError(VerifierError):
    """An answer that had to be complete is not (``require_complete``)."""

    extent: Extent | None
    """How much of it is there: ``at least`` or ``unknown``."""
    because: tuple[str, ...]
    """Why it is not complete, the gravest reasons first."""

    def __init__(
        self, *args: object, extent: Extent | None = None, because: tuple[str, ...] = ()
    ) -> None:
        super().__init__(*args)
        self.extent = extent
        self.because = because


for _class in (
    VerifierError,
    UsageError,
    FormatError,
    FaultError,
    SymbolsMissing,
    MissingType,
    MissingSymbol,
    IncompleteError,
):
    _class.__module__ = "verifier_py"
del _class
