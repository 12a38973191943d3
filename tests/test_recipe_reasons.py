"""What `pawline recipe` says of a value is true of this value, in this case."""

from pawline.card import NEVER
from pawline.params.train import CHOSEN
from pawline.recipe import Facts, choose
from pawline.recipe_reasons import reasons
from tests.recipes import PARAMS
from tests.test_recipe import asked, budget, network


def test_many_epochs_of_many_pictures() -> None:
    said = reasons(asked(epochs=30), Facts(PARAMS.network, 96, 12_600))
    assert list(said) == list(CHOSEN)
    assert said["batch_size"] == "the largest of 64, 32 and 16 that leaves about 150 steps or more"
    assert said["label_smoothing"] == said["contrast"] == "each picture is seen 30 times (20 or more)"
    assert said["learning_rate"] == "for fast and muon; each picture is seen 30 times (20 or more)"
    assert said["sizes"] == "378,000 pictures are shown, repetitions counted"
    assert said["flip_at_test"] == "378,000 pictures are shown (40,000 or more)"
    assert said["predict_size"] == "a little larger than the last training pictures"
    assert said["patience"] == "epochs without a lower val loss"


def test_few_epochs_of_few_pictures() -> None:
    """3 epochs of 380 pictures are 69 steps of 16, and 1,140 pictures, shown and predicted at 32 pixels."""
    said = reasons(asked(epochs=3), Facts(PARAMS.network, 96, 380))
    assert said["batch_size"] == "the smallest of 64, 32 and 16, and still fewer than 150 steps"
    assert said["crop_fraction"] == "each picture is seen 3 times (below 9)"
    assert said["flip_at_test"] == "1,140 pictures are shown (below 40,000)"
    assert said["predict_size"] == "as large as the last training pictures"
    few = reasons(asked(epochs=30), Facts(PARAMS.network, 96, 9))
    assert few["batch_size"] == "the train part has no more pictures"


def test_minutes_are_estimated_and_never_end_by_patience() -> None:
    """110,000 pictures shown of 12,600 are 8.73 of each."""
    facts = budget(110_000, 48)
    said = reasons(asked(minutes=3), facts)
    assert choose(asked(minutes=3), facts).patience == NEVER
    assert said["patience"] == "minutes are a limit already"
    assert said["brightness"] == "each picture is seen about 8.73 times (below 9)"
    assert said["flip_at_test"] == "about 110,000 pictures are shown (40,000 or more)"


def test_a_network_of_one_size_and_values_set_by_hand() -> None:
    said = reasons(asked(epochs=9, patience=3, flip=False), Facts(network("classic"), 96, 1_000))
    assert "patience" not in said
    assert (said["optimizer"], said["learning_rate"]) == ("the one for classic", "for classic and adamw")
    assert said["sizes"] == said["predict_size"] == "the prepared pictures: the layers fit one size"
    assert said["flip_at_test"] == "only for fast"
    by_hand = reasons(asked(sizes=(0.5,), flip=False, steps=5), Facts(PARAMS.network, 64, 380))
    assert by_hand["predict_size"] == "the prepared pictures, since train.sizes is set"
    assert by_hand["flip_at_test"] == "off, since train.flip is off"
    assert by_hand["batch_size"] == "the largest of 64, 32 and 16"
