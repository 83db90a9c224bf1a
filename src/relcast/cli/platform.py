"""Commands of the server's side: serve, worker, keys."""

from __future__ import annotations

import json
import secrets
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from relcast.core.settings import Settings

__all__ = ["AsJson", "Home", "reset_key", "reset_password", "serve", "worker"]

Home = Annotated[
    Path | None,
    typer.Option(help="Where relcast keeps everything.", envvar="RELCAST_HOME", show_envvar=True),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def serve(
    home: Home = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
) -> None:
    """Serve the API, the UI and one worker until Ctrl-C.

    The first start prints the API key and the password of the UI, once.
    """
    from relcast.jobs import Platform
    from relcast.server import listen
    from relcast.server import serve as run
    from relcast.ui import mount

    listener = listen(host, port)  # before a key is shown once, in vain
    platform = Platform.open(Settings.load(home))
    key = platform.ensure_first_key()
    password = platform.ensure_admin_password()
    if key:
        typer.echo(f"API key (shown once):     {key}")
    if password:
        typer.echo(f"UI password (shown once): {password}")
    platform.start(worker=True)
    try:
        run(
            platform,
            host=host,
            port=port,
            listener=listener,
            extend=lambda app: mount(app, platform),
            ready=lambda url: typer.echo(f"relcast serves {platform.settings.home} at {url}"),
        )
    finally:
        platform.stop()


def worker(home: Home = None) -> None:
    """Run jobs of a relcast home until Ctrl-C or SIGTERM, beside a server."""
    from relcast.jobs import Platform

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    platform = Platform.open(Settings.load(home))
    platform.start(worker=True)
    typer.echo(f"Working for {platform.settings.home}; Ctrl-C stops after the step in hand.")
    try:
        stop.wait()
    finally:
        platform.stop()


def reset_key(home: Home = None, *, as_json: AsJson = False) -> None:
    """Make a new API key; every earlier one dies at once, in running servers too.

    The new key stands alone on the last line.
    """
    from relcast.jobs import Platform

    key = Platform.open(Settings.load(home)).reset_key()
    typer.echo(json.dumps({"api_key": key}) if as_json else key)


def reset_password(home: Home = None, *, as_json: AsJson = False) -> None:
    """Make a new password for the UI; it stands alone on the last line.

    For the one that was printed at the first start and lost. Whoever was signed in signs in anew.
    """
    from relcast.jobs import Platform

    password = "-".join(secrets.token_hex(3) for _ in range(4))
    Platform.open(Settings.load(home)).set_admin_password(password)
    typer.echo(json.dumps({"password": password}) if as_json else password)
