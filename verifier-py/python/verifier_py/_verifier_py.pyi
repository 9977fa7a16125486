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

from typing_extensions import Buffer, Self, disjoint_base

from . import _rows
from ._documents import Deadlock, History, Info, Page, Picture, Settings, Text
from ._records import (
    Coverage,
    Filter,
    KnownLeaks,
    Omitted,
    Reach,
    TreeReach,
    Summary,
    UnloadLeak,
)
from ._rows import ContiguousMemory, DiffGroup, Driver, HeldBlock, LeakGroup
from ._tables import CarvedLog, CarvedPool, Flags, Log, Pool, PoolStacks, WatchedIrps
from ._types import Boot, By, Extent, Machine, PoolType, Style, Weight
from ._values import Problem, Total

__all__ = [
    "LOGS",
    "Diff",
    "Dump",
    "Leaks",
    "Session",
    "Table",
    "__version__",
    "_completeness",
    "_note",
    "_require_complete",
    "_restore",
    "demo",
    "diff",
    "escape_html",
    "flags",
    "open",
]

LOGS: tuple[str, ...]
__version__: str

_R = TypeVar("_R", covariant=True)
_Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]
_One: TypeAlias = str | PathLike[str] | Buffer | dict[str, Any]
_Symbols: TypeAlias = _One | Sequence[_One] | None
_Progress: TypeAlias = Callable[[str, int, int | None], object]
_Range: TypeAlias = tuple[int, int] | None

class _Memory(Protocol):
    def read(self, address: int, size: int, /) -> Buffer: ...

