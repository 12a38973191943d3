"""Export a trained model: to the file that the light engine runs, and to the forms of other places.

Only the functions that convert import TensorFlow, which takes seconds to load.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pawline.card import Card
from pawline.errors import ModelError, PawlineError
from pawline.files import file_digest, write_bytes, write_table
from pawline.judging.reference import MIN_IMAGES as MIN_DESCRIBED
from pawline.judging.reference import measure_reference
from pawline.judging.thresholds import MIN_IMAGES, choose_threshold
from pawline.keras_answers import BOUND, MAX_TEST_PICTURES, answers_of, awkward_pixels
from pawline.params.judging import JudgingParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.engine import OUTPUTS, Engine
from pawline.runtime.export_card import ExportCard, read_export_card, write_export_card
from pawline.runtime.model import RuntimeModel
from pawline.softmax import softmax
from pawline.terminal import say

# What `export_to` writes for each form, beside the model: a file, or a folder.
NAMES = {"onnx": "model.onnx", "litert": "model.tflite", "saved-model": "saved_model"}
NUM_RANDOM, BATCH = 64, 64  # pictures


@dataclass(frozen=True)
class Parity:
    """How an exported form agrees with Keras."""

    num_pictures: int
    num_same_class: int
    largest_difference: float  # of a probability

    def and_of(self, expected: NDArray[np.float32], found: NDArray[np.float32]) -> "Parity":
        """Add how further probabilities, (n, num_classes), agree with those expected, of Keras."""
        same = int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
        difference = float(np.abs(expected - found).max(initial=0.0))
        largest = float(np.maximum(self.largest_difference, difference))  # which keeps a NaN
        return Parity(self.num_pictures + len(found), self.num_same_class + same, largest)


def export_model(model: Path, card: Card, exported: Path) -> ExportCard:
    """Write the engine's file and export.json beside it. Equal models give equal bytes.

    card: that of the model, whose digest was checked. Raises ModelError for a layer that has no rule, or if the engine
    cannot load the file; then nothing is written."""
    from pawline.exporting.graph import onnx_graph
    from pawline.model.saved import load_model

    content = onnx_graph(load_model(model))
    outputs = Engine(content, exported).outputs  # the engine loads it, before anybody else has to
    write_bytes(exported, content)
    export_card = ExportCard(
        digest=file_digest(exported),
        model_digest=card.digest,
        class_names=card.class_names,
        form=card.form.model_dump(),
        decoder=card.decoder,
        outputs=[name for name in OUTPUTS if name in outputs],
        temperature=card.temperature,
    )
    write_export_card(exported, export_card)
    return export_card


def keep_keras_answers(
    model: Path, card: Card, images: PreparedImages, split: pd.DataFrame, answers: Path
) -> None:
    """Write what Keras answers to the test pictures and to awkward ones: see keras_answers.py. `check` compares every
    other way to ask with it."""
    from pawline.model.saved import load_model, predict_probabilities, predict_rows

    loaded = load_model(model)
    ask = partial(predict_probabilities, loaded, temperature=card.temperature)
    ask_rows = partial(predict_rows, loaded, images, temperature=card.temperature)
    write_table(answers, answers_of(ask, ask_rows, images, split))


def choose_unsure(
    exported: Path, images: PreparedImages, split: pd.DataFrame, params: JudgingParams
) -> ExportCard:
    """Write into export.json below which probability an answer is unsure, as val and the costs choose it.

    Returns the new card. The exported file stays as it is."""
    model, val = RuntimeModel(exported), Part.of("val", images, split)
    probabilities = model.predict_rows(images, val.rows)
    if len(val.labels) < MIN_IMAGES:
        say(
            f"export: val has {len(val.labels)} pictures, expected {MIN_IMAGES} to choose a threshold by: an answer is "
            "unsure where the costs of the section judging alone say so"
        )
    card = replace(model.card, unsure_below=choose_threshold(val.labels, probabilities, params))
    write_export_card(exported, card)
    return card


def describe_data(exported: Path, images: PreparedImages, index: pd.DataFrame, split: pd.DataFrame) -> ExportCard:
    """Write into export.json what the model's data is like, so that pictures unlike it can be found.

    Call it last: it asks the exported file, and counts what `choose_unsure` makes unsure. Returns the new card."""
    model = RuntimeModel(exported)
    reference = measure_reference(model, images, index, split)
    if reference is None:
        say(
            f"export: train and val need {MIN_DESCRIBED} pictures each to tell others from them: nothing "
            "will be called unlike the training data"
        )
    card = replace(model.card, reference=reference.to_json() if reference else {})
    write_export_card(exported, card)
    return card


def keep_for_walks(model: Path, card: Card, folder: Path) -> None:
    """Keep the network in the neutral form that `pawline explain` and the page of the service compute from.

    folder: holds a folder per model, by digest. A network that has none is named in one line."""
    from pawline.walk.kept import kept_network

    try:
        kept_network(model, card, folder)
    except ModelError as error:
        say(f"export: no walk through this network: {error}")


def export_to(form: str, model: Path, card: Card, to: Path, test: Iterable[NDArray[np.uint8]] = ()) -> Parity:
    """Write the model in a form of NAMES, and compare the written form with Keras: on pictures of random brightness and
    noise, on awkward ones, and on `test`, batches of uint8 (n, side, side, channels).

    Raises PawlineError if they differ by more than BOUND; the file stays, so that it can be examined."""
    from pawline.exporting.other_forms import ASKERS, WRITERS
    from pawline.model.saved import load_model, predict_probabilities

    loaded = load_model(model)
    if form == "onnx":
        export_model(model, card, to)
        _keep_what_data_chose(model, to)
    else:
        WRITERS[form](loaded, to)
    ask, parity = ASKERS[form](to), Parity(0, 0, 0.0)
    for pixels in chain([_random_pictures(card), awkward_pixels(card.form)], test):
        parity = parity.and_of(predict_probabilities(loaded, pixels), softmax(ask(pixels)))
    if not parity.largest_difference <= BOUND:
        raise PawlineError(
            f"{to}: a probability differs from the Keras model's by {parity.largest_difference:.2g}, expected at most "
            f"{BOUND:g}; do not use this file"
        )
    return parity


def batches_of_test(images: PreparedImages, split: pd.DataFrame) -> Iterator[NDArray[np.uint8]]:
    """Yield the test pictures in batches; of very many those with the smallest digests."""
    rows = Part.of("test", images, split).head(MAX_TEST_PICTURES).rows
    for start in range(0, len(rows), BATCH):
        yield images.pixels(rows[start : start + BATCH])


def _keep_what_data_chose(model: Path, to: Path) -> None:
    """Take over what the stage `export` measured on data, from the export.json beside the same model."""
    card = read_export_card(to)
    try:
        beside = read_export_card(model)
    except ModelError:
        return
    if beside.model_digest == card.model_digest:
        write_export_card(to, replace(card, unsure_below=beside.unsure_below, reference=beside.reference))


def _random_pictures(card: Card) -> NDArray[np.uint8]:
    """Pictures of every brightness, from one grey to loud noise: uint8 (n, height, width, channels)."""
    rng, side = np.random.default_rng(1), card.form.image_size
    shape = (NUM_RANDOM, side, side, card.form.num_channels)
    grey, loudness = rng.uniform(0, 255, (NUM_RANDOM, 1, 1, 1)), rng.uniform(0, 80, (NUM_RANDOM, 1, 1, 1))
    return (grey + loudness * rng.standard_normal(shape)).clip(0, 255).astype(np.uint8)
