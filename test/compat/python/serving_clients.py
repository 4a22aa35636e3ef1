"""Clients of feast.serving.ServingService and GrpcFeatureServer, by the stubs that the feast package brings; Feast's
own gRPC server; health and reflection as grpcio knows them. Imported when first used: not every suite needs gRPC.

Entities are column → Value messages as JSON. Outcomes are {"result": ...}, or {"code": gRPC or HTTP status,
"details": text, "class": what Feast's own clients raise for it}.
"""

import grpc
import requests
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from feast import FeatureStore
from feast.errors import FeastError
from feast.infra.contrib.grpc_server import get_grpc_server
from feast.protos.feast.serving import GrpcServer_pb2, ServingService_pb2
from feast.protos.feast.serving.GrpcServer_pb2_grpc import GrpcFeatureServerStub
from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub
from feast.protos.feast.types.Value_pb2 import RepeatedValue, Value

SERVERS = {}
CHANNELS = {}
TIMEOUT_SECONDS = 30


def serve(repo, port):
    """Feast's `feast listen`, in threads of this process."""
    SERVERS[port] = get_grpc_server(f"127.0.0.1:{port}", FeatureStore(repo_path=repo), 4, 3600)
    SERVERS[port].start()


def stop(port):
    server = SERVERS.pop(port)
    server.stop(None).wait()
    for handler in server._state.generic_handlers:
        servicer = next(iter(handler._method_handlers.values())).unary_unary
        timer = getattr(getattr(servicer, "__self__", None), "_active_timer", None)
        if timer:
            timer.cancel()
    for channel in CHANNELS.values():
        channel.close()
    CHANNELS.clear()


def channel(port):
    if port not in CHANNELS:
        CHANNELS[port] = grpc.insecure_channel(f"127.0.0.1:{port}")
    return CHANNELS[port]


def failure(code, details):
    error = FeastError.from_error_detail(details) if details.startswith("{") else None
    return {"code": code, "details": details, "class": error and type(error).__name__}


def outcome(call, port, request, timeout, read, metadata=None):
    try:
        return {"result": read(call(channel(port))(request, timeout=timeout, metadata=metadata))}
    except grpc.RpcError as error:
        return failure(error.code().name, error.details() or "")


def lookup(entities=None, features=None, service=None, context=None, full=False, versions=False):
    request = ServingService_pb2.GetOnlineFeaturesRequest(
        full_feature_names=full, include_feature_view_version_metadata=versions
    )
    if service is not None:
        request.feature_service = service
    if features is not None:
        request.features.val.extend(features)
        request.features.SetInParent()
    for into, columns in ((request.entities, entities), (request.request_context, context)):
        for name, values in (columns or {}).items():
            into[name].CopyFrom(RepeatedValue(val=[ParseDict(value, Value()) for value in values]))
    return request


