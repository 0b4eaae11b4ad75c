"""The graph operations of TensorFlow 1 in the contract of test_contract.py: one graph and session for all schedules."""

import tempfile
import warnings

from tf1_arguments import DECAYS, SCHEDULES, START

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tensorflow as tf

    from lrcore.bindings import tf1

v1 = tf.compat.v1


def piecewise_constant(pieces, step):
    return tf1.piecewise_constant(step, list(pieces.boundaries), list(pieces.values))


def decay(schedule, step):
    """The operation that stands for the schedule."""
    name = next(name for name, known in SCHEDULES.items() if known == schedule)
    return getattr(tf1, name)(global_step=step, **START, **DECAYS[name])


BINDINGS = {"learning_rate": tf1.learning_rate, "piecewise_constant": piecewise_constant, "decays": decay}


def in_a_branch_of_a_function(rate_of):
    def nested(schedule, step):
        def rate():
            return rate_of(schedule, step)

        return tf.function(lambda: tf.cond(tf.equal(step % 2, 0), rate, rate))()

    return nested


class Training:
    """A weight and an optimizer for each schedule, which share a step; in a graph of their own."""

    def __init__(self, schedules, rate_of):
        with tf.Graph().as_default() as graph:
            self.step, self.count = v1.train.get_or_create_global_step(), v1.placeholder(tf.float32, [])
            self.weights, self.sums, updates = [], [], []
            for schedule in schedules:
                weight, total = tf.Variable(0.0), tf.Variable(0.0)
                optimizer = v1.train.GradientDescentOptimizer(rate_of(schedule, self.step))
                updates.append(optimizer.apply_gradients([(total / self.count, weight)]))
                self.weights.append(weight)
                self.sums.append(total)
            with tf.control_dependencies(updates):
                self.update = v1.assign_add(self.step, 1)
            self.clear = tf.group([each.assign(0.0) for each in (*self.weights, *self.sums)])
            self.gather = tf.group([total.assign_add(1.0) for total in self.sums])
            self.start, self.saver = v1.global_variables_initializer(), v1.train.Saver([self.step])
        self.session = v1.Session(graph=graph)
        self.session.run(self.start)

    def taken(self, updates, micro_batches=1):
        """What each update takes from each weight of 0, for a mean gradient of 1."""
        for _ in range(updates):
            self.session.run(self.clear)
            for _ in range(micro_batches):
                self.session.run(self.gather)
            self.session.run(self.update, {self.count: micro_batches})
            yield [-float(weight) for weight in self.session.run(self.weights)]


def resumed(rate_of, schedules, run):
    with tempfile.TemporaryDirectory() as folder:
        with (first := Training(schedules, rate_of)).session:
            yield from first.taken(run.stop)
            path = first.saver.save(first.session, f"{folder}/model")
        with (second := Training(schedules, rate_of)).session:
            second.saver.restore(second.session, path)
            yield from second.taken(run.updates - run.stop)


def rows(rate_of, way, schedules, run):
    if way == "resumed":
        yield from resumed(rate_of, schedules, run)
        return
    used = in_a_branch_of_a_function(rate_of) if way == "nested" else rate_of
    with (training := Training(schedules, used)).session:
        yield from training.taken(run.updates, run.micro_batches if way == "accumulated" else 1)


def rates(binding, way, schedules, run):
    found = rows(BINDINGS[binding], way, schedules.values(), run)
    return dict(zip(schedules, map(list, zip(*found, strict=True)), strict=True))
