"""What all exports record: rows, what the framework predicts for them, and what Python's onnxruntime gives."""

import json
import pathlib

import numpy as np
import onnxruntime

FOLDER = pathlib.Path(__file__).parent
ROWS = 257


def record(name, model_bytes, features, feeds, predictions, versions):
    """
    features: feature -> (Feast value type, list of values)
    feeds: tensor -> numpy array, for Python's onnxruntime
    predictions: output tensor -> list with a value per row, as the framework itself gives it
    """
    (FOLDER / f"{name}.onnx").write_bytes(model_bytes)
    session = onnxruntime.InferenceSession(model_bytes, providers=["CPUExecutionProvider"])
    outputs = [one.name for one in session.get_outputs()]
    results = dict(zip(outputs, session.run(outputs, feeds)))
    text = json.dumps(
        {
            "versions": versions | {"onnxruntime": onnxruntime.__version__},
            "features": {key: {"type": kind, "values": values} for key, (kind, values) in features.items()},
            "framework": predictions,
            "onnxruntime": {key: plain(value) for key, value in results.items()},
        }
    )
    (FOLDER / f"{name}.json").write_text(text + "\n")


def plain(value):
    """An array, or ZipMap's list of maps, as JSON holds it."""
    if isinstance(value, list):
        return [{str(key): float(one) for key, one in row.items()} for row in value]
    return value.tolist()


def numbers(seed, columns):
    """Rows of float32 numbers between 0 and 1."""
    return np.random.default_rng(seed).random((ROWS, columns), dtype=np.float32)
