"""The HTTP API: routes, wire types, keys, one error shape.

Routes translate; rules live in the rooms below. ``kumoapi``, the package of the public SDK's
types, is imported here and nowhere else.
"""

from relcast.server.app import create_app
from relcast.server.auth import install_browser_sessions
from relcast.server.serve import listen, run_server, serve

__all__ = ["create_app", "install_browser_sessions", "listen", "run_server", "serve"]
