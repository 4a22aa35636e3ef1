"""The fixture of the differential suite, for real Python Feast. `fixture.ts` beside it defines the same."""

from datetime import timedelta

import pandas as pd

from feast import (
    Aggregation,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    KafkaSource,
    KinesisSource,
    LabelView,
    Project,
    PushSource,
    RequestSource,
    StreamFeatureView,
    ValueType,
)
from feast.data_format import AvroFormat, JsonFormat
from feast.infra.offline_stores.contrib.athena_offline_store.athena_source import AthenaSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.permissions.action import AuthzedAction
from feast.permissions.permission import Permission
from feast.permissions.policy import RoleBasedPolicy
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    Float32,
    Float64,
    ImageBytes,
    Int32,
    Int64,
    Json,
    Map,
    PdfBytes,
    ScalarMap,
    Set,
    String,
    Struct,
    TimeUuid,
    UnixTimestamp,
    Uuid,
    ZonedTimestamp,
)

project = Project(name="demo", description="differential fixture", tags={"team": "payments"}, owner="owner@example.org")

driver = Entity(
    name="driver", join_keys=["driver_id"], value_type=ValueType.INT64, description="who drives", tags={"k": "v"},
    owner="x@example.org",
)
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
location = Entity(name="location", join_keys=["location_id"], value_type=ValueType.INT64)

driver_source = FileSource(
    name="driver_source", path="data/driver_stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created", description="rides by driver", tags={"layer": "gold"}, owner="rides@example.org",
)
driver_push = PushSource(name="driver_push", batch_source=driver_source)
driver_stats = FeatureView(
    name="driver_stats",
    entities=[driver],
    ttl=timedelta(days=365),
    schema=[
        Field(name="driver_id", dtype=Int64),
        Field(name="conv_rate", dtype=Float32, description="accepted rides", tags={"unit": "ratio"}),
        Field(name="acc_rate", dtype=Float64),
        Field(name="trips", dtype=Int64),
        Field(name="level", dtype=Int32),
        Field(name="nickname", dtype=String),
        Field(name="active", dtype=Bool),
        Field(name="last_seen", dtype=UnixTimestamp),
        Field(name="photo", dtype=Bytes),
        Field(name="labels", dtype=Array(String)),
        Field(name="counts", dtype=Array(Int64)),
        Field(name="scores", dtype=Array(Float64)),
    ],
    source=driver_push,
    description="numbers by driver",
    tags={"tier": "1", "owner": "rides"},
    owner="rides@example.org",
)

pair_source = FileSource(
    name="pair_source", path="data/pairs.parquet", timestamp_field="at", field_mapping={"raw_score": "score"},
)
pair_stats = FeatureView(
    name="pair_stats", entities=[driver, customer], ttl=timedelta(0), schema=[Field(name="score", dtype=Float64)],
    source=pair_source,
)

total_source = FileSource(name="total_source", path="data/totals.parquet", timestamp_field="event_timestamp")
global_stats = FeatureView(name="global_stats", schema=[Field(name="total", dtype=Int64)], source=total_source)

location_source = FileSource(name="location_source", path="data/locations.parquet", timestamp_field="event_timestamp")
loc_stats = FeatureView(
    name="loc_stats", entities=[location], ttl=timedelta(hours=36, microseconds=500),
    schema=[Field(name="temp", dtype=Float64), Field(name="rain", dtype=Float64)], source=location_source,
)
# Neither features nor the join key's type are named: both come from the source.
inferred_source = FileSource(name="inferred_source", path="data/inferred.parquet")
shop = Entity(name="shop", join_keys=["shop_id"])
inferred_stats = FeatureView(name="inferred_stats", entities=[shop], ttl=timedelta(days=10), source=inferred_source)

