"""A network of TensorFlow/Keras: `pip install -r requirements-keras.txt`, then run this."""

import keras
import tensorflow as tf
import tf2onnx

from recording import numbers, record

keras.utils.set_random_seed(4)
given = keras.Input(shape=(4,), name="features")
hidden = keras.layers.Dense(8, activation="relu")(given)
model = keras.Model(given, keras.layers.Dense(1, activation="sigmoid", name="score")(hidden))
rows = numbers(4, 4)


@tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="features")])
def predict(features):
    return {"score": model(features)}


converted, _ = tf2onnx.convert.from_function(predict, input_signature=predict.input_signature, opset=15)
record(
    "keras_network",
    converted.SerializeToString(),
    {f"f{i}": ("FLOAT", rows[:, i].tolist()) for i in range(4)},
    {"features": rows},
    {"score": model.predict(rows, verbose=0).reshape(-1).tolist()},
    {"tensorflow": tf.__version__, "keras": keras.__version__},
)
