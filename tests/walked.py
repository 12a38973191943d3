"""A small classic network that was never trained, saved with its card, and a drawn cat."""

from pathlib import Path

import numpy as np

from pawline.card import Card, write_card
from pawline.drawn.data_set import GeneratedSet, _draw_file
from pawline.epochs import Epochs, KeptEpoch, epochs_path, write_epochs
from pawline.files import file_digest
from pawline.params.network import ClassicParams, FastParams, NetworkParams, PretrainedParams
from pawline.params.prepare import ImageForm
from pawline.walk.network import Network, Node
from tests.cards import CONDITIONS

SIDE = 32
CLASSES = ["cat", "dog", "<script>alert(1)</script>"]
PARAMS = NetworkParams(
    name="classic",
    fast=FastParams(filters=(4, 6, 8)),
    classic=ClassicParams(
        filters=(4, 6), kernel=(5, 3), stride=(1, 2), pool_window=(3, 3), pool_stride=(2, 2), dense_units=16,
        dropout=0.2,
    ),
    pretrained=PretrainedParams(architecture="MobileNetV3Small", weights=None, sha256=None, fine_tune=False),
)  # fmt: skip


def form(color: str) -> ImageForm:
    return ImageForm(image_size=SIDE, color=color, aspect="stretch", background=255)  # type: ignore[arg-type]


def save_untrained(folder: Path, name: str = "classic", color: str = "grayscale", flip: bool = False) -> Path:
    """Save the network with random weights, biases too; return the path of the model."""
    from pawline.model.backend import keras
    from pawline.model.saved import save_model
    from pawline.training.networks import build_network, finish_network

    keras.utils.set_random_seed(3)
    params, rng = PARAMS.model_copy(update={"name": name}), np.random.default_rng(3)
    trained = build_network(params, form(color), len(CLASSES), "float32")
    model = finish_network(trained, params, form(color), len(CLASSES), flip)
    for weight in model.weights:
        if weight.path.endswith("bias"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
    path = folder / "model.keras"
    save_model(model, path)
    card = Card(
        digest=file_digest(path), class_names=CLASSES, form=form(color), network=name,
        num_weights=model.count_params(), training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    write_card(path, card)
    return path


def flipped_network() -> tuple[Network, Card]:
    """A network of random weights, made in neutral form, that takes the mean of a picture and its mirror image.

    It has a depthwise convolution, global average pooling and three classes."""
    rng, window = np.random.default_rng(8), {"window": [3, 3], "stride": [2, 2], "padding": "same"}
    weights = [
        {"kernel": rng.normal(size=(3, 3, 1, 6)) / 300, "bias": rng.normal(size=6)},
        {"kernel": rng.normal(size=(3, 3, 6, 1)), "bias": rng.normal(size=6)},
        {},
        {"kernel": rng.normal(size=(6, 3)), "bias": rng.normal(size=3)},
    ]
    kinds = ["convolution", "depthwise", "global_average", "dense"]
    settings = [{**window, "activation": "relu"}, window, {}, {}]
    nodes = [Node("flip", "mirror", [-1])]
    for first in (-1, 0):
        for kind, how, own in zip(kinds, settings, weights, strict=True):
            place = first if kind == "convolution" else len(nodes) - 1
            arrays = {key: np.asarray(value, np.float32) for key, value in own.items()}
            nodes.append(Node(f"the_{kind}", kind, [place], dict(how), arrays))
    nodes.append(Node("mean", "average", [4, 8]))
    unchecked = {"difference": 0.0, "largest": 0.0}
    check = {
        "layers": [unchecked] * len(nodes),
        "logits": 0.0,
        "probabilities": 0.0,
        "num_pictures": 0,
        "keras": "",
    }
    card = Card(
        digest="0" * 64, class_names=CLASSES, form=form("grayscale"), network="small_flipped_too", num_weights=1,
        training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    return Network(nodes, check), card


def keep_two_epochs(model: Path) -> None:
    """Put epochs.npz beside a model: epoch 0 has all weights halved and turned in sign, epoch 2 another bias of the
    output; epoch 3 is the model."""
    from pawline.model.saved import load_model

    saved = load_model(model).get_weights()
    halved = {at: np.asarray(-weight / 2, np.float32) for at, weight in enumerate(saved)}
    figures = {"val_loss": 0.5, "val_accuracy": 0.75}
    other = {len(saved) - 1: np.asarray(saved[-1] + [0, 0, 3], np.float32)}
    kept = [KeptEpoch(0, {}, halved), KeptEpoch(2, figures, other), KeptEpoch(3, figures, {})]
    write_epochs(epochs_path(model), Epochs(file_digest(model), 3, 4, kept))


def drawn_cat() -> bytes:
    """The bytes of a JPEG."""
    spec = GeneratedSet(seed=5, num_images_per_class=10, min_side=120, max_side=200, planted_faults=False)
    return _draw_file(spec, "cat", 1)[1]
