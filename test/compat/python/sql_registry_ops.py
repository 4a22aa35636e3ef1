"""Python Feast's SQL registry, beside ours in one database; ops of feast_driver.py."""

import threading
from datetime import timedelta
from pathlib import Path

import sqlalchemy

from feast import Entity, FeatureView, Field, FileSource, Project
from feast.infra.registry import sql
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.types import Int64

KINDS = {
    "entities": ("entity_name", "entity_proto"),
    "data_sources": ("data_source_name", "data_source_proto"),
    "feature_views": ("feature_view_name", "feature_view_proto"),
    "stream_feature_views": ("feature_view_name", "feature_view_proto"),
    "on_demand_feature_views": ("feature_view_name", "feature_view_proto"),
    "label_views": ("feature_view_name", "feature_view_proto"),
    "feature_services": ("feature_service_name", "feature_service_proto"),
    "saved_datasets": ("saved_dataset_name", "saved_dataset_proto"),
    "validation_references": ("validation_reference_name", "validation_reference_proto"),
    "permissions": ("permission_name", "permission_proto"),
    "projects": ("project_name", "project_proto"),
}


def registry_of(url, project="demo"):
    config = sql.SqlRegistryConfig(registry_type="sql", path=url, cache_ttl_seconds=600)
    return sql.SqlRegistry(config, project, None)


def canonical(proto):
    return proto.SerializeToString(deterministic=True).hex()


def name_of(proto):
    return proto.spec.name if "spec" in proto.DESCRIPTOR.fields_by_name else proto.name


def op_sql_objects(url):
    """What Feast reads: list → project/name → the message, map entries in order."""
    proto = registry_of(url).proto()
    return {
        kind: {name_of(item): canonical(item) for item in getattr(proto, kind)}
        for kind in KINDS
    }


def op_sql_file_objects(path):
    """The same of a registry file."""
    proto = RegistryProto.FromString(Path(path).read_bytes())
    return {kind: {name_of(item): canonical(item) for item in getattr(proto, kind)} for kind in KINDS}


def op_sql_canonical(url, objects):
    """Messages as they stand in a registry of ours (list → name → hex), by Feast's own classes."""
    proto = registry_of(url).proto()
    return {
        kind: {name: canonical(getattr(proto, kind).add().FromString(bytes.fromhex(hex))) for name, hex in items.items()}
        for kind, items in objects.items()
    }


def op_sql_rows(url):
    """Every row of every table of Feast's: table → list of columns, bytes as hex."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = {
            table.name: [
                {key: value.hex() if isinstance(value, bytes) else value for key, value in row._mapping.items()}
                for row in connection.execute(sqlalchemy.select(table).order_by(*table.primary_key))
            ]
            for table in sql.metadata.sorted_tables
        }
    engine.dispose()
    return rows


def op_sql_schema(url):
    """Feast's tables as the database describes them."""
    engine = sqlalchemy.create_engine(url)
    look = sqlalchemy.inspect(engine)
    schema = {
        name: {
            "columns": [(column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(name)],
            "key": look.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted((index["name"], index["column_names"]) for index in look.get_indexes(name)),
        }
        for name in sorted(sql.metadata.tables)
    }
    engine.dispose()
    return schema


def op_sql_create(url):
    """Feast makes its tables wherever it looks."""
    registry_of(url)


def op_sql_python_only(url):
    """What only Python writes: a saved dataset, a reference (as a row, its class wants more), metadata of two kinds."""
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
    from feast.protos.feast.core.ValidationProfile_pb2 import ValidationReference
    from feast.saved_dataset import SavedDataset

    registry = registry_of(url)
    storage = SavedDatasetFileStorage(path="data/saved.parquet")
    registry.apply_saved_dataset(
        SavedDataset(name="saved", features=["loc_stats:temp"], join_keys=["location_id"], storage=storage), "demo"
    )
    reference = ValidationReference(name="reference", reference_dataset_name="saved", description="kept")
    with registry.write_engine.begin() as connection:
        connection.execute(
            sqlalchemy.insert(sql.validation_references).values(
                validation_reference_name="reference",
                project_id="demo",
                last_updated_timestamp=1,
                validation_reference_proto=reference.SerializeToString(),
            )
        )
    registry.apply_user_metadata("demo", registry.get_feature_view("loc_stats", "demo"), b"\x00user\xff")
    registry.set_project_metadata("demo", "recently_visited_someone", "[]")


def view(description):
    key = Entity(name="key", join_keys=["key_id"])
    source = FileSource(name="source", path="data/x.parquet", timestamp_field="at")
    return FeatureView(
        name="shared", entities=[key], ttl=timedelta(days=1), schema=[Field(name="n", dtype=Int64)], source=source,
        description=description,
    )


def op_sql_shared_view(url):
    registry = registry_of(url)
    registry.apply_project(Project(name="demo"))
    registry.apply_feature_view(view("first"), "demo")


def op_sql_write(url, writers, count):
    """Threads that each add `count` entities and describe the shared view anew as often, each by its own connections."""
    errors = []
    # Made one after another: Feast's own tables and project are not made by two at once.
    registries = [registry_of(url) for _ in range(writers)]

    def run(writer):
        try:
            for i in range(count):
                registries[writer].apply_entity(Entity(name=f"python{writer}_{i}", join_keys=["k"]), "demo")
                registries[writer].apply_feature_view(view(f"python{writer}_{i}"), "demo")
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=run, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def op_sql_shared_state(url):
    shared = registry_of(url).get_feature_view("shared", "demo")
    intervals = [[round(moment.timestamp()) for moment in interval] for interval in shared.materialization_intervals]
    return {"description": shared.description, "intervals": intervals}


__all__ = [name for name in dir() if name.startswith("op_")]
