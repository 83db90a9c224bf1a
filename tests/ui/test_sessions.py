from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

from relcast.ui.sessions import LIFETIME, Sessions, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def one() -> str:
    return "one"


def test_a_session_lives_until_it_is_closed_and_over_a_restart(tmp_path) -> None:
    path = tmp_path / "sessions.json"
    first = Sessions(path, one)
    token, other = first.open("one"), first.open("one")
    again = Sessions(path, one)
    assert again.is_open(token)
    again.close(token)
    assert not again.is_open(token)
    assert again.is_open(other)
    assert not Sessions(path, one).is_open(token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()


def test_a_new_password_ends_every_session(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("relcast.ui.sessions._LOOK_SECONDS", 0.0)
    word = "first"
    sessions = Sessions(tmp_path / "s.json", lambda: word)
    token = sessions.open(sessions.mark())
    assert sessions.is_open(token)
    late = sessions.mark()  # somebody's old password is being checked while it is changed
    word = "second"
    assert not sessions.is_open(token)
    assert not Sessions(tmp_path / "s.json", lambda: word).is_open(token)
    assert not sessions.is_open(sessions.open(late))
    assert sessions.is_open(sessions.open(sessions.mark()))


def test_sessions_of_an_older_release_end(tmp_path) -> None:
    (tmp_path / "s.json").write_text('{"5e884898": "2999-01-01T00:00:00Z"}')
    sessions = Sessions(tmp_path / "s.json", one)
    assert sessions.is_open(sessions.open("one"))


def test_a_session_dies_of_age(tmp_path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path / "s.json", one, clock=clock)
    token = sessions.open("one")
    clock.now += LIFETIME - timedelta(seconds=1)
    assert sessions.is_open(token)
    clock.now += timedelta(seconds=1)
    assert not sessions.is_open(token)


def test_nothing_is_no_session(tmp_path) -> None:
    (tmp_path / "s.json").write_text("not json")
    sessions = Sessions(tmp_path / "s.json", one)
    assert not sessions.is_open(None)
    assert not sessions.is_open("")
    assert not sessions.is_open("x")
    sessions.close("x")


def test_waits_double_up_to_the_longest_and_only_for_who_guessed() -> None:
    clock = Clock()
    throttle = Throttle(free=3, longest=timedelta(seconds=60), clock=clock)
    waits = []
    for _ in range(10):
        throttle.wrong("a")
        waits.append(throttle.wait("a"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert throttle.wait("b") == 0
    clock.now += timedelta(seconds=59)
    assert throttle.wait("a") == 1
    clock.now += timedelta(seconds=1)
    assert throttle.wait("a") == 0
    throttle.right("a")
    throttle.wrong("a")
    assert throttle.wait("a") == 0


def test_many_addresses_do_not_buy_many_guesses() -> None:
    clock = Clock()
    throttle = Throttle(free=2, clock=clock)
    for number in range(20):
        throttle.wrong(f"address {number}")
    assert throttle.wait("somebody else") >= 1
