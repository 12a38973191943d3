"""A trained model in MLflow: a pyfunc that takes raw image bytes, through the project's own decoder."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from pawline.card import Card, card_path
from pawline.files import file_digest
from pawline.judging.predictions import PROBABILITY
from pawline.params.whole import dotted
from pawline.pictures.decode import to_jpeg
from pawline.predict import Prediction
from pawline.runtime.export_card import export_card_path
from pawline.tracking.store import EXPORT_DIGEST, MODEL_DIGEST

SERVED_MODEL = Path(__file__).with_name("served_model.py")
SERVED_WITH = ["numpy", "onnxruntime", "opencv-python-headless", "pandas", "pillow", "pydantic"]
NUM_ASKED = 64  # pictures in one table


def name_model(digest: str, conditions: dict[str, object]) -> None:
    """Note in the active run which model its training made. conditions: those of the card, by dotted names."""
    mlflow.log_params(conditions)
    mlflow.set_tag(MODEL_DIGEST, digest)


def conditions_of_card(card: Card) -> dict[str, object]:
    """The conditions, and what the recipe chose: the params of the run say `auto` there."""
    chosen = {key: card.recipe[key] for key in card.chosen}
    return dotted({"conditions": card.conditions.model_dump(), "recipe": chosen})


def log_model(exported: Path, card: Card) -> None:
    """Log the exported model into the active run, unless it is there: the tag with its digest comes last."""
    active, digest = mlflow.active_run(), file_digest(exported)
    if active and mlflow.MlflowClient().get_run(active.info.run_id).data.tags.get(EXPORT_DIGEST) == digest:
        return  # it was logged before a kill, or this export was repeated
    mlflow.pyfunc.log_model(name="model", **_parts(exported, card))
    mlflow.set_tag(EXPORT_DIGEST, digest)


def answers_of_logged(exported: Path, card: Card, files: Iterable[Path]) -> Iterator[Prediction]:
    """Write the files of the logged model into a folder, load them as MLflow does, and ask for pictures."""
    remaining = iter(files)
    with TemporaryDirectory(prefix="pawline-logged-") as folder:
        mlflow.pyfunc.save_model(Path(folder, "model"), **_parts(exported, card))
        model = mlflow.pyfunc.load_model(f"{folder}/model")
        while batch := [file.read_bytes() for file in islice(remaining, NUM_ASKED)]:
            for row in model.predict(pd.DataFrame({"image": batch})).to_dict("records"):
                probabilities = {name: row[f"{PROBABILITY}{name}"] for name in card.class_names}
                yield Prediction(row["label"], probabilities, row["error"], row["unsure"])


def _parts(exported: Path, card: Card) -> dict[str, Any]:
    """What MLflow puts together to a model: code, files, requirements, signature, and an example of a request."""
    return {
        "python_model": str(SERVED_MODEL),
        "artifacts": {
            "model": str(exported),
            "export": str(export_card_path(exported)),
            "card": str(card_path(exported)),
        },
        "code_paths": [str(SERVED_MODEL.parents[1])],
        "pip_requirements": [f"{package}=={version(package)}" for package in ["mlflow", *_served_with(card)]],
        "signature": _signature(card),
        "input_example": _example(),
    }


def _served_with(card: Card) -> list[str]:
    """The packages that the logged model needs; one that learned from HEIC pictures decodes them too."""
    return [*SERVED_WITH, *(["pi-heif"] if "pi-heif" in card.decoder else [])]


def _signature(card: Card) -> ModelSignature:
    probabilities = [ColSpec("double", f"{PROBABILITY}{name}", required=False) for name in card.class_names]
    unsure, error = ColSpec("boolean", "unsure", required=False), ColSpec("string", "error", required=False)
    return ModelSignature(
        inputs=Schema([ColSpec("binary", "image", required=False), ColSpec("string", "path", required=False)]),
        outputs=Schema([ColSpec("string", "label", required=False), *probabilities, unsure, error]),
    )


def _example() -> pd.DataFrame:
    """A grey picture: it shows the form of a request, and no data of the user's goes into the model."""
    return pd.DataFrame({"image": [to_jpeg(np.full((8, 8, 1), 128, np.uint8))]})
