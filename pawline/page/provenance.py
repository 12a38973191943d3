"""The model card, and where the page comes from: digests that name data and model whatever their files are called."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pawline.card import Card, in_words
from pawline.page.inputs import ReportInputs
from pawline.parts import data_digest

# The sections that can change what the page says. Not `ingest`: its source is a place on this machine.
SECTIONS = ("prepare", "split", "network", "train", "judging")


def named_params(values: Mapping[str, Any]) -> dict[str, Any]:
    """The params of the page's sections, without networks that were not chosen, and files without their folders.

    values: all params by dotted name ("train.epochs")."""
    chosen = (f"network.{values['network.name']}.", "network.name")
    named = {}
    for key, value in values.items():
        section = key.partition(".")[0]
        if section in SECTIONS and (section != "network" or key.startswith(chosen)):
            named[key] = Path(value).name if key == "network.pretrained.weights" and value else value
    return named


def provenance(inputs: ReportInputs) -> dict[str, Any]:
    """The model card and the origin, for the page; empty where the model has no card.

    card, origin: (name, text) of each line; is_same_data: whether the model learned from the data of the page; params:
    values by dotted name."""
    card = inputs.card
    if card is None:
        return {}
    form, of_split = card.form, data_digest(inputs.split)
    conditions = card.conditions
    return {
        "card": [
            ("Tells apart", ", ".join(card.class_names[:20]) + (" …" if len(card.class_names) > 20 else "")),
            ("Network", f"{card.network}, {card.num_weights:,} weights"),
            (
                "Expects",
                f"{form.image_size} × {form.image_size} pixels, {form.color}, aspect {form.aspect}, "
                f"background {form.background}; decoded by {card.decoder}",
            ),
            (
                "Trained",
                f"{conditions.num_steps:,} steps in {conditions.precision} on {conditions.processor} with "
                f"{conditions.num_threads} threads; TensorFlow {conditions.tensorflow}, Keras {conditions.keras}",
            ),
            *([("Chosen by the recipe", _chosen(card))] if card.chosen else []),
            *([("Started from", f"weights with the SHA-256 {conditions.weights}")] if conditions.weights else []),
            ("Mirror image", "averaged with the picture" if conditions.flip_at_test else "not looked at"),
            ("Not measured", "pictures of other cameras, places or kinds than those of this data set"),
        ],
        "origin": [
            ("Model", card.digest),
            ("Training data", card.training_data_digest),
            ("Data of this page", of_split),
            ("Files of the source", _digest_of_files(inputs)),
        ],
        "is_same_data": card.training_data_digest == of_split,
        "params": dict(inputs.params or {}),
    }


def _chosen(card: Card) -> str:
    """The params that were auto, with the values that the recipe gave them."""
    return ", ".join(f"{key.removeprefix('train.')} {in_words(key, card.recipe[key])}" for key in card.chosen)


def _digest_of_files(inputs: ReportInputs) -> str:
    """SHA-256 of the sorted digests and class names of all files."""
    lines = sorted(f"{row.digest} {row.class_name}" for row in inputs.index.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
