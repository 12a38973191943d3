"""The recipe: each budget, data set and network gets the settings that the tables name; a value set by hand stays."""

from typing import Any

import pytest

from pawline.card import NEVER
from pawline.params.network import NetworkParams
from pawline.params.train import CHOSEN, Recipe, TrainParams
from pawline.recipe import Facts, card_recipe, choose, chosen_keys, network_advice, num_steps, recipe_line
from tests.recipes import PARAMS

AUTO = PARAMS.train


def asked(**values: Any) -> TrainParams:
    return TrainParams.model_validate(dict(AUTO) | values)


def network(name: str = "fast", fine_tune: bool = False) -> NetworkParams:
    pretrained = PARAMS.network.pretrained.model_copy(update={"fine_tune": fine_tune})
    return PARAMS.network.model_copy(update={"name": name, "pretrained": pretrained})


def sides(recipe: Recipe, image_size: int, of: NetworkParams = PARAMS.network) -> tuple[list[int], int]:
    return of.sides(image_size, recipe.sizes, recipe.predict_size)


def budget(num_pictures: float, side: int, num_images: int = 12_600, image_size: int = 96) -> Facts:
    """A budget of minutes that affords so many pictures of this side."""
    return Facts(PARAMS.network, image_size, num_images, num_pixels=num_pictures * side**2)


def test_every_value_that_may_be_auto_is_auto_in_params_yaml() -> None:
    assert AUTO.automatic == list(CHOSEN)


@pytest.mark.parametrize(
    ("num_pictures", "trained", "predicted", "mirrored"),
    [
        (5_000, [32], 32, False),  # a minute on a slow machine
        (12_000, [48], 64, False),
        (110_000, [48], 64, True),  # 3 minutes in float32
        (220_000, [32, 48, 64], 72, True),  # 3 minutes in bfloat16, or 10 in float32
        (600_000, [48, 64, 80], 96, True),  # 10 minutes in bfloat16
    ],
)
def test_the_more_pictures_the_minutes_afford_the_larger_they_are(
    num_pictures: int, trained: list[int], predicted: int, mirrored: bool
) -> None:
    recipe = choose(asked(minutes=10), budget(num_pictures, 48))
    assert (sides(recipe, 96), recipe.flip_at_test) == ((trained, predicted), mirrored)


def test_larger_pictures_are_not_chosen_where_they_leave_too_few() -> None:
    """300,000 pictures of 48 pixels are 279,000 of 32, 48 and 64, but only 162,000 of 48, 64 and 80."""
    recipe = choose(asked(minutes=10), budget(300_000, 48))
    assert sides(recipe, 96) == ([32, 48, 64], 72)
    assert num_steps(asked(minutes=10), budget(300_000, 48)) == pytest.approx(
        300_000 * 48**2 * 3 / (32**2 + 48**2 + 64**2) / 64
    )


@pytest.mark.parametrize(
    ("epochs", "crop", "light", "muon", "smoothing"),
    [
        (3, 0.75, (0.0, 0.0), (0.04, 0.15), 0.0),
        (12, 0.6, (0.1, 0.2), (0.03, 0.05), 0.05),
        (30, 0.5, (0.1, 0.2), (0.03, 0.05), 0.05),
    ],
)
def test_the_more_often_a_picture_is_seen_the_more_it_is_changed(
    epochs: int, crop: float, light: tuple[float, float], muon: tuple[float, float], smoothing: float
) -> None:
    recipe = choose(asked(epochs=epochs), Facts(PARAMS.network, 96, 12_600))
    assert (recipe.crop_fraction, (recipe.brightness, recipe.contrast)) == (crop, light)
    assert ((recipe.learning_rate, recipe.weight_decay), recipe.label_smoothing) == (muon, smoothing)


@pytest.mark.parametrize(
    ("image_size", "trained", "predicted"),
    [
        (96, [48, 64, 80], 96),
        (72, [32, 48, 64], 72),
        (64, [32, 48, 48], 64),
        (32, [32, 32, 32], 32),
        (28, [16] * 3, 28),
    ],
)
def test_no_network_trains_below_32_pixels_where_the_pictures_are_larger(
    image_size: int, trained: list[int], predicted: int
) -> None:
    """Ten classes of 32-pixel pictures, 1,000 each, for 30 epochs."""
    recipe = choose(AUTO, Facts(PARAMS.network, image_size, 8_000))
    assert sides(recipe, image_size) == (trained, predicted)


