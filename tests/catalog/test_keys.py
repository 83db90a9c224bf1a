"""Keys, passwords, audit: what is accepted, what is found, what is never stored."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from relcast.catalog import SCOPES, Catalog
from relcast.catalog.tables import audit, audit_head, keys
from relcast.core.errors import InvalidRequest, Unauthorized


def accepted(catalog: Catalog, header: str | None) -> bool:
    try:
        catalog.keys.authenticate(header)
    except Unauthorized:
        return False
    return True


def test_a_key_works_until_the_next_one_is_made(catalog):
    first = catalog.keys.ensure_first()
    assert first.startswith("demo:rc_")
    assert catalog.keys.ensure_first() is None
    principal = catalog.keys.authenticate(first)
    assert principal.scopes == SCOPES
    assert principal.id == catalog.keys.info().id
    assert catalog.keys.info().last_four == first[-4:]
    second = catalog.keys.reset()
    assert (accepted(catalog, first), accepted(catalog, second)) == (False, True)
    assert catalog.keys.info().last_four == second[-4:]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: None,
        lambda key: "",
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.replace("demo:", "other:"),
        lambda key: key.partition(":")[2],
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: "demo:rc_" + "0" * 48,
        lambda key: key.upper(),
        lambda key: key + "\x00",
        lambda key: "é" * 300,
        lambda key: key * 100,
        lambda key: "\ud800",
        lambda key: "demo:rc_' OR 1=1 --" + "0" * 40,
    ],
)
def test_anything_else_is_refused_with_the_same_words(catalog, spoil):
    key = catalog.keys.reset()
    with pytest.raises(Unauthorized) as caught:
        catalog.keys.authenticate(spoil(key))
    with pytest.raises(Unauthorized) as plain:
        catalog.keys.authenticate(None)
    assert caught.value.to_json() == plain.value.to_json()


def test_an_expired_key_is_refused(catalog, clock):
    key = catalog.keys.reset()
    with catalog.database.write() as connection:
        connection.execute(sa.update(keys).values(expires_at=clock.now))
    assert not accepted(catalog, key)


def test_the_secret_is_nowhere_in_the_home(settings, catalog):
    key = catalog.keys.reset()
    catalog.keys.authenticate(key)
    secret = key.partition("rc_")[2][8:].encode()
    hits = [p for p in settings.home.rglob("*") if p.is_file() and secret in p.read_bytes()]
    assert hits == []


def test_last_used_is_written_at_most_once_a_minute(catalog, clock):
    key = catalog.keys.reset()
    catalog.keys.authenticate(key)
    first = catalog.keys.info().last_used_at
    clock.forward(seconds=30)
    catalog.keys.authenticate(key)
    assert catalog.keys.info().last_used_at == first
    clock.forward(seconds=31)
    catalog.keys.authenticate(key)
    assert catalog.keys.info().last_used_at == clock.now


def test_no_old_key_is_accepted_after_a_reset_was_answered(settings, catalog):
    """Threads call with the newest key they know while another catalog (a process) resets."""
    other = Catalog(settings)
    epoch = [(0, catalog.keys.reset())]
    stop = threading.Event()
    wrong, good = [], []

    def call() -> None:
        while not stop.is_set():
            number, key = epoch[-1]
            before = [n for n, _ in epoch][-1]
            ok = accepted(catalog, key)
            if ok and before > number:
                wrong.append(number)
            good.append(ok)
            for old, dead in epoch[:-1][-2:]:
                if accepted(catalog, dead):
                    wrong.append(old)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 25):
        epoch.append((number, other.keys.reset()))
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    other.close()
    assert wrong == []
    assert any(good)


def test_of_many_resets_at_once_one_key_lives(catalog):
    made = []
    threads = [threading.Thread(target=lambda: made.append(catalog.keys.reset())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(accepted(catalog, key) for key in made) == 1
    with catalog.database.read() as connection:
        living = sa.select(sa.func.count()).select_from(keys).where(keys.c.revoked_at.is_(None))
        assert connection.scalar(living) == 1


def test_passwords(catalog):
    first = catalog.passwords.ensure("admin")
    assert len(first) >= 20
    assert catalog.passwords.ensure("admin") is None
    assert catalog.passwords.verify("admin", first)
    assert not catalog.passwords.verify("admin", first + "x")
    assert not catalog.passwords.verify("nobody", first)
    catalog.passwords.set("admin", "correct horse battery")
    assert not catalog.passwords.verify("admin", first)
    assert catalog.passwords.verify("admin", "correct horse battery")
    with pytest.raises(InvalidRequest):
        catalog.passwords.set("admin", "short")
    with catalog.database.read() as connection:
        stored = connection.exec_driver_sql("SELECT hash FROM passwords").scalar()
    assert stored.startswith("$argon2id$")


@pytest.mark.parametrize(
    "tamper",
    [
        sa.update(audit).where(audit.c.seq == 3).values(actor="somebody else"),
        sa.update(audit).where(audit.c.seq == 1).values(outcome="ok "),
        sa.update(audit).where(audit.c.seq == 2).values(digest="0" * 64),
        sa.delete(audit).where(audit.c.seq == 1),
        sa.delete(audit).where(audit.c.seq == 3),
        sa.delete(audit).where(audit.c.seq == 5),
        sa.delete(audit).where(audit.c.seq > 2),
        sa.delete(audit),
        sa.update(audit).where(audit.c.seq == 5).values(seq=6),
        sa.delete(audit_head),
        sa.update(audit_head).values(seq=4),
        sa.update(audit_head).values(seal="0" * 64),
    ],
)
def test_tampering_with_the_audit_log_is_found(catalog, tamper):
    for number in range(5):
        catalog.audit.append("key-1", "job.cancel", f"job-{number}", "ok")
    assert catalog.audit.verify().holds
    with catalog.database.write() as connection:
        connection.execute(tamper)
    verdict = catalog.audit.verify()
    assert not verdict.holds
    assert verdict.reason


def test_audit_rows_chain_under_concurrency(settings, catalog):
    other = Catalog(settings)
    threads = [
        threading.Thread(target=lambda c=c: [c.audit.append("a", "b", "c", "d") for _ in range(5)])
        for c in (catalog, other, catalog)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert [r.seq for r in catalog.audit.page()] == list(range(1, 16))
    assert catalog.audit.verify().holds
    assert [r.seq for r in catalog.audit.latest(2)] == [15, 14]
