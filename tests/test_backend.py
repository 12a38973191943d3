"""TensorFlow says nothing as long as there is nothing to say, and computes convolutions with oneDNN."""

from pathlib import Path

from tests.conftest import run

CONVOLVE = """
from pawline.backend import tf
tf.config.list_logical_devices()
kernel = tf.zeros((3, 3, 4, 4))
convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec(None)])
try:
    print(convolve(tf.zeros((1, 8, 8, {channels}))).shape)
except tf.errors.OpError:
    print("refused")
"""


ON_PROCESSOR = {"ONEDNN_VERBOSE": "1", "CUDA_VISIBLE_DEVICES": "-1"}


def test_loading_and_computing_write_nothing_and_use_one_dnn(tmp_path: Path) -> None:
    """By itself TensorFlow leaves oneDNN out on processors without VNNI or AMX, and trains 1.4 times as long."""
    said = run(tmp_path, "python", "-c", CONVOLVE.format(channels=4), **ON_PROCESSOR)
    assert said.stdout.endswith("(1, 8, 8, 4)\n")
    assert ",exec,cpu,convolution," in said.stdout
    assert said.stderr == ""


def test_warnings_come_through_and_the_users_own_settings_win(tmp_path: Path) -> None:
    settings = ON_PROCESSOR | {"TF_ENABLE_ONEDNN_OPTS": "0"}
    said = run(tmp_path, "python", "-c", CONVOLVE.format(channels=5), **settings)
    assert said.stdout.endswith("refused\n")
    assert ",exec,cpu,convolution," not in said.stdout
    assert "must be evenly divisible by filter depth" in said.stderr
