"""The card beside a model: how to feed the model, and how to recognize it. Reading a card needs no TensorFlow."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pawline.errors import ModelError
from pawline.files import file_digest, write_text
from pawline.params.prepare import ImageForm
from pawline.params.record import Record

NEVER = 10**9  # `train.patience` of a training that does not end early


class Conditions(Record):
    """The conditions of a training, besides data and params. The bytes of the model depend on them."""

    num_steps: int
    flip_at_test: bool  # whether the model averages over the picture and its mirror image
    precision: str
    processor: str  # maker, newest instruction set, and the GPU if there is one
    num_threads: int
    one_dnn: bool
    deterministic: bool
    tensorflow: str
    keras: str
    weights: str | None = None  # SHA-256 of the file that a pretrained network started from


class Card(Record):
    """The content of card.json."""

    digest: str  # SHA-256 of the model file
    class_names: list[str]  # in the order of the labels
    form: ImageForm  # the form that the network expects of a picture
    network: str  # its Keras name
    num_weights: int
    training_data_digest: str  # of the images, labels and parts, see parts.data_digest
    decoder: str  # name and version of the decoder, whose pixels the network learned from
    conditions: Conditions
    # Divides the logits before they become probabilities (pawline/temperature.py); cards of before have none.
    temperature: Annotated[float, Field(gt=0)] = 1.0
    # What the training followed, by the names of params.yaml: it repeats the model. Cards of before have none.
    recipe: dict[str, Any] = {}
    chosen: list[str] = []  # the keys of `recipe` that were auto


def write_card(model: Path, card: Card) -> None:
    write_text(card_path(model), card.model_dump_json(indent=2) + "\n")


def read_card(model: Path, card_file: Path | None = None) -> Card:
    """Read the card of a model file, by default the card beside the file, and compare its digest with the file.

    Call this before anything parses the model: a Keras file can contain code. Raises ModelError if a file is missing or
    unreadable, or if the digests differ."""
    card = parse_card(card_file or card_path(model))
    try:
        digest = file_digest(model)
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename}: not found") from None
    except OSError as error:
        raise ModelError(f"{model}: cannot be read with its card.json: {error}") from None
    if digest != card.digest:
        raise ModelError(
            f"{model}: its SHA-256 is {digest[:12]}…, but its card says {card.digest[:12]}…; "
            "the file was changed or the card is another model's: get both again"
        )
    return card


def parse_card(card_file: Path) -> Card:
    """Read a card alone: the model beside it is not checked. Raises ModelError if the file is missing or no card."""
    try:
        return Card.model_validate_json(card_file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{error.filename}: not found") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{card_file}: cannot be read: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ModelError(f"{card_file}: not a model card: {place}: {problem['msg']}") from None


def card_path(model: Path) -> Path:
    """The path of the card beside a model file."""
    return model.with_name("card.json")


def shown(value: Any) -> str:
    """A value as params.yaml and the command line take it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(shown, value))}]"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def in_words(key: str, value: Any) -> str:
    """The same for people. A patience that no training outlasts is no number to read."""
    return "never" if key.endswith("patience") and value >= NEVER else shown(value)
