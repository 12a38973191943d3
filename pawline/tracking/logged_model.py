"""A trained model in MLflow: a pyfunc that takes raw image bytes, through the project's own decoder."""

from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from pawline.card import Card, card_path
from pawline.params.whole import dotted
from pawline.tracking.store import MODEL_DIGEST

SERVED_MODEL = Path(__file__).with_name("served_model.py")
SERVED_WITH = [
    "keras", "numpy", "opencv-python-headless", "pandas", "pillow", "pydantic", "ruamel.yaml", "scipy", "tensorflow"
]  # fmt: skip


def log_model(model: Path, card: Card) -> None:
    """Log the model into the active run, unless it is there: the tag with its digest comes last."""
    active = mlflow.active_run()
    if active and mlflow.MlflowClient().get_run(active.info.run_id).data.tags.get(MODEL_DIGEST) == card.digest:
        return  # it was logged before a kill
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(SERVED_MODEL),
        artifacts={"model": str(model), "card": str(card_path(model))},
        code_paths=[str(SERVED_MODEL.parents[1])],
        pip_requirements=[f"{package}=={version(package)}" for package in _served_with(card)],
        signature=_signature(card),
    )
    mlflow.log_params(dotted({"conditions": card.conditions.model_dump()}))
    mlflow.set_tag(MODEL_DIGEST, card.digest)


def _served_with(card: Card) -> list[str]:
    """The packages that the logged model needs; one that learned from HEIC pictures decodes them too."""
    return [*SERVED_WITH, *(["pi-heif"] if "pi-heif" in card.decoder else [])]


def _signature(card: Card) -> ModelSignature:
    probabilities = [ColSpec("double", f"probability_{name}") for name in card.class_names]
    return ModelSignature(
        inputs=Schema([ColSpec("binary", "image")]),
        outputs=Schema([ColSpec("string", "label"), *probabilities, ColSpec("string", "error", required=False)]),
    )
