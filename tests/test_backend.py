"""TensorFlow says nothing as long as there is nothing to say."""

from pathlib import Path

import pytest

from tests.conftest import run

MULTIPLY = """
from pawline.backend import tf
tf.config.list_logical_devices()
multiply = tf.function(lambda x, y: x @ y, input_signature=[tf.TensorSpec(None)] * 2)
try:
    print(multiply(tf.zeros((2, 3)), tf.zeros(({rows}, 2))).shape)
except tf.errors.InvalidArgumentError:
    print("refused")
"""


def test_loading_and_computing_write_nothing(tmp_path: Path) -> None:
    said = run(tmp_path, "python", "-c", MULTIPLY.format(rows=3))
    assert (said.stdout, said.stderr) == ("(2, 2)\n", "")


def test_a_warning_of_tensorflows_own_comes_through(tmp_path: Path) -> None:
    said = run(tmp_path, "python", "-c", MULTIPLY.format(rows=4))
    assert said.stdout == "refused\n"
    assert "INVALID_ARGUMENT: Matrix size-incompatible" in said.stderr


@pytest.mark.parametrize(("setting", "used"), [(None, True), ("0", False)])
def test_one_dnn_computes_convolutions_unless_the_user_says_otherwise(
    tmp_path: Path, setting: str | None, used: bool
) -> None:
    """By itself TensorFlow leaves it out on processors without AVX-512, at 1.4 times the time."""
    code = """
from pawline.backend import tf
tf.nn.conv2d(tf.zeros((1, 8, 8, 4)), tf.zeros((3, 3, 4, 4)), 1, "SAME")
"""
    environment = {"ONEDNN_VERBOSE": "1"} | ({"TF_ENABLE_ONEDNN_OPTS": setting} if setting else {})
    said = run(tmp_path, "python", "-c", code, **environment)
    assert (",exec,cpu,convolution," in said.stdout) is used
