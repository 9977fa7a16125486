"""Windows Driver Verifier's data out of kernel crash dumps.

Driver Verifier keeps, inside the kernel, every pool allocation that a verified driver still holds
and rings of recent events with call stacks. This package reads them out of crash dumps, or out of
any other memory that a Python object reads, on any system.

>>> import tempfile
>>> import verifier_py as verifier
>>> dump = verifier.demo(tempfile.mkdtemp())  # or verifier.open("memory.dmp", symbols="symbols")
>>> pool = dump.pool()
>>> pool
<pool: 10 rows>
>>> pool[0]
Allocation(driver='myfault.sys', address=0xfffffa8005400000, size=1028096, tag='Leak', \
caller=0xfffff8800447d634, caller_symbol='myfault!MyfaultDeviceControl+0x358', \
source='tracker')
>>> event = dump.log("pool", address=pool[0].address)[0]
>>> event.operation, event.frames[2].symbol
('allocate', 'myfault!MyfaultDeviceControl+0x358')

A table is a frozen sequence of named tuples and an Arrow table too:

>>> import polars
>>> polars.DataFrame(pool).group_by("tag").agg(polars.col("size").sum()).rows()
[('Leak', 10280960)]

What could not be read stands beside what could:

>>> pool.problems
()
"""

from ._errors import (
    FaultError,
    FormatError,
    MissingSymbol,
    MissingType,
    SymbolsMissing,
    UsageError,
    VerifierError,
)
from ._records import (
    Allocation,
    Driver,
    Flag,
    Frame,
    History,
    Image,
    Info,
    Outstanding,
    PoolEvent,
    Problem,
    Settings,
    Text,
)
from ._verifier_py import Dump, Flags, Log, Session, Table, demo, flags, open

__all__ = [
    "Allocation",
    "Driver",
    "Dump",
    "FaultError",
    "Flag",
    "Flags",
    "FormatError",
    "Frame",
    "History",
    "Image",
    "Info",
    "Log",
    "MissingSymbol",
    "MissingType",
    "Outstanding",
    "PoolEvent",
    "Problem",
    "Session",
    "Settings",
    "SymbolsMissing",
    "Table",
    "Text",
    "UsageError",
    "VerifierError",
    "demo",
    "flags",
    "open",
]
