"""URLs that carry their own permission: an expiry and an HMAC-SHA-256 in the query.

The signature covers method, path and expiry. Whoever holds such a URL may use it until it
expires, so it is never logged with its query.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from urllib.parse import quote

from fastapi import Request

from relcast.catalog import file_secret
from relcast.core.clock import utc_now
from relcast.core.errors import Forbidden
from relcast.server.platform_of import platform_of

__all__ = ["DOWNLOAD_LIFETIME", "UPLOAD_LIFETIME", "base_url", "sign", "signed_url", "verify_url"]

DOWNLOAD_LIFETIME = timedelta(hours=1)
UPLOAD_LIFETIME = timedelta(hours=12)


def sign(key: bytes, method: str, path: str, expires: int) -> str:
    """Return the URL-safe signature of a method and path until a time in epoch seconds."""
    message = f"{method}\n{path}\n{expires}".encode()
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def base_url(request: Request) -> str:
    """Return scheme and host that the client can reach: the configured ones, or its own."""
    configured = platform_of(request).settings.public_url
    if configured:
        return configured.rstrip("/")
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def signed_url(
    request: Request,
    method: str,
    path: str,
    lifetime: timedelta = DOWNLOAD_LIFETIME,
    *,
    now: datetime | None = None,
) -> str:
    """Return an absolute URL for ``path`` (unescaped) that needs no key until it expires."""
    expires = int(((now or utc_now()) + lifetime).timestamp())
    signature = sign(_key(request), method, path, expires)
    return f"{base_url(request)}{quote(path)}?expires={expires}&signature={signature}"


def verify_url(request: Request) -> None:
    """Raise ``auth.bad_signature`` or ``auth.link_expired`` (403) unless the URL is good."""
    expires = request.query_params.get("expires", "")
    given = request.query_params.get("signature", "")
    number = int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 12 else 0
    method = "GET" if request.method == "HEAD" else request.method
    wanted = sign(_key(request), method, request.scope["path"], number)
    if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape")):
        raise Forbidden(
            "This file URL is not signed by this server",
            code="auth.bad_signature",
            hint="Ask the API for a new URL and use it as it is.",
        )
    if number < utc_now().timestamp():
        raise Forbidden(
            "This file URL has expired",
            code="auth.link_expired",
            hint="Ask the API for a new URL.",
        )


def _key(request: Request) -> bytes:
    return _secret(platform_of(request).settings.home)


@cache
def _secret(home: Path) -> bytes:
    """Return the key of this home's URLs; every server process of a home has the same."""
    return file_secret(home / "secrets" / "file-urls")
