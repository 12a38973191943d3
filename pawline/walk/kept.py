"""The neutral form of a model, read once from Keras and kept by the model's digest."""

from pathlib import Path

from pawline.card import Card
from pawline.terminal import say
from pawline.walk.network import Network, load_network, save_network


def kept_network(model: Path, card: Card, folder: Path) -> Network:
    """Read the kept form, or read the model with Keras (seconds) and keep it. Call card.read_card first.

    Raises ModelError for a model that cannot be loaded or holds a layer that the walk does not know."""
    place = folder / card.digest
    if network := load_network(place):
        return network
    say("reading the model with Keras for the walk and checking it, once per model")
    from pawline.model.neutral import read_model

    network = read_model(model)
    save_network(place, network)
    return network
