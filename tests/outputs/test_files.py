"""Files appear once and whole."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from relcast.core.errors import InvalidRequest, NotFound
from relcast.outputs import PARTITION, atomic_path, read_reasons, write_reasons, write_table
from relcast.outputs import files as module

TABLE = pa.table({"ENTITY": ["a", "b", "c"], "TARGET_PRED": [1.5, 2.0, None]})


def test_parquet_and_csv_round_trip(tmp_path):
    write_table(TABLE, tmp_path / "new" / "p.parquet")
    write_table(TABLE, tmp_path / "p.csv")
    assert pq.read_table(tmp_path / "new" / "p.parquet") == TABLE
    assert csv.read_csv(tmp_path / "p.csv") == TABLE


def test_partitions_hold_every_row_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_PER_PART", 2)
    files = write_table(TABLE, tmp_path / f"p-{PARTITION}.parquet")
    assert [f.name for f in files] == ["p-00000.parquet", "p-00001.parquet"]
    assert pa.concat_tables([pq.read_table(f) for f in files]) == TABLE


def test_empty_table_gives_one_part(tmp_path):
    files = write_table(TABLE.slice(0, 0), tmp_path / f"p-{PARTITION}.parquet")
    assert len(files) == 1
    assert pq.read_table(files[0]).num_rows == 0


def test_unknown_format_says_what_to_do(tmp_path):
    with pytest.raises(InvalidRequest) as error:
        write_table(TABLE, tmp_path / "p.xlsx")
    assert error.value.code == "output.unknown_format"
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "p.parquet"
    write_table(TABLE, path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_reasons_round_trip(tmp_path):
    reasons = [[{"feature": "mean of x", "contribution": 0.25}], []]
    write_reasons(reasons, ["a", "b"], tmp_path / "reasons.json")
    assert read_reasons(tmp_path / "reasons.json") == [
        {"entity": "a", "reasons": reasons[0]},
        {"entity": "b", "reasons": []},
    ]
    with pytest.raises(NotFound):
        read_reasons(tmp_path / "none.json")
