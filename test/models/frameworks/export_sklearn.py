"""Pipelines of scikit-learn, XGBoost and LightGBM: `pip install -r requirements-sklearn.txt`, then run this."""

import lightgbm
import numpy as np
import pandas as pd
import sklearn
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from recording import ROWS, numbers, record


def maps(probabilities):
    return [{str(label): float(one) for label, one in enumerate(row)} for row in probabilities]


def mixed():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["seoul", "busan", "jeju", "서울"], ROWS),
            "trips": rng.integers(0, 100, ROWS),
            "rate": rng.random(ROWS, dtype=np.float32),
        }
    )
    label = ((frame.rate > 0.5) ^ (frame.city == "seoul")).astype(int)
    columns = [("text", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("number", StandardScaler(), ["trips", "rate"])]
    model = make_pipeline(ColumnTransformer(columns), LogisticRegression()).fit(frame, label)
    types = [
        ("city", StringTensorType([None, 1])),
        ("trips", Int64TensorType([None, 1])),
        ("rate", FloatTensorType([None, 1])),
    ]
    record(
        "sklearn_mixed",
        to_onnx(model, initial_types=types, target_opset={"": 15, "ai.onnx.ml": 3}).SerializeToString(),
        {
            "city": ("STRING", frame.city.tolist()),
            "trips": ("INT64", frame.trips.tolist()),
            "rate": ("FLOAT", frame.rate.tolist()),
        },
        {
            "city": frame[["city"]].to_numpy(dtype=object),
            "trips": frame[["trips"]].to_numpy(np.int64),
            "rate": frame[["rate"]].to_numpy(np.float32),
        },
        {"output_label": model.predict(frame).tolist(), "output_probability": maps(model.predict_proba(frame))},
        {"scikit-learn": sklearn.__version__},
    )


def trees():
    rows = numbers(2, 4)
    label = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0.8).astype(int)
    features = {f"f{i}": ("FLOAT", rows[:, i].tolist()) for i in range(4)}
    types = [("features", MlFloats([None, 4]))]

    boosted = xgboost.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(rows, label)
    record(
        "xgboost_trees",
        convert_xgboost(boosted, initial_types=types, target_opset=15).SerializeToString(),
        features,
        {"features": rows},
        {"label": boosted.predict(rows).tolist(), "probabilities": boosted.predict_proba(rows).tolist()},
        {"xgboost": xgboost.__version__},
    )

    light = lightgbm.LGBMClassifier(n_estimators=20, max_depth=3, n_jobs=1, verbose=-1).fit(rows, label)
    record(
        "lightgbm_trees",
        convert_lightgbm(light, initial_types=types, target_opset=15).SerializeToString(),
        features,
        {"features": rows},
        {"label": light.predict(rows).tolist(), "probabilities": maps(light.predict_proba(rows))},
        {"lightgbm": lightgbm.__version__},
    )


mixed()
trees()
