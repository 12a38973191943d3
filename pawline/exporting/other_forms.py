"""Write a trained Keras model for other places, and compare each file with Keras."""

import shutil
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pawline.files import whole_folder, write_bytes
from pawline.model.backend import keras, tf
from pawline.runtime.engine import Engine

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def ask_onnx(path: Path) -> Logits:
    return Engine(path.read_bytes(), path).ask


def write_litert(model: keras.Model, path: Path) -> None:
    """Write a file for LiteRT (once TensorFlow Lite): phones, small boards. Its input: float32 pixels, 0 to 255."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():  # the converter prints its progress
        warnings.simplefilter("ignore")
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    write_bytes(path, content)


def ask_litert(path: Path) -> Logits:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter has moved to a package of its own
        interpreter = tf.lite.Interpreter(str(path))
    [pixels], [logits] = interpreter.get_input_details(), interpreter.get_output_details()

    def ask(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        interpreter.resize_tensor_input(pixels["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(pixels["index"], batch.astype(np.float32))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(logits["index"]), np.float32)

    return ask


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Write a folder for TensorFlow Serving and others. Its input: float32 pixels, 0 to 255."""
    with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        model.export(Path(folder, "saved"), format="tf_saved_model", verbose=False)
        with whole_folder(path) as partial:
            shutil.copytree(Path(folder, "saved"), partial, dirs_exist_ok=True)


def ask_saved_model(path: Path) -> Logits:
    loaded: Any = tf.saved_model.load(str(path))

    def ask(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(loaded.serve(tf.constant(batch, tf.float32)).numpy(), np.float32)

    return ask


WRITERS: dict[str, Callable[[keras.Model, Path], None]] = {
    "litert": write_litert,
    "saved-model": write_saved_model,
}
# How to ask what was written: each function takes the file and returns logits for a batch.
ASKERS: dict[str, Callable[[Path], Logits]] = {
    "onnx": ask_onnx,
    "litert": ask_litert,
    "saved-model": ask_saved_model,
}
