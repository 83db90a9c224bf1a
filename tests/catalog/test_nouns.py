"""Connectors, graphs, queries and models."""

from __future__ import annotations

import pytest

from relcast.catalog import JobKind
from relcast.core.errors import Conflict, NotFound
from relcast.core.schema import Column, Dtype, Graph, Stype, Table, TaskType
from relcast.sources import SourceRef

GRAPH = Graph({"t": Table("t", (Column("id", Dtype.int64, Stype.ID),), primary_key="id")})
SOURCES = {"t": SourceRef("connector-1", "t.parquet")}


def a_query(catalog, name="q"):
    graph = catalog.graphs.put(GRAPH, SOURCES)
    return catalog.queries.add(name, "PREDICT …", graph.id, TaskType.REGRESSION, "", {"model": {}})


def a_model(catalog, query, model_id):
    job = f"trainingjob-{model_id}"
    catalog.jobs.add(job, JobKind.training, config={}, query_id=query.id)
    for _ in range(2):  # storing it twice is storing it once
        catalog.models.put(
            model_id,
            query_id=query.id,
            graph_id=query.graph_id,
            job_id=job,
            training_table_job_id=None,
            snapshot_id="s",
            path=f"models/{model_id}",
            task_type=TaskType.REGRESSION,
            evaluation={"mae": 1.0},
            lineage={"query": query.text},
        )
    return job


def test_a_graph_is_its_content_and_a_name_points_to_the_newest(catalog, clock):
    first = catalog.graphs.put(GRAPH, SOURCES, "shop", {"links": ["why"]})
    assert catalog.graphs.put(GRAPH, SOURCES, "shop").id == first.id
    assert catalog.graphs.get("shop").graph == GRAPH
    assert catalog.graphs.get("shop").sources == SOURCES
    assert catalog.graphs.get(first.id).reasons == {"links": ["why"]}
    clock.forward(seconds=1)
    other = catalog.graphs.put(GRAPH, {"t": SourceRef("connector-2", "t")}, "shop")
    assert other.id != first.id
    assert catalog.graphs.get("shop").id == other.id
    assert catalog.graphs.get(first.id).name is None
    assert [g.id for g in catalog.graphs.all()] == [other.id, first.id]
    with pytest.raises(NotFound, match="Did you mean 'shop'"):
        catalog.graphs.get("shops")


def test_connectors(catalog):
    made = catalog.connectors.add("connector-1", "warehouse", "file", "/data")
    assert catalog.connectors.get("warehouse") == catalog.connectors.get("connector-1") == made
    with pytest.raises(Conflict) as caught:
        catalog.connectors.add("connector-2", "warehouse", "file", "/x")
    assert caught.value.code == "connector.name_taken"
    catalog.connectors.delete("warehouse")
    with pytest.raises(NotFound):
        catalog.connectors.get("warehouse")


def test_query_names_are_unique_among_the_living(catalog):
    query = a_query(catalog)
    with pytest.raises(Conflict) as caught:
        a_query(catalog)
    assert caught.value.code == "query.name_taken"
    a_query(catalog, None)
    a_query(catalog, None)
    other = a_query(catalog, "r")
    with pytest.raises(Conflict):
        catalog.queries.update(other.id, {"name": "q"})
    catalog.queries.delete(query.id)
    with pytest.raises(NotFound):
        catalog.queries.get(query.id)
    assert catalog.queries.get(query.id, deleted=True).name == "q"
    assert a_query(catalog).id != query.id


def test_one_model_of_a_query_is_promoted(catalog):
    query = a_query(catalog)
    job = a_model(catalog, query, "model-1")
    a_model(catalog, query, "model-2")
    assert [m.id for m in catalog.models.all(query.id)] == ["model-2", "model-1"]
    first = catalog.models.page(query.id, limit=1)
    second = catalog.models.page(query.id, limit=1, cursor=first.cursor)
    assert [m.id for m in (*first.items, *second.items)] == ["model-2", "model-1"]
    assert second.cursor is None
    assert not any(m.promoted for m in catalog.models.all())
    assert catalog.models.promote("model-1").promoted
    assert catalog.models.promote("model-2").promoted
    assert [m.promoted for m in catalog.models.all(query.id)] == [True, False]
    assert catalog.queries.get("q").promoted_model_id == "model-2"
    assert catalog.models.of_job(job).id == "model-1"
    assert catalog.models.get("model-1").evaluation == {"mae": 1.0}
    with pytest.raises(NotFound):
        catalog.models.promote("model-404")
