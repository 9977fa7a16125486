"""Runs the examples in the package's documentation, and checks that all names are documented."""

from __future__ import annotations

import doctest
import inspect
import typing
from pathlib import Path
from types import MemberDescriptorType

import pytest

import verifier_py as verifier

README = Path(__file__).resolve().parents[1] / "README.md"


def test_examples_run() -> None:
    result = doctest.testmod(verifier, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 5 and result.failed == 0


def test_all_names_have_a_text() -> None:
    for name in verifier.__all__:
        value = getattr(verifier, name)
        # A Literal type cannot have a docstring.
        if typing.get_origin(value) is not typing.Literal:
            assert value.__doc__, name
        if isinstance(value, type) and value.__module__ == "verifier_py":
            for method, one in vars(value).items():
                assert method.startswith("_") or one.__doc__ or isinstance(one, MemberDescriptorType), one


def test_parameters_are_explained() -> None:
    """The help of each call explains every parameter."""
    for call in (verifier.open, verifier.diff, verifier.Session, verifier.Session.leaks,
                 verifier.Session.pool, verifier.Session.log, verifier.Session.watched_irps,
                 verifier.Session.flamegraph, verifier.Session.report, verifier.Session.kd):  # fmt: skip
        text = call.__doc__ or ""
        lines = [line.split(":")[0] for line in text.splitlines() if ":" in line]
        explained = {name.strip() for line in lines for name in line.split(",")}
        names = set(inspect.signature(call).parameters) - {"self"}
        assert names <= explained, (call, names - explained)


def blocks(language: str) -> list[str]:
    """The code blocks of the README."""
    parts = README.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return [part.split("```")[0] for part in parts]


def test_the_readme_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, own = blocks("python")
    monkeypatch.chdir(tmp_path)
    opened = 'symbols="srv*https://msdl.microsoft.com/download/symbols"'
    assert opened in first
    first = first.replace('"memory.dmp"', repr(str(folder / "memory.dmp")))
    exec(first.replace(opened, f"symbols={str(folder / 'symbols')!r}"), {})
    assert (tmp_path / "report.html").exists()
    # The reader of the second block has no body, so the block runs until its `read` returns None.
    with pytest.raises(TypeError, match="returned NoneType, not bytes"):
        exec(own, {"verifier": verifier})
