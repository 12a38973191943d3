"""The model as MLflow serves it: a column of image bytes in, class names and probabilities out.

MLflow runs this file when it loads the model ("models from code"): no pickle is involved. The light engine answers;
TensorFlow is not needed. MLflow itself brings pandas.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pawline.judging.predictions import PROBABILITY
from pawline.pictures.decode import BadImage
from pawline.predict import Predictor, read_picture

# A server must not read its files for whoever asks; whoever runs the model over files of their own sets this to 1.
READS_PATHS = "PAWLINE_MODEL_READS_PATHS"


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    def load_context(self, context: Any) -> None:
        self._predictor = Predictor(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row per picture: `image`, the bytes of its file (base64 in JSON); or `path`, where that is allowed.

        A picture that cannot be read has an `error` and no label."""
        nothing = dict.fromkeys(self._predictor.card.class_names)
        rows = [
            {
                "label": prediction.label,
                **{f"{PROBABILITY}{name}": p for name, p in (prediction.probabilities or nothing).items()},
                "unsure": prediction.unsure,
                "error": prediction.error,
            }
            for prediction in self._predictor.predict(_pictures(model_input))
        ]
        return pd.DataFrame(rows, dtype=object)  # None stays None, which JSON has a word for, unlike NaN


def _pictures(model_input: pd.DataFrame) -> Iterator[bytes | BadImage]:
    nothing = [None] * len(model_input)
    images, paths = model_input.get("image", nothing), model_input.get("path", nothing)
    for image, path in zip(images, paths, strict=True):
        if isinstance(image, bytes):
            yield image
        elif isinstance(path, str):
            yield _read(path)
        else:
            yield BadImage("unreadable", "the row has neither the bytes of a picture (image) nor a path")


def _read(path: str) -> bytes | BadImage:
    if os.environ.get(READS_PATHS) != "1":
        return BadImage("unreadable", f"paths are read only where {READS_PATHS}=1 is set; give the bytes as image")
    return read_picture(Path(path))


mlflow.models.set_model(ServedModel())
