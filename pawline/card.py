"""The card beside a model: what is needed to feed it and to know it again. Reading one needs no TensorFlow."""

from pathlib import Path

from pydantic import ValidationError

from pawline.errors import ModelError
from pawline.files import file_digest, write_text
from pawline.params import ImageForm, Record


class Conditions(Record):
    """How the model was trained, besides data and params: its bytes depend on it."""

    num_steps: int
    flip_at_test: bool  # whether the model averages over the picture and its mirror image
    precision: str
    processor: str  # maker and newest instructions, and the GPU where there is one
    num_threads: int
    one_dnn: bool
    deterministic: bool
    tensorflow: str
    keras: str


class Card(Record):
    digest: str  # SHA-256 of the model file
    class_names: list[str]  # by label
    form: ImageForm  # how to bring a picture to what the network saw
    network: str
    num_weights: int
    training_data_digest: str  # SHA-256 over the digests, labels and parts of the images it saw
    decoder: str
    conditions: Conditions


def write_card(model: Path, card: Card) -> None:
    write_text(card_path(model), card.model_dump_json(indent=2) + "\n")


def read_card(model: Path, card_file: Path | None = None) -> Card:
    """The card of a model file, by default the one beside it. It is checked against the file's bytes before
    anything parses those: a Keras file can carry code. Raises ModelError."""
    card_file = card_file or card_path(model)
    try:
        card = Card.model_validate_json(card_file.read_text(encoding="utf-8"))
        digest = file_digest(model)
    except FileNotFoundError as error:
        raise ModelError(
            f"{error.filename}: not found; run `dvc repro` in the checkout, or name another with --model"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{model}: cannot be read with its card.json: {error}; run `dvc repro`") from None
    except ValidationError as error:
        problem = error.errors()[0]
        raise ModelError(f"{card_file}: not a model card: {problem['loc']}: {problem['msg']}") from None
    if digest != card.digest:
        raise ModelError(
            f"{model}: its SHA-256 is {digest[:12]}…, but its card says {card.digest[:12]}…; "
            "the file was changed or the card is another model's: get both again with `dvc checkout`"
        )
    return card


def card_path(model: Path) -> Path:
    return model.with_name("card.json")