@pytest.mark.parametrize(
    ("num_images", "epochs", "batch_size"),
    [
        (12_600, 1, 64),
        (380, 30, 64),
        (320, 30, 64),
        (319, 30, 32),
        (100, 48, 32),
        (380, 3, 16),
        (70, 30, 16),
        (9, 9, 9),
    ],
)
def test_a_batch_is_the_largest_that_leaves_150_steps(num_images: int, epochs: int, batch_size: int) -> None:
    assert choose(asked(epochs=epochs), Facts(PARAMS.network, 96, num_images)).batch_size == batch_size
    assert choose(asked(steps=5), Facts(PARAMS.network, 96, num_images)).batch_size == min(64, num_images)


@pytest.mark.parametrize(
    ("name", "image_size", "num_steps", "batch_size"),
    [
        ("fast", 96, 150, 64),  # steps of 64 pictures of 48 pixels
        ("fast", 96, 149, 32),
        ("fast", 32, 149, 64),  # of 32 pixels, 2.25 times as many fit
        ("classic", 96, 599, 32),  # of 96 pixels, a quarter fit
        ("classic", 96, 600, 64),
        ("pretrained", 160, 1_000, 32),  # of 160 pixels, 90 fit
        ("pretrained", 224, 1_000, 16),  # 46 fit; 92 of 32 pictures, 184 of 16
    ],
)
def test_minutes_leave_150_steps_of_the_pictures_that_the_network_looks_at(
    name: str, image_size: int, num_steps: int, batch_size: int
) -> None:
    facts = Facts(network(name, fine_tune=True), image_size, 12_600, num_pixels=num_steps * 64 * 48**2)
    assert choose(asked(minutes=3), facts).batch_size == batch_size


def test_minutes_never_end_early_by_patience_unless_the_user_says_so() -> None:
    facts = budget(110_000, 48)
    assert choose(asked(minutes=3), facts).patience == NEVER
    assert choose(asked(minutes=3, patience=7), facts).patience == 7
    assert choose(AUTO, Facts(PARAMS.network, 96, 12_600)).patience == 10


@pytest.mark.parametrize(
    ("name", "fine_tune", "optimizer", "rates"),
    [
        ("classic", False, "auto", ("adamw", 0.0015, 0.01)),
        ("classic", False, "sgd", ("sgd", 0.1, 0.005)),
        ("fast", False, "adamw", ("adamw", 0.003, 0.05)),
        ("fast", False, "auto", ("muon", 0.03, 0.05)),
        ("pretrained", False, "auto", ("muon", 0.03, 0.05)),
        ("pretrained", True, "auto", ("muon", 0.03, 0.05)),  # it scales each layer's rate itself
    ],
)
def test_rates_follow_from_network_and_optimizer(
    name: str, fine_tune: bool, optimizer: str, rates: tuple[str, float, float]
) -> None:
    recipe = choose(asked(optimizer=optimizer), Facts(network(name, fine_tune), 96, 12_600))
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == pytest.approx(rates)


@pytest.mark.parametrize("name", ["classic", "pretrained"])
def test_a_network_of_one_size_looks_at_the_prepared_pictures(name: str) -> None:
    recipe = choose(asked(epochs=1000), Facts(network(name), 96, 12_600))
    assert (sides(recipe, 96, network(name)), recipe.flip_at_test) == (([96], 96), False)


def test_sizes_set_by_hand_keep_their_meaning() -> None:
    """They are fractions of the prepared picture, at whose size the model predicts unless the user says otherwise."""
    facts = Facts(PARAMS.network, 64, 380)
    recipe = choose(asked(sizes=(0.5, 0.75)), facts)
    assert (recipe.sizes, sides(recipe, 64)) == ((0.5, 0.75), ([32, 48], 64))
    smaller = choose(asked(predict_size=0.75), Facts(PARAMS.network, 64, 8_000))
    assert sides(smaller, 64) == ([32, 32, 32], 48)  # of 32 (not 24), 32 and 40


