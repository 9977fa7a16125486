"""The examples in the package's own text, and its stubs beside its names."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import verifier_py as verifier

README = Path(__file__).resolve().parents[1] / "README.md"


def test_examples_run() -> None:
    result = doctest.testmod(verifier, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 5 and result.failed == 0


def test_all_names_have_a_text() -> None:
    for name in verifier.__all__:
        assert getattr(verifier, name).__doc__, name


def blocks(language: str) -> list[str]:
    """The blocks of code in the README."""
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
    # The reader of the second block has no body: it defines its class and is refused for what it returns.
    with pytest.raises(TypeError, match="returned NoneType, not bytes"):
        exec(own, {"verifier": verifier})
