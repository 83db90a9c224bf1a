"""Run the app under uvicorn until it is told to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from socket import AddressFamily, create_server, socket
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from relcast.core.errors import Conflict
from relcast.server.app import create_app
from relcast.server.middleware import is_loopback

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["listen", "run_server", "serve"]

_log = logging.getLogger("relcast.server")


def run_server(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    listener: socket | None = None,
    ready: Callable[[str], None] | None = None,
    grace_seconds: int = 5,
) -> None:
    """Serve an app made by ``create_app`` until SIGINT or SIGTERM.

    Args:
        app: The app, with the UI mounted on it or not.
        host: Address to bind. Anything but a loopback address is reachable by others and logs a
            warning, since keys then travel in the clear unless TLS stands in front.
        port: Port to bind; 0 takes a free one.
        listener: What ``listen`` returned for them; None binds now.
        ready: Called once with the base URL when the socket listens.
        grace_seconds: How long open requests get to end when stopping.

    Raises ``server.cannot_listen``.
    """
    if not is_loopback(host):
        app.state.hosts.allow_every()
        _log.warning(
            "Listening on %s: others can reach this server, and keys travel in the clear unless "
            "a TLS proxy stands in front of it.",
            host,
        )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,  # ours leaves out the query, where signed URLs have their signature
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
        timeout_keep_alive=30,
    )
    with listener or listen(host, port) as bound:
        _Server(config, ready).run([bound])


def listen(host: str, port: int) -> socket:
    """Bind an address; raises ``server.cannot_listen`` when it is taken or none of this machine."""
    try:
        family = AddressFamily.AF_INET6 if ":" in host else AddressFamily.AF_INET
        return create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise Conflict(
            f"Cannot listen on {host}, port {port}: {reason}",
            code="server.cannot_listen",
            hint="Choose another --port, or 0 for a free one; --host names this machine.",
        ) from error


def serve(
    platform: Platform,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    listener: socket | None = None,
    extend: Callable[[FastAPI], None] | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a platform: ``create_app``, then ``extend`` (the UI mounts itself), then run.

    Starting and stopping the platform is the caller's.
    """
    app = create_app(platform)
    if extend is not None:
        extend(app)
    run_server(app, host, port, listener=listener, ready=ready)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None and self.started and self.servers:
            address = self.servers[0].sockets[0].getsockname()
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            self._ready(f"http://{host}:{address[1]}")
