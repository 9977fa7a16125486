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
    Driver,
    Flag,
    History,
    Info,
    PoolEvent,
    Problem,
    Settings,
    Text,
)

__all__ = ["Dump", "Flags", "Log", "Session", "Table", "demo", "flags", "open"]

_R = TypeVar("_R", covariant=True)
_One: TypeAlias = str | PathLike[str] | bytes | dict[str, Any]
_Symbols: TypeAlias = _One | Sequence[_One] | None
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
    def unused(self) -> int: ...
    @property
    def empty_because(self) -> str | None: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...

@final
class Flags(Table[Flag]):
    @property
    def level(self) -> int: ...

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
        progress: _Progress | None = None,
    ) -> Session: ...
    def info(self) -> Info: ...
    def settings(self) -> Settings: ...
    def drivers(self) -> Table[Driver]: ...
    def pool(self, driver: str | None = None) -> Table[Allocation]: ...
    def log(
        self, kind: Literal["pool"], *, last: int | None = None, address: int | None = None
    ) -> Log[PoolEvent]: ...
    def history(self, address: int) -> History: ...
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
    progress: _Progress | None = None,
) -> Dump: ...
def demo(folder: str | PathLike[str]) -> Dump: ...
def flags(level: int | None = None, *, names: Sequence[str] | None = None) -> Flags: ...