SCALARS = [
    ("bytes", Bytes), ("string", String), ("int32", Int32), ("int64", Int64), ("double", Float64), ("float", Float32),
    ("bool", Bool), ("time", UnixTimestamp), ("uuid", Uuid), ("time_uuid", TimeUuid), ("decimal", Decimal),
]
wide_source = FileSource(name="wide_source", path="data/wide.parquet", timestamp_field="event_timestamp")
every_type = FeatureView(
    name="every_type",
    entities=[driver],
    ttl=timedelta(0),
    schema=[Field(name=f"f_{name}", dtype=dtype) for name, dtype in SCALARS]
    + [Field(name=f"f_{name}_list", dtype=Array(dtype)) for name, dtype in SCALARS]
    + [Field(name=f"f_{name}_set", dtype=Set(dtype)) for name, dtype in SCALARS]
    + [
        Field(name="f_json", dtype=Json),
        Field(name="f_json_list", dtype=Array(Json)),
        Field(name="f_map", dtype=Map),
        Field(name="f_map_list", dtype=Array(Map)),
        Field(name="f_struct", dtype=Struct({"a": Int64})),
        Field(name="f_struct_list", dtype=Array(Struct({"a": Int64}))),
        Field(name="f_nested", dtype=Array(Array(Int64))),
        Field(name="f_nested_set", dtype=Set(Array(String))),
        Field(name="f_scalar_map", dtype=ScalarMap),
        Field(name="f_zoned", dtype=ZonedTimestamp),
    ],
    source=wide_source,
)
# Feast lists these types and cannot write them: its conversion knows no such values.
blobs = FeatureView(
    name="blobs", entities=[driver], online=False, offline=True, source=wide_source,
    schema=[Field(name="f_pdf", dtype=PdfBytes), Field(name="f_image", dtype=ImageBytes)],
)

request = RequestSource(name="request", schema=[Field(name="bonus", dtype=Int64)])

kafka = KafkaSource(
    name="kafka_rides", timestamp_field="event_timestamp", batch_source=driver_source,
    message_format=JsonFormat(schema_json="driver_id integer, event_timestamp timestamp, trips integer"),
    kafka_bootstrap_servers="broker:9092", topic="rides", watermark_delay_threshold=timedelta(minutes=5),
    tags={"stream": "yes"},
)
stream_stats = StreamFeatureView(
    name="stream_stats", entities=[driver], ttl=timedelta(days=1), schema=[Field(name="trips", dtype=Int64)],
    source=kafka,
)
kinesis = KinesisSource(
    name="kinesis_rides", timestamp_field="event_timestamp", batch_source=driver_source,
    record_format=AvroFormat(schema_json='{"type":"record"}'), region="eu-central-1", stream_name="rides",
)
athena = AthenaSource(
    name="athena_rides", timestamp_field="event_timestamp", table="rides", database="lake", data_source="AwsDataCatalog",
    date_partition_column="day",
)
# `_python_only` marks what a TypeScript repo has no word for; it must survive every rewrite.
aggregates_python_only = StreamFeatureView(
    name="aggregates_python_only", entities=[driver], ttl=timedelta(days=1),
    schema=[Field(name="sum_trips_3600s", dtype=Int64)], source=kafka, timestamp_field="event_timestamp",
    aggregations=[Aggregation(column="trips", function="sum", time_window=timedelta(hours=1))],
)


@on_demand_feature_view(
    sources=[driver_stats[["conv_rate", "trips"]], request], schema=[Field(name="trips_plus", dtype=Int64)], mode="python"
)
def trips_plus_python_only(inputs):
    return {"trips_plus": [(t or 0) + b for t, b in zip(inputs["trips"], inputs["bonus"])]}


@on_demand_feature_view(
    sources=[driver_stats[["conv_rate"]], request], schema=[Field(name="conv_plus", dtype=Float64)], mode="pandas"
)
def conv_plus_python_only(inputs: pd.DataFrame) -> pd.DataFrame:
    result = pd.DataFrame()
    result["conv_plus"] = inputs["conv_rate"].astype("float64") + inputs["bonus"]
    return result


label_source = FileSource(name="label_source", path="data/labels.parquet", timestamp_field="event_timestamp")
labels_python_only = LabelView(
    name="labels_python_only", entities=[location], schema=[Field(name="flooded", dtype=Bool), Field(name="labeler", dtype=String)],
    source=PushSource(name="label_push", batch_source=label_source),
)
permission_python_only = Permission(
    name="permission_python_only", types=[FeatureView], name_patterns=["driver_.*"], actions=[AuthzedAction.DESCRIBE],
    policy=RoleBasedPolicy(roles=["reader"]),
)

service = FeatureService(
    name="service", features=[driver_stats[["trips", "conv_rate"]], loc_stats], description="a model", tags={"model": "m1"},
    owner="ml@example.org",
)
service_alias = FeatureService(
    name="service_alias",
    features=[
        loc_stats.with_name("origin").with_join_key_map({"location_id": "origin_id"}),
        loc_stats[["temp"]].with_name("dest").with_join_key_map({"location_id": "dest_id"}),
    ],
)
service_python_only = FeatureService(name="service_python_only", features=[driver_stats[["trips"]], trips_plus_python_only])
