"""Every page and its URL."""

from __future__ import annotations

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from relcast.ui.admin import show_admin
from relcast.ui.downloads import download
from relcast.ui.evaluation import show_model
from relcast.ui.explanation import show_explanation
from relcast.ui.graphs import show_graph, show_new_graph
from relcast.ui.job import show_job
from relcast.ui.jobs import show_jobs
from relcast.ui.models import show_models
from relcast.ui.new_query import show_new_query
from relcast.ui.queries import show_queries
from relcast.ui.query import show_query
from relcast.ui.signin import HOME, STATIC, show_login, sign_in, sign_out

__all__ = ["register"]


def register() -> None:
    """Register pages and plain routes with NiceGUI's app; once in a process."""
    app.mount("/_ui", StaticFiles(directory=STATIC), name="relcast-static")
    app.add_route("/", _home)
    app.add_route("/login", show_login, methods=["GET"])
    app.add_route("/login", sign_in, methods=["POST"])
    app.add_route("/logout", sign_out, methods=["POST"])
    app.add_route("/session", _session)
    app.add_route("/downloads/{job_id}/{file}", download)
    ui.page("/queries")(show_queries)
    ui.page("/queries/new")(show_new_query)
    ui.page("/queries/{query_id}")(show_query)
    ui.page("/graphs/new")(show_new_graph)
    ui.page("/graphs/{graph_id}")(show_graph)
    ui.page("/models")(show_models)
    ui.page("/models/{model_id}")(show_model)
    ui.page("/models/{model_id}/explain")(show_explanation)
    ui.page("/jobs")(show_jobs)
    ui.page("/jobs/{job_id}")(show_job)
    ui.page("/admin")(show_admin)


async def _home(_: Request) -> RedirectResponse:
    return RedirectResponse(HOME, status_code=303)


async def _session(_: Request) -> Response:
    """Say 204 to a signed-in browser; the gate answers everybody else."""
    return Response(status_code=204)
