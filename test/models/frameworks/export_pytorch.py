"""A network of PyTorch: `pip install -r requirements-pytorch.txt`, then run this."""

import io

import torch

from recording import numbers, record

torch.manual_seed(3)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1))
rows = numbers(3, 4)
with torch.no_grad():
    predicted = model(torch.from_numpy(rows))

target = io.BytesIO()
torch.onnx.export(
    model,
    (torch.from_numpy(rows[:2]),),
    target,
    input_names=["features"],
    output_names=["probabilities"],
    dynamic_axes={"features": {0: "rows"}, "probabilities": {0: "rows"}},
    opset_version=17,
    dynamo=False,
)
record(
    "pytorch_network",
    target.getvalue(),
    {f"f{i}": ("FLOAT", rows[:, i].tolist()) for i in range(4)},
    {"features": rows},
    {"probabilities": predicted.tolist()},
    {"torch": torch.__version__},
)
