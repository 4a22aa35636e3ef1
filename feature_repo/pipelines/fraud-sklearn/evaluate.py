"""Runs the model file itself on the rows that were kept back, as the server will."""

import json
import os

import onnxruntime
from rows import FEATURES, LABEL, split
from sklearn.metrics import roc_auc_score

_, validation = split(os.environ["FEAST_INPUT_DATA"])
session = onnxruntime.InferenceSession(os.path.join(os.environ["FEAST_INPUT_MODEL"], "model.onnx"))
columns = {name: validation[[name]].to_numpy("float32") for name in FEATURES}
_, probabilities = session.run(None, columns)
metrics = {"auc": roc_auc_score(validation[LABEL], probabilities[:, 1]), "rows": len(validation)}
with open(os.path.join(os.environ["FEAST_OUTPUT_METRICS"], "metrics.json"), "w") as file:
    json.dump(metrics, file)
print(metrics)
