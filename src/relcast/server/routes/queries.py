"""Predictive queries: checked, saved, read, and what a plan for them would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Body, Request, Response
from fastapi.responses import JSONResponse
from kumoapi.json_serde import to_json_dict
from kumoapi.model_plan import (
    ModelPlanInfo,
    SuggestModelPlanRequest,
    TrainingTableGenerationPlan,
)
from kumoapi.pquery import PQueryResource
from kumoapi.task import TaskType as WireTaskType
from pydantic import Discriminator, Tag

from relcast.catalog import QueryRecord
from relcast.core.errors import InvalidRequest, NotFound
from relcast.core.schema import Graph
from relcast.pql import CheckedQuery, describe
from relcast.server.answers import once, query_json
from relcast.server.bodies import NewQuery, QueryBody
from relcast.server.platform_of import platform_of
from relcast.server.question_bodies import CheckBody, Compatibility, NewCheck
from relcast.server.routing import Routes
from relcast.server.wire.codec import wire_answer
from relcast.server.wire.graphs import graph_of
from relcast.server.wire.places import sources_of
from relcast.server.wire.plans import suggest_model_plan, suggest_table_plan
from relcast.server.wire.queries import validate_query, wire_query

if TYPE_CHECKING:
    from relcast.jobs import Platform

__all__ = ["routes"]

routes = Routes("predictive queries")


def _form(body: Any) -> str:
    return "sdk" if isinstance(body, dict) and "graph" in body else "ours"


AnyQuery = Annotated[
    Annotated[NewQuery, Tag("ours")] | Annotated[PQueryResource, Tag("sdk")],
    Discriminator(_form),
]
AnyCheck = Annotated[
    Annotated[NewCheck, Tag("ours")] | Annotated[PQueryResource, Tag("sdk")],
    Discriminator(_form),
]
_EXAMPLES: dict[str, Any] = {
    "ours": {
        "summary": "Over a saved graph",
        "value": {
            "name": "late-next-week",
            "query_string": "PREDICT AVG(flights.arr_delay, 0, 7, days) FOR EACH planes.tailnum",
            "graph_id": "graph-0123456789abcdef01234567",
        },
    }
}


@routes.post(
    "/predictive_queries/validate",
    scope="read",
    summary="Check a query: every fault with its place, or what it means",
    answer=CheckBody,
    errors=(404,),
)
def validate_predictive_query(
    request: Request, body: AnyCheck, compatibility: Compatibility | None = None
) -> Response:
    """Over a saved graph (ours): a query with faults is a 422 that lists them all.

    With its graph inline (SDK): always a 200, faults and warnings are in the answer.
    `compatibility=kumo` refuses our extensions of the language.
    """
    platform = platform_of(request)
    if isinstance(body, PQueryResource):
        return wire_answer(
            validate_query(platform, body.query_string, body.graph, compatibility=compatibility)
        )
    checked = platform.validate_query(body.query_string, body.graph_id, compatibility=compatibility)
    return JSONResponse(
        {
            "task_type": checked.task_type.value,
            "temporal": checked.temporal,
            "sentence": describe(checked),
            "warnings": [w.to_json() for w in checked.warnings],
            "extensions": [x.to_json() for x in checked.extensions],
        }
    )


@routes.post(
    "/predictive_queries/infer_task_type",
    scope="read",
    summary="What kind of prediction a query asks for (SDK)",
    errors=(404, 422),
    example=["regression", "For each customer, the sum of amounts in the next 30 days."],
)
def infer_task_type(
    request: Request, pquery_string: str, graph_id: str, compatibility: Compatibility | None = None
) -> Response:
    checked = platform_of(request).validate_query(
        pquery_string, graph_id, compatibility=compatibility
    )
    return wire_answer([WireTaskType(checked.task_type.value), describe(checked)])


@routes.post(
    "/predictive_queries/train_table_generation_plan",
    scope="read",
    summary="The plan of a query's training table, as nobody touched it (SDK)",
    answer=TrainingTableGenerationPlan,
    errors=(404,),
)
def suggest_train_table_plan(request: Request, body: SuggestModelPlanRequest) -> Response:
    graph, checked = _checked(platform_of(request), body)
    return wire_answer(suggest_table_plan(checked, graph))


@routes.post(
    "/predictive_queries/model_plan",
    scope="read",
    summary="The model plan of a query and run mode, as nobody touched it (SDK)",
    answer=ModelPlanInfo,
    errors=(404,),
)
def suggest_plan(request: Request, body: SuggestModelPlanRequest) -> Response:
    _, checked = _checked(platform_of(request), body)
    weighted = body.train_table_spec is not None and body.train_table_spec.weight_col is not None
    return wire_answer(suggest_model_plan(checked, body.run_mode, weighted=weighted))


@routes.post(
    "/predictive_queries",
    scope="train",
    summary="Save a predictive query",
    answer=QueryBody,
    errors=(404, 409),
)
def create_predictive_query(
    request: Request,
    body: Annotated[AnyQuery, Body(openapi_examples=_EXAMPLES)],
    compatibility: Compatibility | None = None,
) -> Response:
    """Save a query over a saved graph (ours), or with its graph inline (SDK: answers `id` only).

    The SDK saves a named query again and again; the newest text under a name counts.
    `compatibility=kumo` refuses our extensions of the language.
    """
    platform = platform_of(request)
    if isinstance(body, PQueryResource):
        graph = platform.create_graph(graph_of(body.graph), sources_of(platform, body.graph))
        platform.validate_query(body.query_string, graph.id, compatibility=compatibility)
        found = _save(platform, body.name or None, body.query_string, graph.id, body.desc or "")
        return JSONResponse({"id": body.name or found.id})
    given = body

    def work(_: Any) -> Response:
        record = platform.create_query(
            given.name,
            given.query_string,
            given.graph_id,
            given.description,
            given.plan,
            compatibility=compatibility,
        )
        return JSONResponse(
            _json(platform, record),
            headers={"Location": f"/api/v1/predictive_queries/{record.id}"},
        )

    return once(request, given, work)


@routes.get(
    "/predictive_queries",
    scope="read",
    summary="List saved queries (SDK)",
    answer=list[PQueryResource],
)
def list_predictive_queries(request: Request, name_pattern: str | None = None) -> Response:
    """Bare list, the last changed first; `name_pattern` keeps names that contain it."""
    platform = platform_of(request)
    records = platform.queries()
    if name_pattern is not None:
        records = [r for r in records if name_pattern.strip("*%") in (r.name or "")]
    return JSONResponse([_both(platform, r) for r in records])


@routes.get(
    "/predictive_queries/{query}",
    scope="read",
    summary="Get a saved query by id or name, with its graph (SDK)",
    answer=PQueryResource,
)
def get_predictive_query(request: Request, query: str) -> Response:
    """The SDK's resource, with our fields (`id`, `graph_id`, `plan`, …) beside it."""
    platform = platform_of(request)
    return JSONResponse(_both(platform, platform.query(query)))


