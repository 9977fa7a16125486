"""Executes the notebook, which is stored without outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebooks" / "leak-hunt.ipynb"


def text(cell: nbformat.NotebookNode) -> str:
    parts = (output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
    return "".join(parts)


@pytest.mark.filterwarnings("default")
def test_leak_hunt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "outputs are kept out"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path))
    texts = [text(cell) for cell in code]
    assert "'myfault!MyfaultDeviceControl+0x358'" in texts
    assert any("10 of 10 blocks have a stack" in one for one in texts)
    assert any("Leak" in one and "fffffa8005400000" in one for one in texts)
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    (flames,) = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert "MyfaultDeviceControl" in flames
    assert any("### Driver Verifier: 10 blocks" in one for one in texts)
    assert (tmp_path / "leak-hunt.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert any("<table>" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]