def test_what_is_set_by_hand_stays() -> None:
    values = {
        "batch_size": 7, "optimizer": "sgd", "learning_rate": 0.5, "weight_decay": 0.1, "ema": 0.9,
        "label_smoothing": 0.2, "sizes": (0.25,), "predict_size": 0.5, "crop_fraction": 0.9, "brightness": 0.3,
        "contrast": 0.4, "cutout": 0.5, "flip_at_test": True, "patience": 3,
    }  # fmt: skip
    assert set(values) == set(CHOSEN)
    by_hand = asked(**values)
    recipe = choose(by_hand, Facts(PARAMS.network, 96, 12_600))
    assert (dict(recipe), by_hand.automatic) == (dict(by_hand), [])


def test_a_recipe_chooses_itself() -> None:
    """The printed line sets every value, so the training it starts follows the same recipe."""
    facts = budget(300_000, 48)
    recipe = choose(asked(minutes=10), facts)
    repeated = TrainParams.model_validate(dict(recipe) | {"minutes": None, "steps": 4_300})
    assert choose(repeated, Facts(PARAMS.network, 96, 12_600)).model_dump(exclude={"steps", "minutes"}) == (
        recipe.model_dump(exclude={"steps", "minutes"})
    )


@pytest.mark.parametrize("image_size", [16, 28, 33, 94, 96, 130, 160, 224, 300, 500, 1024])
@pytest.mark.parametrize("predict_size", ["auto", 0.495, 1.0])
def test_params_and_a_checkpoint_can_hold_every_recipe(image_size: int, predict_size: float | str) -> None:
    """At 160 pixels and few pictures the model predicts at 32, a fifth of the side; 0.495 of 94 pixels are rounded up
    to 47, which are half."""
    values = asked(predict_size=predict_size)
    for of in (network(), network("classic"), network("pretrained", fine_tune=True)):
        for num_images in (9, 200, 2_000, 20_000, 200_000):  # for 30 epochs
            recipe = choose(values, Facts(of, image_size, num_images))
            assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_patience_without_end_reads_as_never() -> None:
    facts = budget(110_000, 48)
    assert recipe_line(asked(minutes=3), choose(asked(minutes=3), facts), PARAMS.network, 12_600, 2).endswith(
        "patience never"
    )


def test_one_line_says_what_was_chosen_and_for_what() -> None:
    by_hand = asked(
        epochs=3,
        ema=0.0,
        cutout=0.0,
        flip_at_test=True,
        patience=9,
        optimizer="muon",
        brightness=0.0,
        contrast=0.0,
    )
    facts = Facts(PARAMS.network, 96, 380)
    assert recipe_line(by_hand, choose(by_hand, facts), PARAMS.network, 380, 2) == (
        "chosen for 380 pictures of 2 classes and 3 epochs: batch_size 16, learning_rate 0.04, weight_decay 0.15, "
        "label_smoothing 0, sizes [0.3333], predict_size 0.3333, crop_fraction 0.75"
    )


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"minutes": 1}, "1 minute"),
        ({"minutes": 2.5}, "2.5 minutes"),
        ({"steps": 1}, "1 step"),
        ({"epochs": 1}, "1 epoch"),
    ],
)
def test_one_of_a_kind_is_no_plural(budget: dict[str, Any], words: str) -> None:
    recipe = choose(asked(**budget), Facts(PARAMS.network, 96, 380))
    assert f" and {words}: " in recipe_line(asked(**budget), recipe, PARAMS.network, 380, 2)


def test_of_a_frozen_network_only_what_counts_is_listed() -> None:
    frozen = network("pretrained")
    recipe = choose(AUTO, Facts(frozen, 160, 380))
    assert recipe_line(AUTO, recipe, frozen, 380, 2) == (
        "chosen for 380 pictures of 2 classes and a frozen network: predict_size 1, flip_at_test false"
    )
    assert chosen_keys(AUTO, frozen) == ["train.predict_size", "train.flip_at_test"]
    listed = card_recipe(recipe, frozen)
    assert {key for key in listed if key.startswith("train.")} == {
        "train.balance", "train.predict_size", "train.flip_at_test"
    }  # fmt: skip
    assert (listed["network.name"], listed["network.pretrained.penalty"]) == ("pretrained", "auto")


def test_few_pictures_are_advised_to_use_a_pretrained_network() -> None:
    few, many = (network_advice(PARAMS.network, count) for count in (2_999, 3_000))
    assert "take pretrained, frozen" in few and "-S prepare.image_size=160" in few
    assert "at 224 pixels is the most accurate" in many and "-S prepare.image_size=224" in many
    assert "-S" not in network_advice(network("pretrained"), 200)