@routes.delete(
    "/predictive_queries/{query}",
    scope="train",
    summary="Delete a saved query; its jobs and models stay readable",
    errors=(409,),
)
def delete_predictive_query(request: Request, query: str) -> Response:
    platform = platform_of(request)
    record = platform.query(query)
    platform.delete_query(record.id)
    return JSONResponse({"id": record.id})


def _save(
    platform: Platform, name: str | None, text: str, graph_id: str, description: str
) -> QueryRecord:
    """Save a query of the SDK: the same content, or the same name, is the same query."""
    if name is not None:
        try:
            known = platform.query(name)
        except NotFound:
            return platform.create_query(name, text, graph_id, description)
        if (known.text, known.graph_id) == (text, graph_id):
            return known
        return platform.update_query(known.id, text=text, graph_id=graph_id)
    for known in platform.queries():
        # Named or not: the SDK saves a query once under its name and then again without one.
        if (known.text, known.graph_id) == (text, graph_id):
            return known
    return platform.create_query(None, text, graph_id, description)


def _checked(platform: Platform, body: SuggestModelPlanRequest) -> tuple[Graph, CheckedQuery]:
    """Return the graph of a request and its query, checked; the saved graph's data is known."""
    if body.graph_definition is not None:
        graph = graph_of(body.graph_definition)
        graph_id = body.graph_id or None
    elif body.graph_id:
        record = platform.graph(body.graph_id)
        graph, graph_id = record.graph, record.id
    else:
        raise InvalidRequest("The request names no graph", hint="Set graph_id.")
    return graph, platform.check_query(body.query_string, graph, graph_id)


def _json(platform: Platform, record: QueryRecord) -> dict[str, Any]:
    checked = platform.validate_query(record.text, record.graph_id)
    return query_json(record, describe(checked))


def _both(platform: Platform, record: QueryRecord) -> dict[str, Any]:
    """Return a query in the SDK's form with our fields beside it; the SDK passes over those."""
    wire = to_json_dict(wire_query(record, platform.graph(record.graph_id)))
    return {**_json(platform, record), **wire}
