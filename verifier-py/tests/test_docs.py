"""The examples in the package's own text, and its stubs beside its names."""

from __future__ import annotations

import doctest

import verifier_py as verifier


def test_examples_run() -> None:
    result = doctest.testmod(verifier, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 5 and result.failed == 0


def test_all_names_have_a_text() -> None:
    for name in verifier.__all__:
        assert getattr(verifier, name).__doc__, name
