"""Asks a server with Triton's public client, over HTTP (binary tensors, its default, and JSON) and gRPC. Prints JSON."""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http

http_url, grpc_url = sys.argv[1:3]
CITY = np.array([["jeju"], ["seoul"]], dtype=object)
TRIPS = np.array([[20], [10]], dtype=np.int64)
RATE = np.array([[0.25], [0.5]], dtype=np.float32)


def ask(triton, client, **binary):
    inputs = []
    for name, kind, array in [("city", "BYTES", CITY), ("trips", "INT64", TRIPS), ("rate", "FP32", RATE)]:
        one = triton.InferInput(name, list(array.shape), kind)
        one.set_data_from_numpy(array, **binary)
        inputs.append(one)
    outputs = [triton.InferRequestedOutput(name, **({"binary_data": binary["binary_data"]} if binary else {})) for name in ("label", "probabilities")]
    result = client.infer("mixed", inputs, model_version="7", request_id="q1", outputs=outputs)
    plain = client.infer("mixed", inputs)
    keys = triton.InferInput("driver_id", [2], "INT64")
    keys.set_data_from_numpy(np.array([1, 2], dtype=np.int64), **binary)
    features = client.infer("feature_service.mixed", [keys])
    try:
        client.infer("nothing", inputs)
        error = None
    except triton.InferenceServerException as failure:
        error = failure.message()
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready("mixed", "7"), client.is_model_ready("mixed", "9")],
        "label": result.as_numpy("label").tolist(),
        "probabilities": result.as_numpy("probabilities").tolist(),
        "plain": plain.as_numpy("label").tolist(),
        "trips": features.as_numpy("trips").tolist(),
        "cities": [one.decode() if isinstance(one, bytes) else one for one in features.as_numpy("city").tolist()],
        "error": error,
    }


http_client = over_http.InferenceServerClient(http_url)
grpc_client = over_grpc.InferenceServerClient(grpc_url)
print(
    json.dumps(
        {
            "binary": ask(over_http, http_client, binary_data=True),
            "json": ask(over_http, http_client, binary_data=False),
            "grpc": ask(over_grpc, grpc_client),
            "metadata": [
                http_client.get_model_metadata("mixed")["name"],
                grpc_client.get_model_metadata("mixed").name,
                http_client.get_server_metadata()["name"],
                grpc_client.get_server_metadata().name,
            ],
        }
    )
)
