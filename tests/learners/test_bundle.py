"""A saved model comes back whole, bit by bit, in a fresh process; a broken one never runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relcast.core.errors import ModelError
from relcast.learners import FittedModel
from tests.learners.worlds import BINARY, MULTICLASS, QUERIES, QUICK, REGRESSION, STATIC, World

_CHILD = """
import sys
from pathlib import Path
import numpy as np
from relcast.learners import FittedModel
from relcast.relations import Relations
relations, bundle, given, out = map(Path, sys.argv[1:])
model = FittedModel.load(bundle)
asked = np.load(given)
anchor = asked["anchor"] if "anchor" in asked else None
np.save(out, model.predict(Relations.load(relations), asked["entity"], anchor).values)
"""


@pytest.mark.parametrize("name", [*QUERIES, "baseline"])
def test_a_fresh_process_predicts_bit_equal(world: World, tmp_path: Path, name: str) -> None:
    query = QUERIES.get(name, REGRESSION)
    plan = QUICK if name in QUERIES else replace(QUICK, num_experiments=0)
    model = world.fit(query, plan)
    examples = world.table(query).examples
    given = {"entity": examples.entity[::7]}
    if examples.anchor is not None:
        given["anchor"] = examples.anchor[::7]
    np.savez(tmp_path / "asked.npz", **given)
    model.save(tmp_path / "model")
    subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            _CHILD,
            world.relations.path,
            tmp_path / "model",
            tmp_path / "asked.npz",
            tmp_path / "out.npy",
        ],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    here = model.predict(world.relations, given["entity"], given.get("anchor"), threads=2).values
    there = np.load(tmp_path / "out.npy")
    assert here.dtype == there.dtype
    assert here.tobytes() == there.tobytes()


def test_everything_that_is_known_comes_back(world: World, tmp_path: Path) -> None:
    for query in (BINARY, MULTICLASS, STATIC):
        model = world.fit(query)
        model.save(tmp_path / "model")
        again = FittedModel.load(tmp_path / "model")
        assert again.evaluation == model.evaluation
        assert again.leaderboard == model.leaderboard
        assert again.importance == model.importance
        assert again.certificate == model.certificate
        assert again.plan == model.plan
        assert again.graph == model.graph
        assert again.snapshot_id == world.snapshot.id
        assert again.query == model.query
        assert again.summary() == json.loads(json.dumps(model.summary()))
        assert again.holdout.equals(model.holdout)
        assert {"lightgbm", "numpy", "relcast", "python"} <= set(again.lineage["versions"])
        entity = np.arange(10)
        anchor = None if query == STATIC else np.full(10, 1_620_000_000 * 10**9)
        assert again.explain(world.relations, entity, anchor) == model.explain(
            world.relations, entity, anchor
        )


def test_a_bundle_holds_nothing_that_runs(world: World, tmp_path: Path) -> None:
    world.fit(BINARY).save(tmp_path / "model")
    names = sorted(p.name for p in (tmp_path / "model").iterdir())
    assert {Path(n).suffix for n in names} <= {".json", ".txt", ".safetensors", ".parquet"}
    for file in (tmp_path / "model").iterdir():
        assert not file.read_bytes().startswith(b"\x80")


def test_saving_replaces_whole_and_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "model"
    world.fit(BINARY).save(path)
    (path / "stray.txt").write_text("of an earlier save")
    world.fit(REGRESSION).save(path)
    assert FittedModel.load(path).query.text == REGRESSION
    assert not (path / "stray.txt").exists()
    assert [p.name for p in path.parent.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model(world: World, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "model"
    world.fit(BINARY).save(path)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OSError, match="No space"):
        world.fit(REGRESSION).save(path)
    monkeypatch.undo()
    assert FittedModel.load(path).query.text == BINARY
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_no_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        FittedModel.load(tmp_path / "nothing")
    assert caught.value.code == "model.not_found"


def _rewrite(path: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest agree, as one would who means harm."""
    (path / name).write_bytes(content)
    manifest = json.loads((path / "model.json").read_text())
    manifest["files"][name] = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (path / "model.json").write_text(json.dumps(manifest))


