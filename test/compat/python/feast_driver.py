"""Real Python Feast, driven line by line.

Reads one JSON request a line from stdin, `{"id": 1, "op": "apply", ...arguments}`, and answers each with one line on
stdout, `{"id": 1, "result": ...}` or `{"id": 1, "error": {"class": ..., "message": ..., "trace": ...}}`.
Feast takes seconds to import, so a test suite starts this once and asks many times.

What JSON cannot carry is tagged, in both directions:
  {"$int": "9007199254740993"}   an integer that a JavaScript number cannot hold
  {"$bytes": "00ff"}             bytes, as hex
  {"$time": "-1"}                an instant, microseconds since 1970 UTC
  {"$float": "NaN"}              NaN, Infinity, -Infinity
  {"$decimal": "1.20"}, {"$uuid": "..."}, {"$set": [...]}, {"$pairs": [[key, value], ...]}, {"$zoned": [micros, zone]}
"""

import asyncio
import contextlib
import datetime
import decimal
import importlib.util
import json
import math
import os
import signal
import sys
import time
import traceback
import uuid
import warnings
import zoneinfo
from pathlib import Path

warnings.simplefilter("ignore")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import urllib3
from google.protobuf.json_format import MessageToDict, ParseDict

import feast
from feast import FeatureStore
from feast.data_source import PushMode
from feast.infra.key_encoding_utils import deserialize_entity_key, serialize_entity_key
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

from permission_ops import *
from sql_registry_ops import *

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


def instant(micros):
    return EPOCH + int(micros) * MICROSECOND


