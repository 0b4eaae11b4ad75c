"""Article C with the operations of tf1, wherever its graph goes."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from tf1_runs import ARTICLE, BOUNDARIES, VALUES

import lrcore as lr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    from lrcore.bindings import tf1

v1 = tf.compat.v1
train = v1.train


def constant_pieces(step, name="lr_rate"):
    return tf1.piecewise_constant(step, BOUNDARIES, VALUES, name)


def of_a_schedule(step, name="lr_rate"):
    return tf1.learning_rate(lr.Piecewise(BOUNDARIES, VALUES, side="left"), step, name)


def without_a_table(step, name="lr_rate"):
    """The same values; what it holds after a long time is beyond a table."""
    return tf1.learning_rate(lr.Piecewise([*BOUNDARIES, 2**40], [*VALUES, 0.5], side="left"), step, name)


BUILDS = [constant_pieces, of_a_schedule, without_a_table]


def article(build, use_resource=True):
    """The step after its update, and the rate of then."""
    with v1.variable_scope("", use_resource=use_resource):
        step = train.get_or_create_global_step()
    update = v1.assign_add(step, 1, name="update")
    with tf.control_dependencies([update]):
        return step, update, build(step)


def printed(session, update, rate, updates=20):
    return [session.run([update, rate]) for _ in range(updates)]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("use_resource", [True, False])
def test_the_article(build, use_resource):
    with tf.Graph().as_default():
        _, update, rate = article(build, use_resource)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            lines = [f"step {step}, lr = {value:.3f}" for step, value in printed(session, update, rate)]
    assert lines == [f"step {step}, lr = {value:.3f}" for step, value in enumerate(ARTICLE, start=1)]


TF1_ALONE = """
import json
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
from lrcore.bindings import tf1
step = tf.train.get_or_create_global_step()
update = tf.assign_add(step, 1)
with tf.control_dependencies([update]):
    pieces = tf1.piecewise_constant(step, [5, 10, 15], [0.1, 0.05, 0.01, 0.001], name="lr_rate")
    stairs = tf1.exponential_decay(0.5, step, 5, 0.5, staircase=True)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    found = [session.run([update, pieces, stairs]) for _ in range(20)]
print(json.dumps([step.dtype.name, *([float(one) for one in column] for column in zip(*found))]))
"""


def test_the_article_where_tensorflow_behaves_as_1():
    """Variables are references, which are read in place, and nothing is eager."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", TF1_ALONE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    kind, steps, pieces, stairs = json.loads(done.stdout.splitlines()[-1])
    assert kind == "int64_ref"
    assert steps == [*range(1, 21)]
    assert pieces == ARTICLE.tolist()
    assert stairs == [0.5 ** (1 + at // 5) for at in range(1, 21)]


@pytest.mark.parametrize("build", BUILDS)
def test_an_imported_graph(build):
    with tf.Graph().as_default() as graph:
        _, update, rate = article(build)
        start = v1.global_variables_initializer()
    names = [start.name, update.name, rate.name]
    with tf.Graph().as_default():
        start, update, rate = tf.import_graph_def(graph.as_graph_def(), return_elements=names, name="imported")
        with v1.Session() as session:
            session.run(start)
            assert [value for _, value in printed(session, update, rate)] == ARTICLE.tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_a_saved_model_of_a_session(build, tmp_path):
    folder = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        _, update, rate = article(build)
        session.run(v1.global_variables_initializer())
        printed(session, update, rate, updates=7)
        builder = v1.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, ["train"])
        builder.save()
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, ["train"], folder)
        assert [value for _, value in printed(session, update.name, rate.name, 13)] == ARTICLE[7:].tolist()


class Counted(tf.Module):
    """A step, and the rate after each update of it."""

    def __init__(self, build):
        super().__init__()
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.build = build

    @tf.function(input_signature=[])
    def update(self):
        with tf.control_dependencies([self.step.assign_add(1)]):
            return self.build(self.step)


@pytest.mark.parametrize("build", BUILDS)
def test_a_function_and_its_saved_model(build, tmp_path):
    module = Counted(build)
    assert [float(module.update()) for _ in range(7)] == ARTICLE[:7].tolist()
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert [float(loaded.update()) for _ in range(13)] == ARTICLE[7:].tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_an_eager_callable_is_traced_where_a_function_calls_it(build):
    step = tf.Variable(0, dtype=tf.int64)
    rate = build(step)
    traced = tf.function(rate)
    found = []
    for _ in range(20):
        step.assign_add(1)
        found.append((float(rate()), float(traced())))
    assert found == [(value, value) for value in ARTICLE.tolist()]


@pytest.mark.parametrize("build", BUILDS)
def test_a_checkpoint_restored_in_the_middle(build, tmp_path):
    path = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        step, update, rate = article(build)
        session.run(v1.global_variables_initializer())
        printed(session, update, rate, updates=12)
        train.Saver([step]).save(session, path)
        after = printed(session, update, rate, updates=8)
    with tf.Graph().as_default(), v1.Session() as session:
        step, update, rate = article(build)
        train.Saver([step]).restore(session, path)
        assert printed(session, update, rate, updates=8) == after
    assert [value for _, value in after] == ARTICLE[12:].tolist()


@pytest.mark.parametrize("build", BUILDS)
def test_a_monitored_session(build, tmp_path):
    """Stopped after 12 updates, and resumed from its checkpoint."""
    found = []
    for last in (12, 20):
        with tf.Graph().as_default():
            _, update, rate = article(build)
            hooks = [train.StopAtStepHook(last_step=last)]
            with train.MonitoredTrainingSession(checkpoint_dir=str(tmp_path), hooks=hooks) as session:
                while not session.should_stop():
                    found.append(session.run([update, rate])[1])
    assert found == ARTICLE.tolist()


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_compiled_function(jit_compile):
    schedules = [constant_pieces, of_a_schedule, lambda step: tf1.learning_rate(lr.sgdr(0.1, 0.0, 5, 2), step)]
    for build in schedules:
        compiled = tf.function(build, jit_compile=jit_compile)
        found = [float(compiled(tf.constant(at, tf.int64))) for at in range(1, 21)]
        assert found == [float(build(tf.constant(at, tf.int64))()) for at in range(1, 21)]


@pytest.mark.parametrize("build", BUILDS)
def test_an_optimizer_of_tensorflow_1(build):
    """The weight of an SGD on a constant gradient shows which rate each update used."""
    with tf.Graph().as_default(), v1.Session() as session:
        step = train.get_or_create_global_step()
        weight = v1.get_variable("weight", initializer=0.0)
        optimizer = train.GradientDescentOptimizer(build(step))
        update = optimizer.minimize(-1.0 * weight, global_step=step)
        session.run(v1.global_variables_initializer())
        weights = [(session.run(update), session.run(weight))[1] for _ in range(20)]
    used = np.float32([0.1, *ARTICLE.tolist()[:-1]])  # the first update uses f(0)
    assert weights == np.add.accumulate(used).tolist()
