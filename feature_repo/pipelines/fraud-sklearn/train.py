"""Gradient boosting, exported with one input tensor per feature, named as the feature."""

import os

from rows import FEATURES, LABEL, split
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline

train, _ = split(os.environ["SM_CHANNEL_TRAIN"])
model = Pipeline(
    [
        ("columns", ColumnTransformer([("all", "passthrough", FEATURES)])),
        (
            "boosting",
            GradientBoostingClassifier(
                n_estimators=int(os.environ["SM_HP_N_ESTIMATORS"]),
                learning_rate=float(os.environ["SM_HP_LEARNING_RATE"]),
                random_state=7,
            ),
        ),
    ]
)
model.fit(train[FEATURES].astype("float32"), train[LABEL])
inputs = [(name, FloatTensorType([None, 1])) for name in FEATURES]
exported = to_onnx(model, initial_types=inputs, options={"zipmap": False})
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.onnx"), "wb") as file:
    file.write(exported.SerializeToString())
print(f"trained on {len(train)} rows")
