"""The decays of TensorFlow 1, each with arguments that tests give it; TensorFlow itself is not imported."""

from lrcore.dialects import tf1 as dialect

START = {"learning_rate": 0.125}
DECAYS = {
    "exponential_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "natural_exp_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "inverse_time_decay": {"decay_steps": 7, "decay_rate": 0.5},
    "polynomial_decay": {"decay_steps": 20},
    "cosine_decay": {"decay_steps": 20, "alpha": 0.125},
    "cosine_decay_restarts": {"first_decay_steps": 7},
    "linear_cosine_decay": {"decay_steps": 20},
    "noisy_linear_cosine_decay": {"decay_steps": 20, "initial_variance": 0.0},
}
SCHEDULES = {name: getattr(dialect, name)(**START, **arguments) for name, arguments in DECAYS.items()}
