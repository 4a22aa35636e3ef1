"""Times Python Feast's default local store: history.parquet entities.parquet ttl_seconds repeats.

Prints the seconds of each run as a JSON list on its last line.
"""

import json
import sys
import tempfile
import time
from datetime import timedelta

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64, Int32, Int64
from feast.value_type import ValueType

history, entity_rows, ttl_seconds, repeats = sys.argv[1:]

with tempfile.TemporaryDirectory() as folder:
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "dask"},
            entity_key_serialization_version=3,
        )
    )
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="view0",
        entities=[driver],
        ttl=timedelta(seconds=int(ttl_seconds)),
        schema=[
            Field(name="f1", dtype=Float64),
            Field(name="f2", dtype=Float64),
            Field(name="f3", dtype=Float64),
            Field(name="f4", dtype=Int64),
            Field(name="f5", dtype=Int32),
        ],
        source=FileSource(
            path=history,
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
        ),
    )
    store.apply([driver, view])
    frame = pandas.read_parquet(entity_rows)
    taken = []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        store.get_historical_features(
            entity_df=frame, features=[f"view0:f{number}" for number in range(1, 6)]
        ).to_df()
        taken.append(time.perf_counter() - start)
print(json.dumps(taken))
