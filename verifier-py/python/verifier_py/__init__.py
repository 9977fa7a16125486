"""Reads Windows Driver Verifier's data from kernel crash dumps.

Driver Verifier keeps in the kernel every pool allocation that a verified driver still holds, and rings of
recent events with call stacks. This package reads them, on any system, from crash dumps or from any other
memory that a Python object reads.

>>> import tempfile
>>> import verifier_py as verifier
>>> dump = verifier.demo(tempfile.mkdtemp())  # or verifier.open("memory.dmp", symbols="symbols")
>>> pool = dump.pool()
>>> pool
<pool: 10 rows>
>>> pool[0]
Allocation(driver='myfault.sys', address=0xfffffa8005400000, size=1028096, tag='Leak', \
caller=0xfffff8800447d634, caller_symbol='myfault!MyfaultDeviceControl+0x358', \
file=None, line=None, source='tracker', attributed_by=None, impossible=None)
>>> event = dump.log("pool", address=pool[0].address)[0]
>>> event.operation, event.frames[2].symbol
('allocate', 'myfault!MyfaultDeviceControl+0x358')

The same in one step: who allocated the memory that is still held, the most bytes first.

>>> dump.leaks()[0]
LeakGroup('myfault!MyfaultDeviceControl+0x358', tag='Leak', driver='myfault.sys', count=10, \
bytes=10280960)

A table is a frozen sequence of named tuples, and also an Arrow table:

>>> import polars
>>> polars.DataFrame(pool).group_by("tag").agg(polars.col("size").sum()).rows()
[('Leak', 10280960)]

Each result lists the data that could not be read, and says whether it is the whole answer:

>>> pool.problems, pool.complete, pool.extent
((), True, 'complete')
>>> len(pool.require_complete())  # raises IncompleteError if it is not
10
"""

from ._documents import (
    Deadlock,
    History,
    Info,
    Page,
    Picture,
    Settings,
    Text,
)
from ._errors import (
    FaultError,
    FormatError,
    IncompleteError,
    MissingSymbol,
    MissingType,
    SymbolsMissing,
    UsageError,
    VerifierError,
)
from ._records import (
    Comparison,
    Coverage,
    Filter,
    Flag,
    Ignored,
    KnownLeak,
    KnownLeaks,
    Omitted,
    PoolInfo,
    Reach,
    StackSources,
    TreeReach,
    DriverTotal,
    LineOfCode,
    Summary,
    UnloadLeak,
    WithoutStack,
    Worst,
)
from ._rows import *
from ._tables import (
    CarvedLog,
    CarvedPool,
    Flags,
    Log,
    Pool,
    PoolStacks,
    WatchedIrps,
)
from ._types import (
    Boot,
    By,
    Extent,
    Machine,
    PoolType,
    Style,
    Weight,
)
from ._values import Frame, FrozenDict, InlinedFrame, Problem, Total
from ._verifier_py import (
    LOGS,
    Diff,
    Dump,
    Leaks,
    Session,
    Table,
    __version__,
    demo,
    diff,
    flags,
    open,
)

__all__ = [
    "LOGS",
    "__version__",
    "Boot",
    "By",
    "CarvedLog",
    "CarvedPool",
    "Comparison",
    "Coverage",
    "Deadlock",
    "Diff",
    "Dump",
    "Extent",
    "FaultError",
    "Filter",
    "Flag",
    "Flags",
    "FormatError",
    "Frame",
    "InlinedFrame",
    "FrozenDict",
    "History",
    "Ignored",
    "IncompleteError",
    "Info",
    "KnownLeak",
    "KnownLeaks",
    "Leaks",
    "Log",
    "Machine",
    "MissingSymbol",
    "MissingType",
    "Omitted",
    "Page",
    "Picture",
    "Pool",
    "PoolInfo",
    "PoolStacks",
    "PoolType",
    "Problem",
    "Reach",
    "Session",
    "Settings",
    "StackSources",
    "Style",
    "SymbolsMissing",
    "Table",
    "Text",
    "Total",
    "TreeReach",
    "DriverTotal",
    "LineOfCode",
    "Summary",
    "UnloadLeak",
    "UsageError",
    "VerifierError",
    "WatchedIrps",
    "Weight",
    "WithoutStack",
    "Worst",
    "demo",
    "diff",
    "flags",
    "open",
    # Made by `BLESS=1 cargo test -p verifier-py`: the classes of rows.
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
    # The end of what is made.
]
