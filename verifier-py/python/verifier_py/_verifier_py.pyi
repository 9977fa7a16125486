from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from types import GenericAlias
from typing import (
    Any,
    Generic,
    Literal,
    Protocol,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

from typing_extensions import disjoint_base

from ._records import (
    Allocation,
    ContiguousMemory,
    Coverage,
    Deadlock,
    DiffGroup,
    Driver,
    FaultEvent,
    Flag,
    History,
    Info,
    IrpEvent,
    IrqlEvent,
    LeakGroup,
    Omitted,
    Page,
    PendingEvent,
    Picture,
    PoolEvent,
    PoolStack,
    Problem,
    Reach,
    RegionEvent,
    Settings,
    Text,
    Total,
    TreeReach,
    WatchedIrp,
)

__all__ = [
    "LOGS",
    "Diff",
    "Dump",
    "Flags",
    "Leaks",
    "Log",
    "Session",
    "Table",
    "demo",
    "diff",
    "escape_html",
    "flags",
    "open",
]

LOGS: tuple[str, ...]

_R = TypeVar("_R", covariant=True)
_One: TypeAlias = str | PathLike[str] | bytes | dict[str, Any]
_Symbols: TypeAlias = _One | Sequence[_One] | None
_By: TypeAlias = Literal[
    "stack", "frame", "driver frame", "function", "caller", "tag", "driver", "size"
]
_Weight: TypeAlias = Literal["bytes", "count"]
_PoolType: TypeAlias = Literal["paged", "nonpaged"]
_Path: TypeAlias = str | PathLike[str]
_Progress: TypeAlias = Callable[[str, int, int | None], object]

class _Memory(Protocol):
    def read(self, address: int, size: int, /) -> bytes | bytearray: ...

@disjoint_base
class Table(Generic[_R]):
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def problems(self) -> tuple[Problem, ...]: ...
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_R]: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _R: ...
    @overload
    def __getitem__(self, key: slice, /) -> Table[_R]: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> Any: ...
    def _repr_html_(self) -> str: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Log(Table[_R]):
    @property
    def kind(self) -> str: ...
    @property
    def capacity(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def wrapped(self) -> bool | None: ...
    @property
    def unused(self) -> int: ...
    @property
    def empty_because(self) -> str | None: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Flags(Table[Flag]):
    @property
    def level(self) -> int: ...

@final
class Leaks(Table[LeakGroup]):
    @property
    def by(self) -> str: ...
    @property
    def coverage(self) -> Coverage: ...
    @property
    def log(self) -> Reach: ...
    @property
    def pool_info(self) -> TreeReach | None: ...
    @property
    def omitted(self) -> Omitted: ...
    @property
    def counted(self) -> int | None: ...
    def to_text(self, *, top: int | None = 20) -> Text: ...
    def to_markdown(self, *, top: int | None = 20) -> Text: ...
    def to_folded(self, *, weight: _Weight = "bytes") -> Text: ...
    @overload
    def flamegraph(self, path: None = None, *, weight: _Weight = "bytes") -> Picture: ...
    @overload
    def flamegraph(self, path: _Path, *, weight: _Weight = "bytes") -> None: ...

@final
class Diff(Table[DiffGroup]):
    @property
    def by(self) -> str: ...
    @property
    def same_boot(self) -> bool: ...
    @property
    def why(self) -> str: ...
    @property
    def old(self) -> Total: ...
    @property
    def new(self) -> Total: ...
    @property
    def growth(self) -> Total: ...
    @property
    def omitted(self) -> int: ...
    @property
    def unchanged(self) -> int: ...
    @property
    def rebuilt(self) -> tuple[str, ...]: ...
    @property
    def old_problems(self) -> tuple[Problem, ...]: ...
    @property
    def new_problems(self) -> tuple[Problem, ...]: ...
    def to_text(self, *, top: int | None = 20) -> Text: ...
    def to_markdown(self, *, top: int | None = 20) -> Text: ...

@disjoint_base
class Session:
    def __new__(
        cls,
        *,
        memory: _Memory,
        symbols: _Symbols = None,
        dtb: int | None = None,
        machine: str = "x64",
        pae: bool | None = None,
        build: int | None = None,
        ps_loaded_module_list: int | None = None,
        kd_debugger_data_block: int | None = None,
        stable: bool = False,
        progress: _Progress | None = None,
    ) -> Session: ...
    def info(self) -> Info: ...
    def settings(self) -> Settings: ...
    def drivers(self) -> Table[Driver]: ...
    def pool(self, driver: str | None = None) -> Table[Allocation]: ...
    @overload
    def log(
        self, kind: Literal["pool"], *, last: int | None = None, address: int | None = None
    ) -> Log[PoolEvent]: ...
    @overload
    def log(
        self, kind: Literal["irql"], *, last: int | None = None, address: int | None = None
    ) -> Log[IrqlEvent]: ...
    @overload
    def log(
        self, kind: Literal["fault"], *, last: int | None = None, address: int | None = None
    ) -> Log[FaultEvent]: ...
    @overload
    def log(
        self, kind: Literal["region"], *, last: int | None = None, address: int | None = None
    ) -> Log[RegionEvent]: ...
    @overload
    def log(
        self, kind: Literal["irp"], *, last: int | None = None, address: int | None = None
    ) -> Log[IrpEvent]: ...
    @overload
    def log(
        self, kind: Literal["pending"], *, last: int | None = None, address: int | None = None
    ) -> Log[PendingEvent]: ...
    @overload
    def log(self, kind: str, *, last: int | None = None, address: int | None = None) -> Log[Any]: ...
    def contiguous(self, driver: str | None = None) -> Table[ContiguousMemory]: ...
    def pool_stacks(self, driver: str | None = None) -> Table[PoolStack]: ...
    def watched_irps(
        self, *, last: int | None = None, address: int | None = None
    ) -> Table[WatchedIrp]: ...
    def history(self, address: int) -> History: ...
    def deadlock(self) -> Deadlock: ...
    def leaks(
        self,
        by: _By = "stack",
        *,
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: _PoolType | None = None,
        skip: str | None = None,
        top: int | None = None,
    ) -> Leaks: ...
    @overload
    def flamegraph(
        self,
        path: None = None,
        *,
        weight: _Weight = "bytes",
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: _PoolType | None = None,
        skip: str | None = None,
    ) -> Picture: ...
    @overload
    def flamegraph(
        self,
        path: _Path,
        *,
        weight: _Weight = "bytes",
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: _PoolType | None = None,
        skip: str | None = None,
    ) -> None: ...
    @overload
    def report(
        self,
        path: None = None,
        *,
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: _PoolType | None = None,
        skip: str | None = None,
    ) -> Page: ...
    @overload
    def report(
        self,
        path: _Path,
        *,
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: _PoolType | None = None,
        skip: str | None = None,
    ) -> None: ...
    def kd(self, command: str, *, style: str = "modern") -> Text: ...

@final
class Dump(Session):
    @property
    def path(self) -> Path: ...

def open(
    path: str | PathLike[str],
    symbols: _Symbols = None,
    *,
    mmap: bool = True,
    raw: bool = False,
    dtb: int | None = None,
    progress: _Progress | None = None,
) -> Dump: ...
def demo(folder: str | PathLike[str]) -> Dump: ...
def diff(
    old: Session,
    new: Session,
    by: _By = "stack",
    *,
    boot: Literal["auto", "same", "other"] = "auto",
    driver: str | None = None,
    tag: str | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    pool_type: _PoolType | None = None,
    skip: str | None = None,
    top: int | None = None,
) -> Diff: ...
def escape_html(text: str) -> str: ...
def flags(level: int | None = None, *, names: Sequence[str] | None = None) -> Flags: ...
