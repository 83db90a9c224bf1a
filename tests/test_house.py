"""The house stays as drawn: layers, documented dependencies, and nothing that runs hidden code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "src" / "relcast").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0]


def test_layers_import_downward_only():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_dependency_has_its_reason():
    """docs/dependencies.md names each dependency, and no other."""
    wanted = {name_of(r) for r in PROJECT["project"]["dependencies"]}
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted |= {name_of(r) for r in extra}
    wanted.discard("relcast")
    page = (ROOT / "docs" / "dependencies.md").read_text()
    told = set(re.findall(r"^\| (?:`\w+` \| )?`([a-z0-9-]+)` \|", page, re.MULTILINE))
    assert told == wanted


FORBIDDEN_IMPORTS = {"pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "print", "breakpoint"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_shipped_code_holds_nothing_that_runs_hidden_code(path):
    """No pickle, joblib, torch.load, yaml.load, eval, print or naive now()."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            found += [
                (line, a.name) for a in node.names if a.name.split(".")[0] in FORBIDDEN_IMPORTS
            ]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in FORBIDDEN_IMPORTS:
                found.append((line, node.module))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called in {
                "torch.load",
                "yaml.load",
                "datetime.utcnow",
            }:
                found.append((line, called))
            if called.endswith("datetime.now") and not node.args and not node.keywords:
                found.append((line, "naive datetime.now()"))
    assert not found


def test_import_relcast_is_light():
    """`import relcast` loads no engine and no server."""
    heavy = (
        "pandas",
        "duckdb",
        "lightgbm",
        "numba",
        "scipy",
        "fastapi",
        "sqlalchemy",
        "nicegui",
        "torch",
        "pyarrow",
    )
    code = f"import sys, relcast; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_makefile_helps_with_every_target():
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE).group(1).split())
    helped = set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
    assert phony == helped
