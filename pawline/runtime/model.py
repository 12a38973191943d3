"""The exported model: checked, loaded and asked. `evaluate`, `predict` and MLflow's model all use it."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pawline.errors import ModelError
from pawline.pictures.appearance import appearance
from pawline.runtime.engine import Engine
from pawline.runtime.export_card import ExportCard, read_export_card
from pawline.runtime.reference import Reference
from pawline.side_by_side import side_by_side
from pawline.softmax import softmax

if TYPE_CHECKING:
    from pawline.prepared import PreparedImages

SUFFIX = ".onnx"
BATCH_SIZE, BATCH_PIXELS = 16, 16 * 96 * 96  # at most, of one batch: larger batches are no faster


class RuntimeModel:
    """A model as the light engine runs it. Several threads may ask it at the same time."""

    def __init__(self, file: Path) -> None:
        """Check and load an exported model.

        file: `model.onnx` with export.json beside it; or the `model.keras` beside them, from which `model.onnx` must
        have been exported.

        Nothing is parsed whose digest was not checked. Raises ModelError for a missing or damaged file, or one that
        belongs to another model."""
        exported = file.with_suffix(SUFFIX)
        self.card = read_export_card(exported)
        content = _checked(exported, self.card)
        if file != exported:
            _refuse_another_model(file, exported, self.card)
        self.engine = Engine(content, exported)
        self._refuse_another_form(exported)
        self.reference = self._read_reference(exported)

    @property
    def batch_size(self) -> int:
        """Number of pictures to ask for at once; it falls as they grow, so that memory does not."""
        return max(1, min(BATCH_SIZE, BATCH_PIXELS // self.card.image_size**2))

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict one batch: uint8 (n, height, width, channels) to float32 (n, num_classes); rows sum to 1."""
        return softmax(self.engine.ask(pixels), self.card.temperature)

    def answers(
        self, pixels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None, list[dict[str, float]]]:
        """(probabilities, distances, appearances) of one batch of at least one picture.

        pixels: uint8 (n, height, width, channels). distances: float64 (n,), from the pictures that the model learned
        from, see runtime/reference.py; None where export.json does not describe them."""
        appearances = [appearance(picture) for picture in pixels]
        if self.reference is None:
            return self.probabilities(pixels), None, appearances
        logits, features = self.engine.ask_for(pixels, ("logits", "features"))
        probabilities = softmax(logits, self.card.temperature)
        return probabilities, self.reference.distances(features, appearances), appearances

    def predict_rows(self, images: "PreparedImages", rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Predict rows of the prepared images, int64 (n,), batch by batch. Returns float32 (n, num_classes)."""
        return softmax(self.logits_of_rows(images, rows), self.card.temperature)

    def logits_of_rows(self, images: "PreparedImages", rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The answers before the temperature, to rows of the prepared images, int64 (n,), batch by batch.

        Returns float32 (n, num_classes)."""

        def ask(batch: list[int]) -> list[NDArray[np.float32]]:
            return list(self.engine.ask(images.pixels(np.asarray(batch, np.int64))))

        answers = list(side_by_side(ask, rows.tolist(), self.batch_size))
        return np.array(answers, np.float32).reshape(len(rows), len(self.card.class_names))

    def _read_reference(self, exported: Path) -> Reference | None:
        if not self.card.reference:
            return None
        try:
            reference = Reference.from_json(self.card.reference)
            expected = self.engine.outputs["features"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{exported}: reference in export.json is damaged: {error!r}; get both again"
            ) from None
        if reference.center.shape != expected:
            raise ModelError(
                f"{exported}: gives features {expected}, but export.json describes {reference.center.shape}: get both "
                "again"
            )
        return reference

    def _refuse_another_form(self, exported: Path) -> None:
        side, channels = self.card.image_size, 1 if self.card.form["color"] == "grayscale" else 3
        expected = (side, side, channels), (len(self.card.class_names),)
        if (found := (self.engine.input, self.engine.outputs["logits"])) != expected:
            raise ModelError(
                f"{exported}: takes pixels {found[0]} and gives logits {found[1]}, but export.json says {expected[0]} "
                f"and {expected[1]}: get both again"
            )


def _checked(exported: Path, card: ExportCard) -> bytes:
    """The bytes of the exported file, once they are known to be those of the card."""
    try:
        content = exported.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{exported}: not found") from None
    except OSError as error:
        raise ModelError(f"{exported}: cannot be read: {error.strerror or error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.digest:
        raise ModelError(
            f"{exported}: its SHA-256 is {digest[:12]}…, but export.json says {card.digest[:12]}…; "
            "the file was changed or the card is another model's: get both again"
        )
    return content


def _refuse_another_model(file: Path, exported: Path, card: ExportCard) -> None:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from None
    if digest != card.model_digest:
        raise ModelError(
            f"{exported}: was exported from the model {card.model_digest[:12]}…, but {file} is the model "
            f"{digest[:12]}…: export it again"
        )
