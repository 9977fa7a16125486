"""The exceptions of the package: one tree, with builtin base classes if Python users expect them.

Files that cannot be opened raise :class:`OSError`, as usual.
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
    """The base class of all exceptions of this package."""


class UsageError(VerifierError, ValueError):
    """An argument that makes no sense."""


class FormatError(VerifierError, ValueError):
    """A file, or a structure in memory, does not have the expected format."""

    offset: int | None
    """The offset in the file; ``None`` for a structure in memory or a symbol file."""
    address: int | None
    """The address in memory; ``None`` for a file."""

    def __init__(self, *args: object, offset: int | None = None, address: int | None = None) -> None:
        super().__init__(*args)
        self.offset = offset
        self.address = address


class FaultError(VerifierError, LookupError):
    """Memory that was needed could not be read."""

    address: int | None
    """The first address that could not be read."""
    level: int | None
    """The level of the page table at which translation failed: 1 is the page table. ``None`` if
    translation did not fail."""

    def __init__(self, *args: object, address: int | None = None, level: int | None = None) -> None:
        super().__init__(*args)
        self.address = address
        self.level = level


class SymbolsMissing(VerifierError, LookupError):
    """The kernel's symbols are missing; the attributes name the PDB that would help."""

    name: str | None
    """The PDB's file name; ``None`` if the image does not name it."""
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
    """The kernel's symbols lack a type, or the type lacks a field."""

    type: str | None
    """The type, in C spelling."""
    field: str | None
    """The requested field; ``None`` if the whole type is missing."""

    def __init__(self, *args: object, type: str | None = None, field: str | None = None) -> None:
        super().__init__(*args)
        self.type = type
        self.field = field


class MissingSymbol(VerifierError, LookupError):
    """The kernel's symbols lack a global, or it was not found without symbols."""

    name: str | None
    """The name of the global."""

    def __init__(self, *args: object, name: str | None = None) -> None:
        super().__init__(*args)
        self.name = name


class IncompleteError(VerifierError):
    """``require_complete`` was called on an answer that is not complete."""

    extent: Extent | None
    """The answer's extent: ``at least`` or ``unknown``."""
    because: tuple[str, ...]
    """Why it is not complete, the most serious reason first."""

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
