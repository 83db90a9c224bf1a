"""Spark on this machine alone: one core, little memory, no UI, nothing but the loopback.

Its session's time zone is none of the statements' business, so it is one with summer time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.tasks.warehouse.results import Row, as_rows

OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "768m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "America/New_York",
    # A query over a dozen rows is over before compiled code, a broadcast or a new plan would pay.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
}


def missing() -> str | None:
    """Return why Spark cannot run here; None when it can."""
    java = shutil.which("java")
    if java is None:
        return "Spark needs Java 17 or newer, and there is no java here"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version.group(1)) < 17:
        return f"Spark needs Java 17 or newer; this one says {said.splitlines()[:1]}"
    return None


class Spark:
    """One session; tables of a test are its temporary views."""

    dialect = "spark"

    def __init__(self, session: Any) -> None:
        self.session = session
        self.loaded: list[str] = []

    def load(self, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
        """Make the tables, in place of those of the test before; returns their names."""
        for view in self.loaded:
            self.session.sql(f"DROP VIEW IF EXISTS {view}")
        self.loaded = []
        for name, rows in tables.items():
            view = "`" + name.replace("`", "``") + "`"
            self.session.createDataFrame(rows, spark_schema(rows.schema)).createTempView(view)
            self.loaded.append(view)
        return {name: (name,) for name in tables}

    def run(self, statement: str) -> list[Row]:
        found = self.session.sql(statement)
        return as_rows(found.columns, found.collect())


def spark_schema(schema: pa.Schema) -> Any:
    """Return Spark's schema; a time without zone is TIMESTAMP_NTZ."""
    from pyspark.sql import types as t

    kinds = {
        pa.int64(): t.LongType(), pa.int32(): t.IntegerType(), pa.float64(): t.DoubleType(),
        pa.float32(): t.FloatType(), pa.bool_(): t.BooleanType(), pa.string(): t.StringType(),
        pa.timestamp("us"): t.TimestampNTZType(), pa.timestamp("us", "UTC"): t.TimestampType(),
        pa.date32(): t.DateType(), pa.list_(pa.string()): t.ArrayType(t.StringType()),
        pa.list_(pa.int64()): t.ArrayType(t.LongType()),
        pa.list_(pa.float64()): t.ArrayType(t.DoubleType()),
    }  # fmt: skip
    return t.StructType([t.StructField(f.name, kinds[f.type]) for f in schema])


@contextmanager
def running() -> Iterator[Spark]:
    """Start Spark within this process, and stop it at the end."""
    if find_spec("pyspark") is None:
        raise AssertionError("pyspark is missing; `make test` installs it where java is")
    with warnings.catch_warnings():
        # pyspark warns of pandas 3; no data frame of pandas crosses here.
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession
    root = Path(tempfile.mkdtemp(prefix="relcast-spark-"))
    quiet = root / "log4j2.properties"
    quiet.write_text("rootLogger.level = off\n")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[1]").appName("relcast tests")
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    builder = (
        builder.config("spark.sql.warehouse.dir", str(root / "warehouse"))
        .config("spark.local.dir", str(root))
        .config(
            "spark.driver.extraJavaOptions",
            f"-Dlog4j2.configurationFile={quiet.as_uri()} -Dderby.system.home={root} "
            "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        )
    )
    session = builder.getOrCreate()
    try:
        yield Spark(session)
    finally:
        session.stop()
        shutil.rmtree(root, ignore_errors=True)