@disjoint_base
class Table(Generic[_R]):
    def __new__(cls, table: Table[_R], /, **_facts: object) -> Self: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def problems(self) -> tuple[Problem, ...]: ...
    @property
    def complete(self) -> bool: ...
    @property
    def extent(self) -> Extent: ...
    @property
    def incomplete_because(self) -> tuple[str, ...]: ...
    def require_complete(self) -> Self: ...
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_R]: ...
    def __reversed__(self) -> Iterator[_R]: ...
    def index(self, value: object, start: int = 0, stop: int = ..., /) -> int: ...
    def count(self, value: object, /) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
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
class Leaks(Table[LeakGroup]):
    @property
    def by(self) -> str: ...
    @property
    def filter(self) -> Filter | None: ...
    @property
    def baseline(self) -> KnownLeaks | None: ...
    def write_baseline(self, path: _Path) -> None: ...
    @property
    def summary(self) -> Summary: ...
    @property
    def coverage(self) -> Coverage: ...
    @property
    def log(self) -> Reach: ...
    @property
    def pool_info(self) -> TreeReach | None: ...
    @property
    def unload_leak(self) -> UnloadLeak | None: ...
    @property
    def omitted(self) -> Omitted: ...
    @property
    def counted(self) -> int | None: ...
    def blocks(self) -> Table[HeldBlock]: ...
    def to_text(self, *, top: int | None = 20) -> Text: ...
    def to_markdown(self, *, top: int | None = 20) -> Text: ...
    def to_sarif(self, *, top: int | None = None) -> Text: ...
    def to_junit(self, *, top: int | None = None) -> Text: ...
    def to_github(self, *, top: int | None = 10) -> Text: ...
    def to_folded(self, *, weight: Weight = "bytes") -> Text: ...
    @overload
    def flamegraph(
        self, path: None = None, *, weight: Weight = "bytes", inverted: bool = False, force: bool = False
    ) -> Picture: ...
    @overload
    def flamegraph(
        self, path: _Path, *, weight: Weight = "bytes", inverted: bool = False, force: bool = False
    ) -> tuple[Problem, ...]: ...

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
    def old_with_stack(self) -> int: ...
    @property
    def new_with_stack(self) -> int: ...
    @property
    def old_filter(self) -> Filter | None: ...
    @property
    def new_filter(self) -> Filter | None: ...
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
        machine: Machine = "x64",
        pae: bool | None = None,
        build: int | None = None,
        ps_loaded_module_list: int | None = None,
        kd_debugger_data_block: int | None = None,
        kernel_base: int | None = None,
        stable: bool = False,
        progress: _Progress | None = None,
    ) -> Session: ...
    def info(self) -> Info: ...
    def settings(self) -> Settings: ...
    def drivers(self) -> Table[Driver]: ...
    @overload
    def pool(
        self, driver: str | None = None, *, carve: Literal[False] = False, range: None = None
    ) -> Pool: ...
    @overload
    def pool(
        self, driver: str | None = None, *, carve: Literal[True], range: _Range = None
    ) -> CarvedPool: ...
    @overload
    def pool(
        self, driver: str | None = None, *, carve: bool = False, range: tuple[int, int]
    ) -> CarvedPool: ...
    # Made by `BLESS=1 cargo test -p verifier-py`: one overload for each log.
    @overload
    def log(
        self,
        kind: Literal["pool"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.PoolEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["irql"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.IrqlEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["fault"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.FaultEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["region"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.RegionEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["irp"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.IrpEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["pending"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.PendingEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["suppressed"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.SuppressedEvent]: ...
    @overload
    def log(
        self,
        kind: Literal["workaround"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[_rows.WorkaroundEvent]: ...
    @overload
    def log(  # type: ignore[overload-overlap]  # any other word is a log's
        self,
        kind: Literal["watched"],
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> WatchedIrps: ...
    # The end of what is made.
    @overload
    def log(
        self,
        kind: Literal["pool"],
        *,
        last: None = None,
        address: int | None = None,
        carve: Literal[True],
        range: _Range = None,
    ) -> CarvedLog: ...
    @overload
    def log(
        self,
        kind: Literal["pool"],
        *,
        last: None = None,
        address: int | None = None,
        carve: bool = False,
        range: tuple[int, int],
    ) -> CarvedLog: ...
    @overload
    def log(
        self,
        kind: str,
        *,
        last: int | None = None,
        address: int | None = None,
        carve: Literal[False] = False,
        range: None = None,
    ) -> Log[Any]: ...
    def contiguous(self, driver: str | None = None) -> Table[ContiguousMemory]: ...
    def pool_stacks(self, driver: str | None = None) -> PoolStacks: ...
    def watched_irps(
        self, *, last: int | None = None, address: int | None = None
    ) -> WatchedIrps: ...
    def history(self, address: int) -> History: ...
    def deadlock(self) -> Deadlock: ...
    def leaks(
        self,
        by: By = "stack",
        *,
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: PoolType | None = None,
        skip: str | None = None,
        ignore: list[str] | None = None,
        baseline: _Path | None = None,
        top: int | None = None,
    ) -> Leaks: ...
    @overload
    def flamegraph(
        self,
        path: None = None,
        *,
        weight: Weight = "bytes",
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: PoolType | None = None,
        skip: str | None = None,
        ignore: list[str] | None = None,
        inverted: bool = False,
        force: bool = False,
    ) -> Picture: ...
    @overload
    def flamegraph(
        self,
        path: _Path,
        *,
        weight: Weight = "bytes",
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: PoolType | None = None,
        skip: str | None = None,
        ignore: list[str] | None = None,
        inverted: bool = False,
        force: bool = False,
    ) -> tuple[Problem, ...]: ...
    @overload
    def report(
        self,
        path: None = None,
        *,
        driver: str | None = None,
        tag: str | None = None,
        min_size: int | None = None,
        max_size: int | None = None,
        pool_type: PoolType | None = None,
        skip: str | None = None,
        ignore: list[str] | None = None,
        force: bool = False,
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
        pool_type: PoolType | None = None,
        skip: str | None = None,
        ignore: list[str] | None = None,
        force: bool = False,
    ) -> tuple[Problem, ...]: ...
    def kd(self, command: str, *, style: Style = "modern") -> Text: ...

@final
class Dump(Session):
    @property
    def path(self) -> Path: ...

def open(
    path: _Path,
    symbols: _Symbols = None,
    *,
    mmap: bool = True,
    raw: bool = False,
    dtb: int | None = None,
    source_roots: dict[str, str] | None = None,
    progress: _Progress | None = None,
) -> Dump: ...
def demo(folder: _Path) -> Dump: ...
def diff(
    old: Session,
    new: Session,
    by: By = "stack-and-tag",
    *,
    boot: Boot = "auto",
    driver: str | None = None,
    tag: str | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    pool_type: PoolType | None = None,
    skip: str | None = None,
    ignore: list[str] | None = None,
    top: int | None = None,
) -> Diff: ...
def escape_html(text: str) -> str: ...
def flags(level: int | None = None, *, names: str | Sequence[str] | None = None) -> Flags: ...
def _restore(
    name: str,
    record: str,
    rows: int,
    columns: tuple[Any, ...],
    problems: Sequence[tuple[str, int | None, str, str]],
    empty_because: str | None,
    answer: tuple[Extent, Sequence[str]],
) -> Table[Any]: ...
def _completeness(
    problems: Sequence[tuple[str, int | None, str, str]],
) -> tuple[Extent, tuple[str, ...]]: ...
def _note(name: Extent) -> str: ...
def _require_complete(answer: tuple[Extent, Sequence[str]]) -> None: ...
