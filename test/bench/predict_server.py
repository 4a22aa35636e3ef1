"""A model behind Python Feast, as it is written without this project: FastAPI, onnxruntime and the SDK in one worker.

Usage: predict_server.py repo model.onnx feature_service port
"""

import sys
from typing import Any

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI
from feast import FeatureStore
from pydantic import BaseModel

repo, path, service_name, port = sys.argv[1:]

store = FeatureStore(repo_path=repo)
service = store.get_feature_service(service_name)
features = [
    feature.name for view in service.feature_view_projections for feature in view.features
]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
tensor = session.get_inputs()[0].name
app = FastAPI()


class Request(BaseModel):
    entities: dict[str, list[Any]]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


# Not handed to a thread, which would cost more.
@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    keys = [dict(zip(request.entities, row)) for row in zip(*request.entities.values())]
    found = store.get_online_features(features=service, entity_rows=keys).to_dict()
    matrix = numpy.array([found[name] for name in features], dtype=numpy.float32).T
    [scores] = session.run(None, {tensor: numpy.ascontiguousarray(matrix)})
    return {"predictions": [{"score": score} for score in scores[:, 0].tolist()]}


uvicorn.run(app, host="127.0.0.1", port=int(port), workers=1, log_level="warning")
