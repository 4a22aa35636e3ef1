"""Python Feast on registries in S3, with boto3.

Reads calls from stdin, one JSON list a line, and answers each with a JSON line, `{"result": ...}` or `{"error": ...}`:
  ["apply", path]                  a project with an entity, a source and a view
  ["read", path]                   list → name → the message in hex, map entries in order
  ["write", path, threads, count]  threads that each add `count` entities; the names of those that were written
"""

import json
import sys
import threading
import warnings
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, Project
from feast.infra.registry.registry import Registry
from feast.repo_config import RegistryConfig
from feast.types import Int64

# Feast turns its own on when it is imported.
warnings.simplefilter("ignore")

KINDS = ["entities", "data_sources", "feature_views", "permissions", "projects"]


def registry_of(path):
    return Registry("demo", RegistryConfig(path=path, registry_store_type="S3RegistryStore"), None)


def name_of(proto):
    return proto.spec.name if "spec" in proto.DESCRIPTOR.fields_by_name else proto.name


def write(path, threads, count):
    written, errors = [], []

    def run(thread):
        try:
            for i in range(count):
                name = f"python{thread}_{i}"
                # A new one each time: what is held in memory is not looked at again before a write.
                registry_of(path).apply_entity(Entity(name=name, join_keys=["k"]), "demo")
                written.append(name)
        except Exception as error:
            errors.append(repr(error))

    running = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise RuntimeError(errors)
    return written


def read(path):
    proto = registry_of(path).proto()
    return {
        kind: {name_of(item): item.SerializeToString(deterministic=True).hex() for item in getattr(proto, kind)}
        for kind in KINDS
    }


def apply(path):
    registry = registry_of(path)
    key = Entity(name="key", join_keys=["key_id"])
    source = FileSource(name="source", path="data/x.parquet", timestamp_field="at")
    schema = [Field(name="n", dtype=Int64)]
    registry.apply_project(Project(name="demo"))
    registry.apply_entity(key, "demo")
    registry.apply_data_source(source, "demo")
    view = FeatureView(name="view", entities=[key], ttl=timedelta(days=1), schema=schema, source=source)
    registry.apply_feature_view(view, "demo")


CALLS = {"apply": apply, "read": read, "write": write}

for line in sys.stdin:
    call, *arguments = json.loads(line)
    try:
        answer = {"result": CALLS[call](*arguments)}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
