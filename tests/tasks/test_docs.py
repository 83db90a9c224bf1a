"""The page about training tables runs as it stands, and tells every error code and report key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relcast.tasks import TablePlan
from relcast.tasks.report import AnchorReport, SplitReport, TrainingTableReport
from relcast.tasks.split_forms import parse_split
from relcast.tasks.summaries import TargetSummary
from tests import shop

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "training-tables.md").read_text(encoding="utf-8")


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELCAST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RELCAST_THREADS", "1")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 11
    namespace: dict[str, object] = {}
    for number, block in enumerate(blocks):
        # A block that is to show an error must reach its handler.
        code = re.sub(r"(?m)^(except TaskError as error:)$", r"\1\n    reached = True", block)
        namespace["reached"] = "except" not in block
        exec(compile(code, f"block {number}", "exec"), namespace)
        assert namespace["reached"], block


def test_every_error_code_is_told_and_no_other() -> None:
    used: set[str] = set()
    for path in (ROOT / "src" / "relcast" / "tasks").glob("*.py"):
        used |= set(re.findall(r'code="(task\.[a-z_]+)"', path.read_text(encoding="utf-8")))
    told = set(re.findall(r"^\| `(task\.\w+)` \|", PAGE, re.MULTILINE))
    assert told == used


def test_every_key_of_the_report_is_told() -> None:
    summary = TargetSummary(3, 1, {"a": 1}, *[1.0] * 5, (1.0,), 1.0, 0, 1, (("a", 1),))
    split = SplitReport(1, summary, 1, 0.5)
    anchor = AnchorReport(0, "train", summary)
    report = TrainingTableReport(3, {"train": split}, (anchor,), target=summary).to_json()
    keys = {*report, *report["splits"]["train"], *report["anchors"][0],
            *report["target"]["most_frequent"][0]}  # fmt: skip
    page = PAGE.split("## The report")[1].split("## Memory")[0]
    assert {k for k in keys if f"`{k}`" not in page} == set()


def test_every_option_and_split_is_told() -> None:
    for name in TablePlan().to_json():
        assert f"`{name}`" in PAGE, name
    for written in re.findall(r"^\| `(\w+Split\(.*?\))` \|", PAGE, re.MULTILINE):
        example = written.replace("val, test", "-20, -10").replace(
            "(s, e), (s, e), (s, e)", "('2020', '2021'), ('2021', '2022'), ('2022', '2023')"
        )
        example = re.sub(r"'(20\d\d)'", r"'\1-01-01'", example)
        assert parse_split(example) is not None