def _manifest(path: Path, **changes) -> None:
    manifest = json.loads((path / "model.json").read_text())
    (path / "model.json").write_text(json.dumps({**manifest, **changes}))


def _deep(path: Path, *keys: str, value: object) -> None:
    manifest = json.loads((path / "model.json").read_text())
    inner = manifest
    for key in keys[:-1]:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(keys[-1]) if isinstance(inner, list) else keys[-1]] = value
    (path / "model.json").write_text(json.dumps(manifest))


def _edit_tree(path: Path, old: str, new: str) -> None:
    """Change a booster's text, and its sizes with it."""
    file = path / "trees-0.txt"
    text = file.read_text()
    assert old in text
    at = text.index(old)
    text = text[:at] + new + text[at + len(old) :]
    grown = len(new) - len(old)
    if grown and "tree_sizes=" in text:
        head, _, rest = text.partition("tree_sizes=")
        line, _, tail = rest.partition("\n")
        sizes = line.split(" ")
        sizes[0] = str(int(sizes[0]) + grown)
        text = f"{head}tree_sizes={' '.join(sizes)}\n{tail}"
    _rewrite(path, "trees-0.txt", text.encode())


def _line(path: Path, name: str) -> str:
    text = (path / "trees-0.txt").read_text()
    begin = text.index(f"\n{name}=") + 1
    return text[begin : text.index("\n", begin)]


def _pickle(path: Path) -> bytes:
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {path / 'fired'}",)

    return pickle.dumps(Evil())


