"""The card beside an exported model: all that is needed to feed it, to recognize it and to read its answers.

It is a plain dataclass. The model's own card needs pydantic, whose import would take a third of the time of
`pawline predict`.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pawline.errors import ModelError
from pawline.files import write_json

FILE_NAME = "export.json"


@dataclass(frozen=True)
class ExportCard:
    """The content of export.json."""

    digest: str  # SHA-256 of the exported file
    model_digest: str  # of the Keras model that it was made from
    class_names: list[str]  # in the order of the labels
    form: dict[str, Any]  # the form that the network expects of a picture: ImageForm of params/prepare.py
    decoder: str  # name and version of the decoder, whose pixels the network learned from
    outputs: list[str]  # what the engine can compute, see exporting/graph.py
    temperature: float = 1.0  # divides the logits (Guo et al., "On Calibration of Modern Neural Networks", 2017)
    unsure_below: float = 0.0  # a prediction whose probability is below this is unsure
    reference: dict[str, Any] = field(default_factory=dict)  # see runtime/reference.py; empty: not measured

    def __post_init__(self) -> None:
        """Raise ValueError for a value of another type: it would surface much later, as a wrong answer or a crash."""
        for each in fields(self):
            value, kind = getattr(self, each.name), KINDS[each.name]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"{each.name} is {value!r}, expected {kind}")
        if not self.class_names or {type(name) for name in self.class_names} != {str}:
            raise ValueError("class_names holds no names")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}, expected more than 0")
        side, color = self.form.get("image_size"), self.form.get("color")
        if type(side) is not int or side < 1 or color not in ("grayscale", "rgb"):
            raise ValueError(f"form is {self.form}, expected an image_size and a color")

    @property
    def image_size(self) -> int:
        """The side of a picture, in pixels."""
        return int(self.form["image_size"])


KINDS: dict[str, Any] = {
    "digest": str,
    "model_digest": str,
    "class_names": list,
    "form": dict,
    "decoder": str,
    "outputs": list,
    "temperature": int | float,
    "unsure_below": int | float,
    "reference": dict,
}


def export_card_path(exported: Path) -> Path:
    """The path of the card beside an exported file."""
    return exported.with_name(FILE_NAME)


def write_export_card(exported: Path, card: ExportCard) -> None:
    write_json(export_card_path(exported), asdict(card))


def read_export_card(exported: Path) -> ExportCard:
    """Read the card beside an exported file. Raises ModelError if the card is missing or cannot be used."""
    path = export_card_path(exported)
    try:
        return ExportCard(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(f"{path}: not found") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:  # no JSON, no text, no such fields
        reason = str(error).replace("ExportCard.__init__()", "it").splitlines()[0]
        raise ModelError(f"{path}: not the card of an exported model: {reason}") from None
