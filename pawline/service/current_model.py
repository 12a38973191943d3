"""The model that answers, replaced in flight when other files take its place."""

import threading
from collections.abc import Callable
from pathlib import Path

from pawline.errors import ModelError
from pawline.pictures.decode import MAX_MEGAPIXELS
from pawline.predict import Predictor
from pawline.runtime.export_card import export_card_path
from pawline.terminal import say

LOOK_SECONDS = 0.5  # between two looks at the files

Stamp = tuple[tuple[int, int, int], ...]


class CurrentModel:
    """The model of a file, which is looked at as long as the service runs.

    A question keeps the model that it began with; the next question gets the new one. Files that cannot be loaded
    change nothing: the old model goes on answering."""

    def __init__(
        self,
        file: Path,
        on_swap: Callable[[bool], object] = lambda loaded: None,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        """file: `model.onnx` with export.json beside it. on_swap: called after each change of the files, with whether
        the new model was loaded. max_megapixels: of a picture. Raises ModelError if the files cannot be loaded now."""
        self._file, self._on_swap, self._max_megapixels = file, on_swap, max_megapixels
        self._stamp = _stamp(file)
        self._stopped = threading.Event()
        self.predictor = self._load(file)

    def look(self) -> None:
        """Load the model again if its files changed since the last look."""
        if (stamp := _stamp(self._file)) == self._stamp or stamp is None:
            return
        try:
            # One folder for all that is read, whatever a link to it says meanwhile.
            predictor = self._load(self._file.resolve())
        except ModelError as error:
            loaded = False
            say(f"warning: the new model is not used, the old one goes on answering: {error}")
        else:
            loaded = True
            self.predictor = predictor
            say(f"the model {predictor.card.model_digest[:12]} answers from now on")
        self._stamp = stamp
        self._on_swap(loaded)

    def _load(self, file: Path) -> Predictor:
        """A model that has answered once: what the engine loads it may still be unable to run."""
        predictor = Predictor(file, self._max_megapixels)
        predictor.try_out(file)
        return predictor

    def watch(self) -> None:
        """Look again and again, until `stop`."""
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()

    def stop(self) -> None:
        self._stopped.set()


def _stamp(file: Path) -> Stamp | None:
    """What differs where the files do; None while one is missing."""
    try:
        states = [path.resolve(strict=True).stat() for path in (file, export_card_path(file))]
    except OSError:
        return None
    return tuple((state.st_ino, state.st_mtime_ns, state.st_size) for state in states)
