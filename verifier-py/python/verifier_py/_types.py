"""Words that arguments take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

By: TypeAlias = Literal[
    "stack", "frame", "driver frame", "function", "caller", "tag", "driver", "size"
]
"""What outstanding allocations are grouped by."""
Weight: TypeAlias = Literal["bytes", "count"]
"""What the widths of a flame graph are."""
PoolType: TypeAlias = Literal["paged", "nonpaged"]
Style: TypeAlias = Literal["modern", "win7"]
"""Which debugger's text."""
Machine: TypeAlias = Literal["x86", "x64", "arm64"]
Boot: TypeAlias = Literal["auto", "same", "other"]
"""Whether two dumps are of one boot."""
Extent: TypeAlias = Literal["complete", "at least", "unknown"]
"""How much of an answer is there."""