def table(response):
    return {
        "names": list(response.metadata.feature_names.val),
        "versions": sorted([view.name, view.version] for view in response.metadata.feature_view_metadata),
        "columns": [
            {
                "values": [value.SerializeToString(deterministic=True).hex() for value in vector.values],
                "statuses": [ServingService_pb2.FieldStatus.Name(status) for status in vector.statuses],
                "times": [str(time.seconds * 1_000_000 + time.nanos // 1000) for time in vector.event_timestamps],
            }
            for vector in response.results
        ],
    }


def serving(port, request, timeout=TIMEOUT_SECONDS, metadata=None):
    return outcome(lambda c: ServingServiceStub(c).GetOnlineFeatures, port, lookup(**request), timeout, table, metadata)


def feature_server(port, request, timeout=TIMEOUT_SECONDS):
    return outcome(lambda c: GrpcFeatureServerStub(c).GetOnlineFeatures, port, lookup(**request), timeout, table)


def over_http(port, request, accept=None, json=None):
    """The same message as the body of a POST. `json` in its place: the JSON route, asked for a message."""
    headers = {} if accept is None else {"accept": accept}
    if json is None:
        body = {"data": lookup(**request).SerializeToString()}
        headers["content-type"] = "application/x-protobuf"
    else:
        body = {"json": json}
    response = requests.post(f"http://127.0.0.1:{port}/get-online-features", headers=headers, timeout=30, **body)
    if response.status_code != 200:
        return failure(response.status_code, response.json() if response.text.startswith('"') else response.text)
    kind = response.headers["content-type"].split(";")[0]
    if kind == "application/json":
        return {"result": response.json(), "type": kind}
    return {"result": table(ServingService_pb2.GetOnlineFeaturesResponse.FromString(response.content)), "type": kind}


def raw_http(port, body_hex):
    headers = {"content-type": "application/x-protobuf"}
    data = bytes.fromhex(body_hex)
    response = requests.post(f"http://127.0.0.1:{port}/get-online-features", headers=headers, data=data, timeout=30)
    return {"status": response.status_code, "text": response.text}


def info(port):
    request = ServingService_pb2.GetFeastServingInfoRequest()
    return outcome(lambda c: ServingServiceStub(c).GetFeastServingInfo, port, request, TIMEOUT_SECONDS, MessageToDict)


def typed(values):
    return {name: ParseDict(value, Value()) for name, value in (values or {}).items()}


def push(port, source, features=None, typed_features=None, to="online"):
    request = GrpcServer_pb2.PushRequest(
        features=features, typed_features=typed(typed_features), stream_feature_view=source, to=to
    )
    return outcome(lambda c: GrpcFeatureServerStub(c).Push, port, request, TIMEOUT_SECONDS, MessageToDict)


def write(port, view, features=None, typed_features=None):
    request = GrpcServer_pb2.WriteToOnlineStoreRequest(
        features=features, typed_features=typed(typed_features), feature_view_name=view
    )
    return outcome(lambda c: GrpcFeatureServerStub(c).WriteToOnlineStore, port, request, TIMEOUT_SECONDS, MessageToDict)


def health(port, service=""):
    request = health_pb2.HealthCheckRequest(service=service)
    return outcome(lambda c: health_pb2_grpc.HealthStub(c).Check, port, request, TIMEOUT_SECONDS, MessageToDict)


def watch(port, service=""):
    """The first thing that a watcher is told."""
    request = health_pb2.HealthCheckRequest(service=service)
    answers = health_pb2_grpc.HealthStub(channel(port)).Watch(request, timeout=TIMEOUT_SECONDS)
    first = MessageToDict(next(answers))
    answers.cancel()
    return first


def fields_of(message):
    return sorted([field.name, field.number, field.type, field.is_repeated] for field in message.fields)


MESSAGES = [
    "feast.serving.GetFeastServingInfoResponse",
    "feast.serving.GetOnlineFeaturesRequest",
    "feast.serving.GetOnlineFeaturesResponse",
    "feast.serving.GetOnlineFeaturesResponse.FeatureVector",
    "feast.serving.GetOnlineFeaturesResponseMetadata",
    "feast.types.Value",
    "feast.types.RepeatedValue",
    "PushRequest",
    "WriteToOnlineStoreRequest",
]


def reflect(port):
    """Services by name, and what differs between messages as the server describes them and as Feast knows them."""
    database = ProtoReflectionDescriptorDatabase(channel(port))
    theirs, ours = descriptor_pool.Default(), descriptor_pool.DescriptorPool(database)
    services = {
        name: sorted(method.name for method in ours.FindServiceByName(name).methods)
        for name in database.get_services()
        if not name.startswith("grpc.")
    }
    differing = [
        name
        for name in MESSAGES
        if fields_of(ours.FindMessageTypeByName(name)) != fields_of(theirs.FindMessageTypeByName(name))
    ]
    return {"services": services, "all": sorted(database.get_services()), "differing": differing}


def reflect_v1(port):
    """The names of services, asked by the newer name of the reflection service; its messages are the same."""
    call = channel(port).stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answers = call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=TIMEOUT_SECONDS)
    return sorted(service.name for answer in answers for service in answer.list_services_response.service)


def dynamic(port, features, driver_ids):
    """A lookup by a client that knows nothing but what reflection tells it, as grpcurl does."""
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel(port)))
    method = pool.FindServiceByName("feast.serving.ServingService").FindMethodByName("GetOnlineFeatures")
    asked, answered = (message_factory.GetMessageClass(one) for one in (method.input_type, method.output_type))
    call = channel(port).unary_unary(
        "/feast.serving.ServingService/GetOnlineFeatures",
        request_serializer=asked.SerializeToString,
        response_deserializer=answered.FromString,
    )
    request = ParseDict(
        {
            "features": {"val": features},
            "entities": {"driver_id": {"val": [{"int64_val": str(one)} for one in driver_ids]}},
        },
        asked(),
    )
    return MessageToDict(call(request, timeout=TIMEOUT_SECONDS), preserving_proto_field_name=True)


def unknown_method(port):
    call = channel(port).unary_unary("/feast.serving.ServingService/Nope")
    return outcome(lambda _: call, port, b"", TIMEOUT_SECONDS, bytes.hex)


def garbage(port):
    call = channel(port).unary_unary("/feast.serving.ServingService/GetOnlineFeatures")
    return outcome(lambda _: call, port, b"\xff\xff\xff", TIMEOUT_SECONDS, bytes.hex)
