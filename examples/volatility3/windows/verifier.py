"""Windows Driver Verifier's data, as Volatility 3 plugins.

    vol -p examples/volatility3 -f memory.dmp windows.verifier.Pool --driver myfault.sys

Volatility finds the kernel, translates addresses and provides the symbol table. verifier_py, which must be
installed in the same Python, reads Verifier's data. Names in modules other than the kernel need the
modules' PDBs: --symbols, a folder, a store or srv*CACHE*URL. Data that could not be read are reported as
warnings in Volatility's log. The last column of Pool and Leaks is the extent of the answer: complete, at
least, or unknown. If there is no row, nothing is outstanding; a row with only an extent means that this is
not certain.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import verifier_py
from volatility3.framework import exceptions, interfaces, renderers
from volatility3.framework.configuration import requirements
from volatility3.framework.layers import resources
from volatility3.framework.renderers import format_hints

vollog = logging.getLogger(__name__)

# The columns of a log that are not numbers of its records.
_NOT_NUMBERS = ("slot", "frames", "file", "line")
_MACHINES = {"Intel32": "x86", "Intel64": "x64"}


class LayerMemory:
    """A Volatility layer as the memory of a session: its errors say which bytes are absent."""

    def __init__(self, layer: interfaces.layers.TranslationLayerInterface) -> None:
        self.layer = layer

    def read(self, address: int, size: int) -> bytes:
        # Volatility's addresses are not sign-extended.
        return self.layer.read(address & self.layer.address_mask, size)


def session(
    context: interfaces.context.ContextInterface, kernel_name: str, symbols: str | None = None
) -> verifier_py.Session:
    """A session over the kernel module of that name."""
    kernel = context.modules[kernel_name]
    layer = context.layers[kernel.layer_name]
    table = context.symbol_space[kernel.symbol_table_name]
    with resources.ResourceAccessor().open(table.config["isf_url"]) as file:
        isf = file.read()

    def sign(address: int) -> int:
        return layer.canonicalize(address & layer.address_mask)

    def known(symbol: str) -> int | None:
        try:
            return sign(kernel.get_absolute_symbol_address(symbol))
        except exceptions.SymbolError:
            return None

    memory = LayerMemory(layer)
    build = None
    if (number := known("NtBuildNumber")) is not None:
        try:
            build = int.from_bytes(memory.read(number, 2), "little")
        except exceptions.InvalidAddressException:
            pass  # its page is not in the dump; views that need the build say so
    return verifier_py.Session(
        memory=memory,
        machine=_MACHINES[layer.metadata["architecture"]],
        symbols=[isf, *([symbols] if symbols else [])],
        build=build,
        ps_loaded_module_list=known("PsLoadedModuleList"),
    )


def _text(text: str | None) -> Any:
    """Text from the dump without control characters, which could move a terminal's cursor."""
    if text is None:
        return renderers.NotAvailableValue()
    return "".join("\ufffd" if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 else c for c in text)


def _warn(answer: Any) -> None:
    """Logs the problems of an answer; if it is not complete, the first line says so."""
    if not answer.complete:
        what = "the answer is unknown" if answer.extent == "unknown" else "the answer is not complete"
        vollog.warning(_text(f"{what}: {answer.incomplete_because[0]}"))
    for problem in answer.problems:
        at = "" if problem.address is None else f" at {problem.address:#x}"
        vollog.warning(_text(f"{problem.what}{at}: {problem.why}"))


@contextlib.contextmanager
def _as_volatility(layer_name: str) -> Iterator[None]:
    """Raises the package's errors as Volatility's own, which it prints without a traceback."""
    try:
        yield
    except verifier_py.FaultError as error:
        if error.address is None:
            raise exceptions.LayerException(layer_name, str(error)) from error
        raise exceptions.InvalidAddressException(layer_name, error.address, str(error)) from error
    except (verifier_py.SymbolsMissing, verifier_py.MissingType, verifier_py.MissingSymbol) as error:
        raise exceptions.SymbolSpaceError(str(error)) from error
    except (verifier_py.VerifierError, OSError) as error:
        # Volatility does not print the text of an error of this kind.
        vollog.error(_text(str(error)))
        raise exceptions.PluginRequirementException(str(error)) from error


