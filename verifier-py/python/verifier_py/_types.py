"""Literal types of arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

By: TypeAlias = Literal[
    "stack",
    "stack-and-tag",
    "path",
    "frame",
    "driver frame",
    "function",
    "line",
    "caller",
    "tag",
    "driver",
    "size",
]
"""How outstanding allocations are grouped."""
Weight: TypeAlias = Literal["bytes", "count"]
"""The unit of the widths in a flame graph."""
PoolType: TypeAlias = Literal["paged", "nonpaged"]
Style: TypeAlias = Literal["modern", "win7"]
"""The debugger whose text is imitated."""
Machine: TypeAlias = Literal["x86", "x64", "arm64"]
Boot: TypeAlias = Literal["auto", "same", "other"]
"""Whether two dumps are of one boot."""
Extent: TypeAlias = Literal["complete", "at least", "unknown"]
"""How far an answer can be trusted."""