_LYING = b'{"classes.own":{"dtype":"I64","shape":[1000000],"data_offsets":[0,8000000]}}'
HOSTILE = {
    "manifest is a pickle": lambda p: (p / "model.json").write_bytes(_pickle(p)),
    "manifest is no object": lambda p: (p / "model.json").write_text("[1]"),
    "manifest is cut": lambda p: (p / "model.json").write_text(
        (p / "model.json").read_text()[:500]
    ),
    "manifest is deep": lambda p: (p / "model.json").write_text("[" * 100_000),
    "manifest is missing": lambda p: (p / "model.json").unlink(),
    "manifest is a link": lambda p: (
        (p / "model.json").rename(p.parent / "elsewhere.json"),
        (p / "model.json").symlink_to(p.parent / "elsewhere.json"),
    ),
    "manifest is a pipe": lambda p: ((p / "model.json").unlink(), os.mkfifo(p / "model.json")),
    "files climb out": lambda p: _manifest(
        p, files={"../elsewhere.txt": {"bytes": 1, "sha256": ""}}
    ),
    "files are absolute": lambda p: _manifest(p, files={"/etc/passwd": {"bytes": 1, "sha256": ""}}),
    "files have absurd sizes": lambda p: _deep(p, "files", "trees-0.txt", "bytes", value=10**15),
    "arrays are a pickle": lambda p: _rewrite(p, "arrays.safetensors", _pickle(p)),
    "arrays have an absurd header": lambda p: _rewrite(
        p, "arrays.safetensors", (2**63).to_bytes(8, "little") + b"{}"
    ),
    "arrays lie about offsets": lambda p: _rewrite(
        p,
        "arrays.safetensors",
        len(_LYING).to_bytes(8, "little") + _LYING,
    ),
    "booster is a pickle": lambda p: _rewrite(p, "trees-0.txt", _pickle(p)),
    "booster is a link": lambda p: (
        (p / "trees-0.txt").rename(p.parent / "moved.txt"),
        (p / "trees-0.txt").symlink_to(p.parent / "moved.txt"),
    ),
    "booster is changed": lambda p: (p / "trees-0.txt").write_text(
        (p / "trees-0.txt").read_text().replace("shrinkage=0", "shrinkage=9", 1)
    ),
    "booster is missing": lambda p: (p / "trees-0.txt").unlink(),
    "child out of range": lambda p: _edit_tree(
        p,
        _line(p, "left_child"),
        "left_child=" + "99999 " * _line(p, "left_child").count(" ") + "99999",
    ),
    "child in a circle": lambda p: _edit_tree(
        p, _line(p, "left_child"), "left_child=0" + _line(p, "left_child")[12:]
    ),
    "feature out of range": lambda p: _edit_tree(
        p,
        _line(p, "split_feature"),
        "split_feature=" + "99999 " * _line(p, "split_feature").count(" ") + "99999",
    ),
    "too many leaves": lambda p: _edit_tree(p, _line(p, "num_leaves"), "num_leaves=2147483647"),
    "leaf is not a number": lambda p: _edit_tree(
        p,
        _line(p, "leaf_value"),
        "leaf_value=" + "nan " * _line(p, "leaf_value").count(" ") + "nan",
    ),
    "linear trees": lambda p: _edit_tree(p, "is_linear=0", "is_linear=1"),
    "tree sizes lie": lambda p: _rewrite(
        p,
        "trees-0.txt",
        (p / "trees-0.txt").read_text().replace("tree_sizes=", "tree_sizes=99999999 ", 1).encode(),
    ),
    "another objective": lambda p: _edit_tree(p, "objective=", "objective=custom"),
    "a parameter section": lambda p: _rewrite(
        p,
        "trees-0.txt",
        (p / "trees-0.txt")
        .read_text()
        .replace(
            "pandas_categorical:null",
            "parameters:\n[data: /etc/passwd]\nend of parameters\n\npandas_categorical:null",
        )
        .encode(),
    ),
    "weights do not fit": lambda p: _deep(p, "predictor", "members", "0", "weight", value=-3),
    "features are unknown": lambda p: _deep(p, "predictor", "features", "features", value=[{}]),
    "a file that is not listed": lambda p: _deep(
        p, "predictor", "members", "0", "file", value="../../etc/passwd"
    ),
    "query does not parse": lambda p: _manifest(p, query="__import__('os').system('true')"),
    "query of another graph": lambda p: _manifest(
        p, query="PREDICT COUNT(nothing.*, 0, 30, days) FOR EACH customers.customer_id"
    ),
    "graph is nonsense": lambda p: _manifest(p, graph={"tables": 5}),
    "task type is unknown": lambda p: _manifest(p, task_type="mind_reading"),
    "classes are missing": lambda p: _manifest(p, classes=None),
    "plan is unknown": lambda p: _manifest(p, plan={"run_mode": "evil"}),
    "predictor is unknown": lambda p: _manifest(p, predictor={"kind": "os.system"}),
    "calibration falls": lambda p: _deep(
        p,
        "predictor",
        "calibration",
        value={"kind": "platt", "slope": -1, "offset": 0, "knots": []},
    ),
    "format is text": lambda p: _manifest(p, format="1"),
    "holdout is no parquet": lambda p: _rewrite(p, "holdout.parquet", b"PAR1 nothing PAR1"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_broken_or_hostile_bundle_is_refused_and_nothing_fires(
    world: World, tmp_path: Path, case: str
) -> None:
    """reliability.md S5."""
    good = tmp_path / "model"
    world.fit(MULTICLASS).save(good)
    FittedModel.load(good)
    HOSTILE[case](good)
    with pytest.raises(ModelError) as caught:
        FittedModel.load(good)
    assert caught.value.code in {"model.broken_bundle", "features.unreadable"}
    assert str(good) in caught.value.message
    assert caught.value.hint
    assert not list(tmp_path.rglob("fired"))


def test_a_newer_format_says_so(world: World, tmp_path: Path) -> None:
    world.fit(STATIC).save(tmp_path / "model")
    _manifest(tmp_path / "model", format=99)
    with pytest.raises(ModelError) as caught:
        FittedModel.load(tmp_path / "model")
    assert caught.value.code == "model.newer_bundle"


def test_any_flipped_byte_is_noticed(world: World, tmp_path: Path) -> None:
    good = tmp_path / "model"
    world.fit(STATIC).save(good)
    rng = np.random.default_rng(0)
    for file in good.iterdir():
        if file.name == "model.json":
            continue
        for _ in range(5):
            broken = tmp_path / "broken"
            shutil.copytree(good, broken)
            blob = bytearray(file.read_bytes())
            place = int(rng.integers(0, len(blob)))
            blob[place] ^= 1 + int(rng.integers(0, 255))
            (broken / file.name).write_bytes(bytes(blob))
            with pytest.raises(ModelError):
                FittedModel.load(broken)
            shutil.rmtree(broken)
