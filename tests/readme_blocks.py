"""Runs code of README.md in a process of its own, with what a reader has around it: `{name: [block, ...]}`, as JSON.

What the blocks of each name have printed is its last line, as JSON.
"""

import contextlib
import io
import json
import os
import sys

SCHEDULE = """
import lrcore
schedule = lrcore.warmup_cosine(peak_value=0.1, end_value=0.0, warmup_steps=100, steps=1000)
"""
DIGITS = """
from sklearn.datasets import load_digits
inputs, labels = load_digits(return_X_y=True)
inputs = (inputs / 16.0).astype("float32")
"""
AROUND = {
    "torch": SCHEDULE + DIGITS + """
import torch
import lrcore.bindings.torch
torch.manual_seed(0)
torch.set_num_threads(1)
data = torch.utils.data.TensorDataset(torch.tensor(inputs), torch.tensor(labels))
loader = torch.utils.data.DataLoader(data, 32, shuffle=True)
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters())
loss_fn = torch.nn.CrossEntropyLoss()
def train():
    for inputs, labels in list(loader)[:10]:
        optimizer.zero_grad()
        loss_fn(model(inputs), labels).backward()
        optimizer.step()
""",
    "keras": SCHEDULE + DIGITS + """
import keras
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
""",
    "graph": SCHEDULE + """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf
import optax
tf.compat.v1.disable_eager_execution()
tf.compat.v1.train.get_or_create_global_step()
boundaries, values = [5, 10, 15], [0.1, 0.05, 0.01, 0.001]
""",
}  # fmt: skip


def main():
    os.environ |= {"KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
    outputs = {}
    for name, blocks in json.loads(sys.argv[1]).items():
        known = {}
        outputs[name] = [output(AROUND[name], block, known) for block in blocks]
    print(json.dumps(outputs))


def output(around, block, known):
    """What a block prints that may use what those before it have defined, and a new model."""
    exec(around, known)
    with contextlib.redirect_stdout(io.StringIO()) as caught:
        exec(compile(block, "README.md", "exec"), known)
    return caught.getvalue()


if __name__ == "__main__":
    main()
