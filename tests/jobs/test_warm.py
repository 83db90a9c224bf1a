"""The child that stays for the next question: it stays, it is bounded, and it goes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from relcast.core.errors import Cancelled, InternalError, TaskError, TooMany
from relcast.core.settings import Settings
from relcast.jobs import quick_work, warm
from relcast.jobs.home import Home
from relcast.jobs.quick_work import Asked, QuickWork

FAKE = Path(__file__).parent / "fake_warm_child.py"


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "COMMAND", (sys.executable, str(FAKE)))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[QuickWork]:
    home = Home(tmp_path / "home")
    home.make()
    made = QuickWork(home, replace(Settings.load(home.root, {}), threads=1))
    yield made
    made.close()
    assert not children()
    assert not list((home.root / "staging").iterdir())


def children() -> list[psutil.Process]:
    """The children that stay, each with its guard."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if str(FAKE) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Questions:
    """Asks; no two questions are the same."""

    def __init__(self, work: QuickWork) -> None:
        self.work, self.number = work, 0

    def begin(self, **spec: Any) -> Asked:
        self.number += 1
        return self.work.ask(self.number, "explain", {"say": self.number, **spec})

    def ask(self, **spec: Any) -> Any:
        asked = self.begin(**spec)
        try:
            assert asked.wait(30)
            return asked.result()
        finally:
            asked.leave()


@pytest.fixture
def q(work: QuickWork) -> Questions:
    return Questions(work)


def test_one_child_answers_one_question_after_the_other(q: Questions) -> None:
    began = [q.begin(sleep=0.05) for _ in range(4)]
    assert all(asked.wait(30) for asked in began)
    answers = [asked.result() for asked in began]
    assert [a["said"] for a in answers] == [1, 2, 3, 4]
    assert len({a["pid"] for a in answers}) == 1
    assert began[-1].progress["stage"] == "Predicting"
    first = time.perf_counter()
    assert q.ask()["pid"] == answers[0]["pid"]
    assert time.perf_counter() - first < 0.5


def test_a_fault_of_the_user_costs_no_child(q: Questions) -> None:
    pid = q.ask()["pid"]
    with pytest.raises(TaskError, match="no such row") as caught:
        q.ask(fault={"code": "explain.unknown_entity", "message": "no such row", "hint": "look"})
    assert caught.value.code == "explain.unknown_entity"
    assert q.ask()["pid"] == pid


def test_a_child_that_dies_fails_one_question_and_is_started_again(q: Questions) -> None:
    pid = q.ask()["pid"]
    with pytest.raises(InternalError) as caught:
        q.ask(die=1)
    assert caught.value.code == "statistics.crashed"
    assert "logs/explanations.log" in caught.value.hint
    assert q.ask()["pid"] != pid


def test_a_child_that_dies_between_two_questions_is_not_missed(q: Questions) -> None:
    pid = q.ask()["pid"]
    psutil.Process(pid).kill()
    until(lambda: not children())
    assert q.ask()["pid"] != pid


def test_time_is_bounded(q: Questions, work: QuickWork, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = q.ask()["pid"]
    monkeypatch.setattr(work, "_settings", replace(work._settings, statistics_seconds=1))
    with pytest.raises(TaskError, match="The explanation took longer than 1 seconds") as caught:
        q.ask(sleep=60)
    assert caught.value.code == "statistics.out_of_time"
    assert not children()
    assert q.ask()["pid"] != pid


def test_memory_is_bounded_and_a_large_child_is_not_kept(
    q: Questions, work: QuickWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_settings", replace(work._settings, memory_limit_mb=300))
    pid = q.ask()["pid"]
    assert q.ask(allocate_mb=170)["pid"] == pid
    assert not children(), "above half of the limit it is not kept"
    with pytest.raises(TaskError) as caught:
        q.ask(allocate_mb=400, sleep=60)
    assert caught.value.code == "statistics.out_of_memory"
    assert not children()


def test_it_ends_when_nobody_asks(q: Questions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_IDLE_SECONDS", 0.3)
    pid = q.ask()["pid"]
    until(lambda: not children())
    assert q.ask()["pid"] != pid


@pytest.mark.parametrize("bound", ["_MOST_ANSWERS", "_OLDEST_SECONDS"])
def test_it_does_not_live_for_ever(
    q: Questions, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(warm, bound, 0)
    assert q.ask()["pid"] != q.ask()["pid"]


def test_few_wait_and_more_are_refused_and_statistics_are_not_in_the_way(
    q: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_work, "_WARM_WAITING", 1)
    asked = [q.begin(sleep=0.5), q.begin()]
    with pytest.raises(TooMany, match="2 computations of explanation") as caught:
        q.begin()
    assert caught.value.code == "statistics.busy"
    assert all(one.wait(30) for one in asked)
    assert q.ask()


def test_who_leaves_makes_way_for_who_waits(q: Questions) -> None:
    pid = q.ask()["pid"]
    left = q.begin(sleep=1.0)
    until(lambda: left.progress)
    left.leave()
    # Nobody waits: it is finished, because a new child would cost more.
    assert left.wait(30)
    assert left.result()["pid"] == pid
    stuck = q.begin(sleep=60)
    until(lambda: stuck.progress)
    stuck.leave()
    assert q.ask()["pid"] != pid
    with pytest.raises(Cancelled):
        stuck.result()


def test_closing_ends_it_in_the_middle_of_an_answer(work: QuickWork, q: Questions) -> None:
    q.ask()
    asked = q.begin(sleep=60)
    closing = threading.Thread(target=work.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert not children()
    assert asked.done
    with pytest.raises(Cancelled):
        q.begin()


def test_it_ends_with_the_server_however_that_ends(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from relcast.jobs import warm
from relcast.jobs.runner import Bounds
warm.COMMAND = (sys.executable, {str(FAKE)!r})
child = warm.WarmChild(Path({str(tmp_path / "scratch")!r}), Path({str(tmp_path / "log")!r}))
ending = child.run("explain", {{}}, Bounds(), heard=print, stop=lambda: None)
print(ending.result["pid"], flush=True)
time.sleep(600)
"""
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(server.stdout.readline, "")
        pid = next(int(line) for line in lines if line.strip().isdigit())
        assert psutil.pid_exists(pid)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    until(lambda: not psutil.pid_exists(pid), 5)
