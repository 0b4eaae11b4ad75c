"""Keras takes its backend when it is first imported, which the tests of this folder do."""

import os

os.environ["KERAS_BACKEND"] = "torch"