def untag(value):
    if isinstance(value, list):
        return [untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "$int":
            return int(content)
        if tag == "$bytes":
            return bytes.fromhex(content)
        if tag == "$time":
            return instant(content)
        if tag == "$float":
            return float(content)
        if tag == "$decimal":
            return decimal.Decimal(content)
        if tag == "$uuid":
            return uuid.UUID(content)
        if tag == "$zoned":
            return instant(content[0]).astimezone(zoneinfo.ZoneInfo(content[1]))
        if tag == "$set":
            return set(untag(content))
        if tag == "$pairs":
            return {untag(key): untag(item) for key, item in content}
    return {key: untag(item) for key, item in value.items()}


def tag(value):
    """Python, numpy and pandas values as JSON; every kind of missing value is null."""
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.bytes_)):
        return tag(value.item())
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"$int": str(value)}
    if isinstance(value, float):
        if math.isnan(value):
            return {"$float": "NaN"}
        if math.isinf(value):
            return {"$float": "Infinity" if value > 0 else "-Infinity"}
        return value
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        return {"$time": str(stamp.value // 1000)}
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return {"$time": str((aware - EPOCH) // MICROSECOND)}
    if isinstance(value, decimal.Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, uuid.UUID):
        return {"$uuid": str(value)}
    if isinstance(value, dict):
        return {str(key): tag(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return {"$set": [tag(item) for item in sorted(value, key=repr)]}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [tag(item) for item in value]
    return {"$other": repr(value)}


def message(proto):
    return MessageToDict(proto, preserving_proto_field_name=True)


def frame(columns):
    """Column name → values, as a data frame. A column of mixed missing and present values stays exact (object)."""
    data = {}
    for name, values in columns.items():
        values = untag(values)
        times = [value for value in values if isinstance(value, datetime.datetime)]
        data[name] = pd.to_datetime(pd.Series(values), utc=True) if times else pd.Series(values, dtype=object)
    return pd.DataFrame(data).infer_objects()


def table(df):
    return {"columns": list(df.columns), "rows": [[tag(value) for value in row] for row in df.itertuples(index=False)]}


STORES = {}


def store_of(repo):
    """One FeatureStore per repo; its registry is read afresh on every call, since another program writes it too."""
    if repo not in STORES:
        STORES[repo] = FeatureStore(repo_path=repo)
    STORES[repo].refresh_registry()
    return STORES[repo]


def forget(repo):
    STORES.pop(repo, None)


def definitions_of(repo):
    """Every Feast object among the globals of the repo's definitions.py."""
    path = Path(repo) / "definitions.py"
    spec = importlib.util.spec_from_file_location(f"definitions_{uuid.uuid4().hex}", path)
    module = importlib.util.module_from_spec(spec)
    here = os.getcwd()
    os.chdir(repo)
    try:
        spec.loader.exec_module(module)
    finally:
        os.chdir(here)
    kinds = (
        feast.Entity,
        feast.data_source.DataSource,
        feast.base_feature_view.BaseFeatureView,
        feast.FeatureService,
        feast.Project,
        feast.permissions.permission.Permission,
    )
    return [item for item in vars(module).values() if isinstance(item, kinds)]


# --- operations: define and write -----------------------------------------------------------------------------------


def op_versions():
    return {"feast": feast.__version__, "python": sys.version.split()[0], "pid": os.getpid()}


ARROW_TYPES = {
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_naive": pa.timestamp("us"),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "bool": pa.bool_(),
}


def arrow_type(text):
    """`int64`, `list<string>`, `map<int64>` (keys are text), `struct<int64>` (one field, a)."""
    if not text.endswith(">"):
        return ARROW_TYPES[text]
    outer, inner = text[:-1].split("<", 1)
    item = arrow_type(inner)
    return {"list": pa.list_(item), "map": pa.map_(pa.string(), item), "struct": pa.struct([("a", item)])}[outer]


def op_write_parquet(path, columns):
    """columns: name → {"type": see arrow_type, "values": [...]}."""
    arrays = {}
    for name, column in columns.items():
        values = untag(column["values"])
        if column["type"].startswith("map<"):
            values = [None if value is None else list(value.items()) for value in values]
        arrays[name] = pa.array(values, type=arrow_type(column["type"]))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), path)


def op_read_parquet(path):
    return table(pq.read_table(path).to_pandas())


def op_apply(repo):
    store = store_of(repo)
    objects = definitions_of(repo)
    here = os.getcwd()
    os.chdir(repo)
    try:
        store.apply(objects)
    finally:
        os.chdir(here)
    return sorted(f"{type(item).__name__} {item.name}" for item in objects)


def op_feast(repo, args):
    """The command line, in this process."""
    from click.testing import CliRunner

    from feast.cli.cli import cli

    forget(repo)
    before = os.getcwd(), list(sys.path)
    try:
        outcome = CliRunner().invoke(cli, ["--chdir", repo, *args])
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]
    text = outcome.output
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        text += "".join(traceback.format_exception(outcome.exception))
    return {"exit": outcome.exit_code, "output": text}


KINDS = [
    "entities",
    "data_sources",
    "feature_views",
    "stream_feature_views",
    "on_demand_feature_views",
    "label_views",
    "feature_services",
    "projects",
    "permissions",
    "saved_datasets",
]


def objects_of(store, kind):
    registry, project = store.registry, store.project
    if kind == "projects":
        return registry.list_projects(allow_cache=False)
    return getattr(registry, f"list_{kind}")(project, allow_cache=False)


def op_list(repo):
    """Every object as Feast's own classes understand it, encoded again: kind → name → message."""
    store = store_of(repo)
    return {kind: {item.name: message(item.to_proto()) for item in objects_of(store, kind)} for kind in KINDS}


def op_reapply(repo, names=None):
    """Loads every object and applies it again, as a Python program that edits a registry would."""
    store = store_of(repo)
    objects = []
    for kind in ("data_sources", "entities", "feature_views", "stream_feature_views", "on_demand_feature_views",
                 "label_views", "feature_services"):
        objects += [item for item in objects_of(store, kind) if item.name != "__dummy"]
    chosen = [item for item in objects if names is None or item.name in names]
    here = os.getcwd()
    os.chdir(repo)
    try:
        store.apply(chosen)
    finally:
        os.chdir(here)
    return [item.name for item in chosen]


def op_registry(path):
    """A registry file by Feast's own protobuf classes, what they do not know counted per message."""
    proto = Registry()
    proto.ParseFromString(Path(path).read_bytes())
    return message(proto)


def op_extend_registry(path, unknown_hex):
    """Appends unknown fields to the registry message and to its first entity, view and service specs."""
    raw = bytes.fromhex(unknown_hex)
    proto = Registry()
    proto.ParseFromString(Path(path).read_bytes())
    for repeated in (proto.entities, proto.feature_views, proto.feature_services, proto.on_demand_feature_views):
        for item in repeated:
            item.spec.MergeFromString(raw)
    proto.MergeFromString(raw)
    Path(path).write_bytes(proto.SerializeToString())


def op_save_dataset(repo, name, tags):
    """A saved dataset and a validation reference, objects that only Python makes.

    The reference is written as a message: Feast's own class for it wants a package that the suite has no use for.
    """
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
    from feast.protos.feast.core.ValidationProfile_pb2 import ValidationReference
    from feast.saved_dataset import SavedDataset

    store = store_of(repo)
    dataset = SavedDataset(
        name=name,
        features=["loc_stats:temp"],
        join_keys=["location_id"],
        storage=SavedDatasetFileStorage(path="data/saved.parquet"),
        tags=tags,
    )
    store.registry.apply_saved_dataset(dataset, store.project)
    proto = Registry()
    path = Path(repo) / store.config.registry.path
    proto.ParseFromString(path.read_bytes())
    proto.validation_references.append(
        ValidationReference(
            name=f"{name}_reference", reference_dataset_name=name, project=store.project, description="kept"
        )
    )
    path.write_bytes(proto.SerializeToString())
    forget(repo)


def op_materialize(repo, start, end, views=None, **more):
    store_of(repo).materialize(instant(start), instant(end), views, **more)


def op_materialize_incremental(repo, end, views=None, **more):
    store_of(repo).materialize_incremental(instant(end), views, **more)


def op_write_online(repo, view, columns, run_async=False):
    store = store_of(repo)
    if run_async:
        asyncio.run(store.write_to_online_store_async(view, frame(columns)))
    else:
        store.write_to_online_store(view, frame(columns))


def op_push(repo, source, columns, to="online", run_async=False):
    store = store_of(repo)
    if run_async:
        asyncio.run(store.push_async(source, frame(columns), to=PushMode[to.upper()]))
    else:
        store.push(source, frame(columns), to=PushMode[to.upper()])


def op_precompute(repo, service=None):
    """Makes the vectors of a feature service, or of all that ask for them; says how many."""
    return store_of(repo).precompute_feature_service(service)


def op_write_cells(repo, view, rows):
    """rows: [entity key as {join key: Value JSON}, {feature: Value hex}, event micros, created micros or null]."""
    store = store_of(repo)
    batch = []
    for key, values, event, created in rows:
        proto = EntityKey(
            join_keys=list(key), entity_values=[ParseDict(value, Value()) for value in key.values()]
        )
        cells = {name: Value.FromString(bytes.fromhex(cell)) for name, cell in values.items()}
        batch.append((proto, cells, instant(event), None if created is None else instant(created)))
    definition = store.get_feature_view(view)
    store._get_provider().online_write_batch(store.config, definition, batch, None)


def op_write_cells_held(repo, view, rows, folder):
    """As write_cells on Redis; between its look at what is stored and its write it makes the file `held` in the
    folder and waits for the file `go`."""
    from redis.client import Pipeline

    execute = Pipeline.execute
    looked = []

    def held(self, *args, **kwargs):
        if looked:
            Path(folder, "held").touch()
            deadline = time.monotonic() + 30
            while not Path(folder, "go").exists() and time.monotonic() < deadline:
                time.sleep(0.005)
        looked.append(True)
        return execute(self, *args, **kwargs)

    Pipeline.execute = held
    try:
        op_write_cells(repo, view, rows)
    finally:
        Pipeline.execute = execute


def op_delete_view_rows(repo, view):
    """What `feast apply` does to the online store of a view that is gone."""
    store = store_of(repo)
    gone = [store.get_feature_view(view)]
    store._get_provider().online_store.update(store.config, gone, [], [], [], partial=False)


def op_teardown_rows(repo, views):
    store = store_of(repo)
    gone = [store.get_feature_view(view) for view in views]
    store._get_provider().online_store.teardown(store.config, gone, [])


# --- operations: read -----------------------------------------------------------------------------------------------


def op_online(repo, entities, features=None, service=None, unregistered_service=None, run_async=False, **more):
    """The answer as `answer_table` gives it. `unregistered_service`: the name of one that only this client knows."""
    store = store_of(repo)
    if unregistered_service:
        wanted = feast.FeatureService(name=unregistered_service, features=[])
    else:
        wanted = store.get_feature_service(service) if service else features
    arguments = {"features": wanted, "entity_rows": untag(entities), **more}
    if run_async:
        return answer_table(asyncio.run(store.get_online_features_async(**arguments)).proto)
    return answer_table(store.get_online_features(**arguments).proto)


def op_view_versions(repo, entities, features):
    """Views of an answer and their versions, as the SDK gives them when asked."""
    response = store_of(repo).get_online_features(
        features=features, entity_rows=entities, include_feature_view_version_metadata=True
    )
    return sorted([view.name, view.version] for view in response.proto.metadata.feature_view_metadata)


def answer_table(response):
    """Names, and per column values as Value messages, statuses, event times in microseconds."""
    return {
        name: {
            "values": [value.SerializeToString(deterministic=True).hex() for value in vector.values],
            "statuses": [status for status in vector.statuses],
            "times": [str(stamp.seconds * 1_000_000 + stamp.nanos // 1000) for stamp in vector.event_timestamps],
        }
        for name, vector in zip(response.metadata.feature_names.val, response.results)
    }


def op_online_read(repo, view, keys, features):
    """What the online store itself gives: event time, and per feature the Value message. keys: see op_write_cells."""
    store = store_of(repo)
    protos = [
        EntityKey(join_keys=list(key), entity_values=[ParseDict(value, Value()) for value in key.values()])
        for key in keys
    ]
    rows = store._get_provider().online_read(store.config, store.get_feature_view(view), protos, features)
    return [
        [
            tag(time),
            values and {name: values[name].SerializeToString(deterministic=True).hex() for name in sorted(values)},
        ]
        for time, values in rows
    ]


def op_historical(repo, columns, features=None, service=None, full_feature_names=False):
    store = store_of(repo)
    wanted = store.get_feature_service(service) if service else features
    here = os.getcwd()
    os.chdir(repo)
    try:
        df = store.get_historical_features(
            entity_df=frame(columns), features=wanted, full_feature_names=full_feature_names
        ).to_df()
    finally:
        os.chdir(here)
    return table(df)


# --- operations: bytes ----------------------------------------------------------------------------------------------


def op_entity_keys(keys, version=3):
    """keys: lists of [join key, Value JSON]. An error is given as text in place of the bytes."""
    answers = []
    for pairs in keys:
        try:
            proto = EntityKey(
                join_keys=[name for name, _ in pairs],
                entity_values=[ParseDict(value, Value()) for _, value in pairs],
            )
            answers.append(serialize_entity_key(proto, entity_key_serialization_version=version).hex())
        except Exception as error:
            answers.append(f"error: {error}")
    return answers


def op_read_entity_keys(hexes):
    answers = []
    for text in hexes:
        try:
            answers.append(message(deserialize_entity_key(bytes.fromhex(text), entity_key_serialization_version=3)))
        except Exception as error:
            answers.append(f"error: {type(error).__name__}")
    return answers


def op_values(items):
    """items: [ValueType name, [values]]; the column as Value bytes, or the error."""
    answers = []
    for kind, values in items:
        try:
            protos = python_values_to_proto_values(untag(values), ValueType[kind])
            answers.append([proto.SerializeToString(deterministic=True).hex() for proto in protos])
        except Exception as error:
            answers.append(f"error: {type(error).__name__}: {error}")
    return answers


def op_canonical_values(hexes):
    """The same values with map entries in one order."""
    return [Value.FromString(bytes.fromhex(text)).SerializeToString(deterministic=True).hex() for text in hexes]


def op_read_values(hexes):
    return [message(Value.FromString(bytes.fromhex(text))) for text in hexes]


def op_value_texts(hexes):
    """What SQL stores write to `value_text`."""
    from feast.infra.online_stores.helpers import extract_text_and_num

    return [extract_text_and_num(Value.FromString(bytes.fromhex(text)), False)[0] for text in hexes]


def op_message(type, hex):
    """A message of feast.core by name, e.g. FeatureView, decoded by Feast's protobuf classes."""
    from google.protobuf import symbol_database

    kind = symbol_database.Default().GetSymbol(f"feast.core.{type}")
    return message(kind.FromString(bytes.fromhex(hex)))


# --- operations: serve ----------------------------------------------------------------------------------------------

SERVERS = {}


def op_serve(repo, port):
    """`feast serve` in a process of its own, forked so that nothing is imported twice."""
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(str(Path(repo) / "feast-serve.log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = 1
        try:
            from feast.cli.cli import cli

            sys.argv = ["feast"]
            cli.main(["--chdir", repo, "serve", "--port", str(port), "--no-access-log"], standalone_mode=False)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    SERVERS[port] = child
    return {"pid": child}


def op_stop(port):
    child = SERVERS.pop(port)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            return
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


# --- operations: over the network -----------------------------------------------------------------------------------

SENT = {"requests": 0}


def count_requests():
    """Counts what leaves this process as HTTP, retries included."""
    pool = urllib3.connectionpool.HTTPConnectionPool
    send = pool._make_request

    def counted(self, *args, **kwargs):
        SENT["requests"] += 1
        return send(self, *args, **kwargs)

    pool._make_request = counted


count_requests()


def op_attempt(what, **args):
    """Another operation: its result or its error, and the HTTP requests that it took."""
    before = SENT["requests"]
    try:
        outcome = {"result": OPERATIONS[what](**args)}
    except Exception as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    return {**outcome, "requests": SENT["requests"] - before}


def op_post(repo, path, body):
    """A request as Feast's remote stores send theirs: with its retries, and its errors raised again."""
    from feast.rest_error_handler import rest_error_handling_decorator

    @rest_error_handling_decorator
    def post(session, config):
        return session.post(config.online_store.path + path, json=body)

    return post(store_of(repo).config).text


def op_raise(details):
    """Error details as a server sends them; the class that Feast's clients raise for each, null for none."""
    from feast.errors import FeastError

    found = [FeastError.from_error_detail(detail) for detail in details]
    return [error and [type(error).__name__, str(error), error.http_status_code()] for error in found]


def op_serving(call, **arguments):
    """A function of serving_clients.py."""
    import serving_clients

    return getattr(serving_clients, call)(**arguments)


OPERATIONS = {name[3:]: item for name, item in list(globals().items()) if name.startswith("op_")}


def main():
    """Feast prints to stdout at will, so the answers go to a copy of it and stdout itself goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.set_inheritable(answers.fileno(), False)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        number = request.pop("id")
        operation = OPERATIONS[request.pop("op")]
        try:
            answer = {"id": number, "result": operation(**request)}
        except Exception as error:
            answer = {
                "id": number,
                "error": {"class": type(error).__name__, "message": str(error), "trace": traceback.format_exc()},
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for port in list(SERVERS):
        op_stop(port)


if __name__ == "__main__":
    main()
