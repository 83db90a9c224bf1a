"""Two processes train the network that one trains."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra gnn is not installed")

from relcast.learners import gnn
from tests.learners.gnn.works import folds_of, states, work_of
from tests.learners.worlds import BINARY


def test_two_processes_give_the_weights_of_one(world, tmp_path):
    from relcast.learners.gnn.distributed import read_model, write_work

    folds = folds_of(world, BINARY)
    work = work_of(world.relations, BINARY, folds)
    write_work(work, tmp_path / "work")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "relcast.learners.gnn.distributed", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    together = read_model(tmp_path / "work", folds.target)
    alone = gnn.train(work).model
    one, two = states(alone), states(together)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[k], two[k]) for k in one)
    asked = folds.validation.asked
    assert np.array_equal(
        alone.predict(world.relations, asked, threads=1),
        together.predict(world.relations, asked, threads=1),
    )
