"""TensorFlow 1: a learning rate that is piecewise constant, as a node of a graph.

Article C: the global step is a variable of the graph, an operation adds 1 to it, and the rate is built under a control
dependency on that operation. A session runs both and prints them. A boundary still belongs to the old value, as in
`tf.train.piecewise_constant`, with which every step is compared.

    python examples/c_tf1_piecewise_constant.py
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # without what TensorFlow says about the machine

import tensorflow.compat.v1 as tf

from lrcore import Piecewise
from lrcore.bindings import tf1

tf.disable_eager_execution()

LR_STEPS = [5, 10, 15]
LR_VALUES = [0.1, 0.05, 0.01, 0.001]


def main() -> None:
    """The article's session, and the longer run that it names."""
    global_step = tf.Variable(0, trainable=False, name="global_step")
    update = tf.assign_add(global_step, 1)
    with tf.control_dependencies([update]):
        lr_rate = tf1.piecewise_constant(global_step, LR_STEPS, LR_VALUES, name="lr_rate")
        theirs = tf.train.piecewise_constant(global_step, LR_STEPS, LR_VALUES)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(20):
            step, lr, expected = session.run([update, lr_rate, theirs])
            print(f"step {step}, lr = {lr:.3f}")
            assert lr == expected
    long_run()


def long_run() -> None:
    """0.1 up to step 2000, 0.05 up to 6000, 0.01 after: any schedule of lrcore becomes a node."""
    schedule = Piecewise([2000, 6000], [0.1, 0.05, 0.01], side="left")  # "left": a boundary belongs to the old value
    step = tf.placeholder(tf.int64, [])
    rate = tf1.learning_rate(schedule, step)
    with tf.Session() as session:
        for at in (1, 2000, 2001, 6000, 6001, 100_000):
            print(f"long run: step {at}, lr = {session.run(rate, {step: at}):.2f}")


if __name__ == "__main__":
    main()
