"""Each result says whether it is the whole answer, and if not, why."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pyarrow
import pytest

import verifier_py as verifier

VIEWS: dict[str, Callable[[verifier.Dump], Any]] = {
    "info": lambda dump: dump.info(),
    "drivers": lambda dump: dump.drivers(),
    "pool": lambda dump: dump.pool(),
    "contiguous": lambda dump: dump.contiguous(),
    "leaks": lambda dump: dump.leaks(),
    "diff": lambda dump: verifier.diff(dump, dump),
    "flamegraph": lambda dump: dump.flamegraph(),
    "report": lambda dump: dump.report(),
    "text": lambda dump: dump.leaks().to_text(),
}
MORE: dict[str, Callable[[verifier.Dump], Any]] = {
    "kd": lambda dump: dump.kd("!verifier 3"),
    "settings": lambda dump: dump.settings(),
    "history": lambda dump: dump.history(0xFFFFFA8005400000),
    "events": lambda dump: dump.history(0xFFFFFA8005400000).events,
    "deadlock": lambda dump: dump.deadlock(),
    "log": lambda dump: dump.log("pool"),
    "carved log": lambda dump: dump.log("pool", carve=True),
}


@pytest.mark.parametrize("name", [*VIEWS, *MORE])
def test_a_whole_answer_says_that_it_is_whole(dump: verifier.Dump, name: str) -> None:
    answer = (VIEWS | MORE)[name](dump)
    assert answer.complete is True and answer.extent == "complete"
    assert answer.incomplete_because == () and answer.require_complete() is answer
    assert "not complete" not in repr(answer) and "the answer is unknown" not in repr(answer)


@pytest.mark.parametrize("name", VIEWS)
def test_a_part_of_an_answer_says_why_it_is_a_part(damaged: verifier.Dump, name: str) -> None:
    answer = VIEWS[name](damaged)
    assert answer.complete is False and answer.extent in ("at least", "unknown")
    reasons = [one for one in answer.problems if one.leaves != "complete"]
    assert reasons and len(answer.incomplete_because) >= len({one.why for one in reasons[:16]})
    assert all(any(one.why in told for told in answer.incomplete_because) for one in reasons[:16])
    with pytest.raises(verifier.IncompleteError) as refused:
        answer.require_complete()
    error = refused.value
    assert (error.extent, error.because) == (answer.extent, answer.incomplete_because)
    assert error.because[0] in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.extent, again.because) == (error.args, error.extent, error.because)
    if name != "text":
        note = {"at least": "; not complete", "unknown": "; the answer is unknown"}[answer.extent]
        assert repr(answer).endswith(f"{note}>")


def test_parts_of_an_answer_have_its_extent(damaged: verifier.Dump) -> None:
    history = damaged.history(0xFFFFFA8005400000)
    assert not history.complete
    for part in (history.outstanding, history.events, history.lifetimes, history.neighbors):
        assert part.incomplete_because == history.incomplete_because and part.problems == ()
        assert pickle.loads(pickle.dumps(part)).incomplete_because == history.incomplete_because
    pool = damaged.pool()
    for same in (pool[:1], pool[::-1], verifier.Table(pool), pickle.loads(pickle.dumps(pool))):
        assert (same.extent, same.incomplete_because) == (pool.extent, pool.incomplete_because)
    assert history.to_dict()["incomplete_because"] == list(history.incomplete_because)


def test_a_diff_says_of_which_dump_a_reason_is(
    dump: verifier.Dump, damaged: verifier.Dump
) -> None:
    for diff, which in (
        (verifier.diff(damaged, dump), "earlier dump: "),
        (verifier.diff(dump, damaged), "later dump: "),
    ):
        assert diff.incomplete_because
        assert all(why.startswith(which) for why in diff.incomplete_because)


def test_an_arrow_schema_says_whether_the_table_is_complete(
    dump: verifier.Dump, damaged: verifier.Dump
) -> None:
    for table in (dump.pool(), damaged.pool(), damaged.leaks()[:0], damaged.history(1).events):
        for schema in (pyarrow.schema(table), pyarrow.table(table).schema):
            said = schema.metadata
            assert said[b"complete"] == (b"true" if table.complete else b"false")
            assert said[b"extent"].decode() == table.extent
            assert tuple(json.loads(said[b"incomplete_because"])) == table.incomplete_because
        assert len(polars.DataFrame(table)) == len(table)


def told(*leaves: verifier.Extent) -> tuple[verifier.Problem, ...]:
    return tuple(verifier.Problem(f"list {n}", 5, "its head is null", one) for n, one in enumerate(leaves))


def test_the_gravest_problem_decides() -> None:
    remark = verifier.Text("", told("complete"))
    assert remark.complete and remark.problems[0].leaves == "complete"
    lost = verifier.Page("", told("complete", "at least"))
    assert lost.extent == "at least" and repr(lost).endswith("; not complete>")
    nothing = verifier.Picture("", told("at least", "unknown"))
    assert nothing.extent == "unknown" and repr(nothing).endswith("; the answer is unknown>")
    assert nothing.incomplete_because == (
        "list 1 at 0x5: its head is null",
        "list 0 at 0x5: its head is null",
    )
    with pytest.raises(verifier.IncompleteError, match="the answer is unknown: list 1 at 0x5: .*reasons: 2"):
        nothing.require_complete()
    assert "problems: 2; the answer is unknown" in verifier.Text("", nothing.problems)._repr_html_()
    # A problem without an explicit `leaves` leaves "at least".
    assert verifier.Problem("list", None, "its head is null").leaves == "at least"
    with pytest.raises(ValueError, match="is not the extent of an answer"):
        verifier.Text("", told("all")).extent  # type: ignore[arg-type]


def test_an_incomplete_dump_makes_no_equal_table(dump: verifier.Dump, folder: Path) -> None:
    """Rows and problems can be equal although the answers are not."""
    from verifier_py._verifier_py import _restore

    *state, answer = dump.contiguous()[:0].__reduce__()[1]
    name, record, rows, columns, problems, why = state
    whole = _restore(name, record, rows, columns, problems, why, answer)
    reasons = ["a list was not read"]
    part = _restore(name, record, rows, columns, problems, why, ("at least", reasons))
    assert whole == dump.contiguous() and list(part) == list(whole) and part != whole
    assert not part.complete and repr(part) == "<contiguous memory: 0 rows; not complete>"