class _Unsigned(requirements.IntRequirement):
    """An optional unsigned number of at most 64 bits."""

    def unsatisfied(
        self, context: interfaces.context.ContextInterface, config_path: str
    ) -> dict[str, interfaces.configuration.RequirementInterface]:
        path = interfaces.configuration.path_join(config_path, self.name)
        value = self.config_value(context, path)
        return {} if value is None or 0 <= value < 1 << 64 else {path: self}


class _Shared:
    """Shared by the plugins. Not a plugin itself: Volatility lists all subclasses of its interface."""

    _required_framework_version = (2, 0, 0)
    _version = (1, 0, 0)
    COLUMNS: list[tuple[str, type]] = []

    @classmethod
    def get_requirements(cls) -> list[interfaces.configuration.RequirementInterface]:
        return [
            requirements.ModuleRequirement(
                name="kernel", description="Windows kernel", architectures=["Intel32", "Intel64"]
            ),
            requirements.StringRequirement(
                name="symbols",
                description="Where the PDBs of drivers are, in the syntax of _NT_SYMBOL_PATH",
                optional=True,
            ),
        ]

    @classmethod
    def unsatisfied(
        cls, context: interfaces.context.ContextInterface, config_path: str
    ) -> dict[str, interfaces.configuration.RequirementInterface]:
        # Volatility itself does not check optional options.
        unmet = super().unsatisfied(context, config_path)
        for requirement in cls.get_requirements():
            if isinstance(requirement, _Unsigned):
                unmet |= requirement.unsatisfied(context, config_path)
        return unmet

    def columns(self, session: verifier_py.Session) -> list[tuple[str, type]]:
        return self.COLUMNS

    def rows(self, session: verifier_py.Session) -> Iterator[tuple[int, tuple[Any, ...]]]:
        raise NotImplementedError

    def nothing(self, table: verifier_py.Table[Any]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """A row for a table that is empty and not complete, so that it is not mistaken for "nothing found"."""
        if not table.complete and not len(table):
            yield 0, (*[renderers.NotAvailableValue()] * (len(self.COLUMNS) - 1), table.extent)

    def run(self) -> renderers.TreeGrid:
        layer_name = self.context.modules[self.config["kernel"]].layer_name
        with _as_volatility(layer_name):
            opened = session(self.context, self.config["kernel"], self.config.get("symbols"))
            columns = self.columns(opened)

        def rows() -> Iterator[tuple[int, tuple[Any, ...]]]:
            with _as_volatility(layer_name):
                yield from self.rows(opened)

        return renderers.TreeGrid(columns, rows())


def _driver_requirement() -> requirements.StringRequirement:
    return requirements.StringRequirement(
        name="driver", description="Only this driver, such as myfault.sys", optional=True
    )


class Settings(_Shared, interfaces.plugins.PluginInterface):
    """Verifier's level, its flags by name, and its statistics."""

    COLUMNS = [("Kind", str), ("Name", str), ("Value", format_hints.Hex)]

    def rows(self, session: verifier_py.Session) -> Iterator[tuple[int, tuple[Any, ...]]]:
        settings = session.settings()
        _warn(settings)
        yield 0, ("Level", "", format_hints.Hex(settings.level))
        for flag in settings.flags:
            yield 0, ("Flag", flag.name, format_hints.Hex(flag.bit))
        for name, value in settings.statistics.items():
            yield 0, ("Statistic", name, format_hints.Hex(value))


class Pool(_Shared, interfaces.plugins.PluginInterface):
    """Pool allocations that verified drivers still hold."""

    COLUMNS = [
        ("Driver", str),
        ("Address", format_hints.Hex),
        ("Size", format_hints.Hex),
        ("Tag", str),
        ("Caller", format_hints.Hex),
        ("Symbol", str),
        ("Source", str),
        ("Extent", str),
    ]

    @classmethod
    def get_requirements(cls) -> list[interfaces.configuration.RequirementInterface]:
        return [*super().get_requirements(), _driver_requirement()]

    def rows(self, session: verifier_py.Session) -> Iterator[tuple[int, tuple[Any, ...]]]:
        table = session.pool(self.config.get("driver"))
        _warn(table)
        for row in table:
            yield 0, (
                _text(row.driver),
                format_hints.Hex(row.address),
                format_hints.Hex(row.size),
                _text(row.tag),
                format_hints.Hex(row.caller),
                _text(row.caller_symbol),
                row.source,
                table.extent,
            )
        yield from self.nothing(table)


class Leaks(_Shared, interfaces.plugins.PluginInterface):
    """Outstanding allocations in groups of one driver, tag and stack: each group, with its frames below it."""

    COLUMNS = [
        ("Driver", str),
        ("Tag", str),
        ("Count", int),
        ("Bytes", int),
        ("Address", format_hints.Hex),
        ("Symbol", str),
        ("Extent", str),
    ]

    @classmethod
    def get_requirements(cls) -> list[interfaces.configuration.RequirementInterface]:
        return [*super().get_requirements(), _driver_requirement()]

    def rows(self, session: verifier_py.Session) -> Iterator[tuple[int, tuple[Any, ...]]]:
        leaks = session.leaks(driver=self.config.get("driver"))
        _warn(leaks)
        no = renderers.NotApplicableValue()
        for group in leaks:
            site = _text(group.why_no_stack if group.stack is None else group.label)
            yield 0, (_text(group.driver), _text(group.tag), group.count, group.bytes, no, site, leaks.extent)
            for frame in group.stack or ():
                yield 1, (no, no, no, no, format_hints.Hex(frame.address), _text(frame.symbol), no)
        yield from self.nothing(leaks)


class Log(_Shared, interfaces.plugins.PluginInterface):
    """A log, newest record first, with the frames of each stack below the record. Default: the pool log."""

    COLUMNS = [
        ("Operation", str),
        ("Address", format_hints.Hex),
        ("Size", format_hints.Hex),
        ("Thread", format_hints.Hex),
        ("Slot", int),
        ("Symbol", str),
    ]

    @classmethod
    def get_requirements(cls) -> list[interfaces.configuration.RequirementInterface]:
        return [
            *super().get_requirements(),
            requirements.ChoiceRequirement(
                name="kind", description="Which log", choices=list(verifier_py.LOGS), default="pool", optional=True
            ),
            _Unsigned(name="last", description="Only this number of the newest records", optional=True),
            _Unsigned(
                name="address",
                description="Only records of the block that contains it; in other logs, of this IRP or thread",
                optional=True,
            ),
        ]

    def columns(self, session: verifier_py.Session) -> list[tuple[str, type]]:
        last, address = self.config.get("last"), self.config.get("address")
        self.log = session.log(self.config.get("kind") or "pool", last=last, address=address)
        if self.log.kind == "pool":
            return self.COLUMNS
        # The columns depend on the log and the build.
        self.numbers = [name for name in self.log.columns if name not in _NOT_NUMBERS]
        numbers = [(name.replace("_", " ").title(), format_hints.Hex) for name in self.numbers]
        return [("Slot", int), *numbers, ("Frame", format_hints.Hex), ("Symbol", str)]

    def rows(self, session: verifier_py.Session) -> Iterator[tuple[int, tuple[Any, ...]]]:
        _warn(self.log)
        if self.log.empty_because:
            vollog.warning(self.log.empty_because)
        no = renderers.NotApplicableValue()
        for row in self.log:
            if self.log.kind == "pool":
                numbers = [format_hints.Hex(number) for number in (row.address, row.size, row.thread)]
                yield 0, (row.operation, *numbers, row.slot, no)
                for frame in row.frames:
                    yield 1, ("frame", format_hints.Hex(frame.address), no, no, no, _text(frame.symbol))
            else:
                yield 0, (row.slot, *(_hex(getattr(row, name)) for name in self.numbers), no, no)
                for frame in row.frames:
                    absent = [no] * (1 + len(self.numbers))
                    yield 1, (*absent, format_hints.Hex(frame.address), _text(frame.symbol))


def _hex(number: int | None) -> Any:
    """A number of a log; None if records of this build do not have it. Signed numbers keep their sign."""
    return renderers.NotAvailableValue() if number is None else format_hints.Hex(number)
