"""The neutral form of a model and of its kept epochs, read once from Keras and kept by the model's digest."""

from pathlib import Path

from pawline.card import Card
from pawline.epochs import epochs_path, read_epochs
from pawline.files import file_digest
from pawline.terminal import say
from pawline.walk.learnt import Learnt
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


def kept_epochs(model: Path, card: Card, folder: Path) -> Learnt | None:
    """Read the kept forms of a model's epochs, or read them with Keras (seconds) and keep them; None where the training
    kept none, or was made before they could be kept.

    Raises ModelError for a file that cannot be used. Call card.read_card first."""
    file = epochs_path(model)
    if not file.exists() or not (epochs := read_epochs(file, card.digest)).kept:
        return None
    places = [folder / f"{card.digest}-epochs" / file_digest(file)[:16] / str(one.epoch) for one in epochs.kept]
    networks = [network for place in places if (network := load_network(place))]
    if len(networks) < len(places):
        say(f"reading {len(places)} kept epochs with Keras for the walk and checking them, once per model")
        from pawline.model.neutral import read_networks

        networks = read_networks(model, epochs.kept)
        for place, network in zip(places, networks, strict=True):
            save_network(place, network)
    return Learnt(epochs, networks)
