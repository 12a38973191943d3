"""TensorFlow writes no greeting, shows its warnings, and computes convolutions with oneDNN."""

from pathlib import Path

from tests.conftest import run

CONVOLVE = """
from pawline.model.backend import tf
tf.config.list_logical_devices()
import sys
print([name for name in ("sklearn", "matplotlib") if name in sys.modules])
import sklearn, matplotlib
kernel = tf.zeros((3, 3, 4, 4))
convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec(None)])
try:
    print(convolve(tf.zeros((1, 8, 8, {channels}))).shape)
except tf.errors.OpError:
    print("refused")
"""


ON_PROCESSOR = {"ONEDNN_VERBOSE": "1", "CUDA_VISIBLE_DEVICES": "-1"}


def test_loading_and_computing_write_nothing_and_use_one_dnn(tmp_path: Path) -> None:
    """TensorFlow's default leaves out oneDNN without VNNI or AMX, and training takes 1.4 times as long."""
    process = run(tmp_path, "python", "-c", CONVOLVE.format(channels=4), **ON_PROCESSOR)
    assert process.stdout.startswith("[]\n")  # what Keras would load for parts that nobody uses here
    assert process.stdout.endswith("(1, 8, 8, 4)\n")
    assert ",exec,cpu,convolution," in process.stdout
    assert process.stderr == ""


def test_warnings_appear_and_the_users_settings_win(tmp_path: Path) -> None:
    settings = ON_PROCESSOR | {"TF_ENABLE_ONEDNN_OPTS": "0"}
    process = run(tmp_path, "python", "-c", CONVOLVE.format(channels=5), **settings)
    assert process.stdout.endswith("refused\n")
    assert ",exec,cpu,convolution," not in process.stdout
    assert "must be evenly divisible by filter depth" in process.stderr
