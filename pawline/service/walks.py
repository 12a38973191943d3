"""The walk through the network for the picture of a request: the page of `pawline explain`, made by the service.

It needs the network in the neutral form of walk/network.py, which the stage `export` and `pawline explain` keep by the
model's digest, and card.json. What computes it is imported at the first walk.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pawline.errors import ModelError
from pawline.runtime.export_card import ExportCard

if TYPE_CHECKING:
    from pawline.card import Card
    from pawline.walk.network import Network

CARD, BESIDE = "card.json", "walk"  # beside the model's file: its own card; a folder with the neutral form
NAME = "your picture"  # the service does not know file names
NO_EPOCHS_HERE = (
    "The service does not know earlier epochs; `pawline explain` shows them where the training kept some."
)
MAX_DIFFERENCE = 1e-3  # of a probability, between the walk and the engine: rounding is a thousandth of it


class Walks:
    """The walks of the model that answers; its network stays in memory after the first one."""

    def __init__(self, kept: Path | None) -> None:
        """kept: holds a folder per model, named by its digest; looked at where none lies beside the model's file."""
        self._kept = kept
        self._loaded: tuple[str, Network] | None = None  # (digest, network)

    def missing(self, file: Path, card: ExportCard) -> str | None:
        """Why there is no walk of a model, in one line; None where there is one. file: that of the model."""
        if not file.with_name(CARD).is_file():
            return f"no walk through the network: {CARD} does not lie beside the model's file"
        if not any((place / "network.json").is_file() for place in self._places(file, card)):
            return (
                "no walk through the network yet: `pawline explain PICTURE`, once, where the model was trained, reads "
                "its layers"
            )
        return None

    def page(self, file: Path, card: ExportCard, picture: bytes, answer: dict[str, float]) -> str:
        """The HTML of a walk, a few MB; takes a second. One thread at a time may ask.

        answer: the probabilities that the engine gives. Raises ModelError where the files are damaged or another
        model's, so that the walk would come to another answer; BadImage for the picture."""
        from pawline.walk.content import walk_content
        from pawline.walk.page import render_walk

        own, network = self._card(file, card), self._network(file, card)
        content, arrays = walk_content(picture, NAME, own, network, False, learnt=NO_EPOCHS_HERE)
        pairs = zip(content["probabilities"], answer.values(), strict=True)
        if max(abs(one - other) for one, other in pairs) > MAX_DIFFERENCE:
            self._loaded = None
            raise ModelError("the network in neutral form is another model's")
        return render_walk(content, arrays)

    def _places(self, file: Path, card: ExportCard) -> list[Path]:
        return [file.with_name(BESIDE), *([self._kept / card.model_digest] if self._kept else [])]

    def _card(self, file: Path, card: ExportCard) -> "Card":
        from pawline.card import parse_card

        own = parse_card(file.with_name(CARD))
        if own.digest != card.model_digest:
            raise ModelError(f"{CARD} is the card of another model: put the model's own beside its file")
        return own

    def _network(self, file: Path, card: ExportCard) -> "Network":
        from pawline.walk.network import load_network

        if self._loaded is None or self._loaded[0] != card.model_digest:
            found = next(filter(None, map(load_network, self._places(file, card))), None)
            if found is None:
                raise ModelError(
                    "the network in neutral form is damaged: `pawline explain PICTURE` keeps it again"
                )
            self._loaded = card.model_digest, found
        return self._loaded[1]
