"""The model as MLflow serves it: a column of image bytes in, class names and probabilities out.

MLflow runs this file when it loads the model ("models from code"): no pickle is involved.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pawline.predict import Predictor


class ServedModel(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
    def load_context(self, context: Any) -> None:
        self._predictor = Predictor(Path(context.artifacts["model"]), Path(context.artifacts["card"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """`image`: the bytes of picture files. A picture that cannot be read has an `error` and no label."""
        predictions = self._predictor.predict(model_input["image"])
        nothing = dict.fromkeys(self._predictor.card.class_names)
        rows = [
            {
                "label": prediction.label,
                **{f"probability_{name}": p for name, p in (prediction.probabilities or nothing).items()},
                "error": prediction.error,
            }
            for prediction in predictions
        ]
        return pd.DataFrame(rows, dtype=object)  # None stays None, which JSON has a word for, unlike NaN


mlflow.models.set_model(ServedModel())
