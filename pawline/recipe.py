"""Choose the settings of a training that are `auto`: one pure function, from what is known before the first step.

Every number stands in a table here, with its reason. docs/recipe.md names the measurement behind each; what nobody has
measured (other numbers of classes, color) changes nothing.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from pawline.card import NEVER, in_words
from pawline.params.network import NetworkParams
from pawline.params.record import AUTO
from pawline.params.train import Recipe, TrainParams
from pawline.words import plural

PATIENCE = 10  # epochs
LEAST_SIDE = 32  # pixels; ten classes of 32-pixel pictures lost 3 points where the network trained at 16
LEAST_STEPS = 150  # the drawn set reaches 0.63 in 18 steps of 64 pictures, 0.89 in 78 of 16, 0.99 in 180 of 64
BATCH_SIZES = (64, 32, 16)  # two cores compute 64 pictures as fast as 128; fewer than 16 are slow


class Look(NamedTuple):
    """Sides of the pictures, in pixels, for a training that shows at least so many pictures, repetitions counted.

    Few steps learn most from small pictures: a quarter of the pixels gives four times the steps. The side that the
    model predicts at is a little larger than the last one trained at, since objects in a crop look larger.
    """

    shown: int
    trained: tuple[int, ...]
    predicted: int
    # Half a point of accuracy, and a prediction takes twice as long: only where training is long.
    flip_at_test: bool


LOOKS = (
    Look(0, (32,), 32, False),  # best of 32, 48 and 64 where the time suffices for 300 steps at 32
    Look(10_000, (48,), 64, False),  # one size: the curve on val means the same in every epoch, and no worse
    Look(40_000, (48,), 64, True),  # 3 minutes in float32
    Look(130_000, (32, 48, 64), 72, True),  # 3 minutes in bfloat16, 10 in float32
    Look(220_000, (48, 64, 80), 96, True),  # 10 minutes in bfloat16, 20 in float32
)


class Care(NamedTuple):
    """How much pictures are changed, so that none is learned by heart where each is seen in at least so many epochs."""

    epochs: int
    crop_fraction: float
    brightness: float
    contrast: float
    label_smoothing: float
    muon: tuple[float, float]  # learning rate and weight decay of `fast`


CARES = (
    Care(0, 0.75, 0.0, 0.0, 0.0, (0.04, 0.15)),  # 3 minutes: nothing is seen often enough
    Care(9, 0.6, 0.1, 0.2, 0.05, (0.03, 0.05)),
    Care(20, 0.5, 0.1, 0.2, 0.05, (0.03, 0.05)),
)

OPTIMIZERS = {"fast": "muon", "classic": "adamw", "pretrained": "muon"}
# Learning rate and weight decay. `fast` with Muon: see Care.
RATES = {
    ("classic", "adamw"): (0.0015, 0.01),
    ("adamw",): (0.003, 0.05),
    ("sgd",): (0.1, 0.005),
    ("muon",): (0.03, 0.05),
}
# All that counts where only a new last layer learns.
FROZEN = ("balance", "predict_size", "flip_at_test")

FEW = 3_000  # pictures, below which a network from scratch cannot learn what photographs look like: docs/pretrained.md


@dataclass(frozen=True)
class Facts:
    """What a recipe follows from, besides the params."""

    network: NetworkParams
    image_size: int  # of the prepared pictures
    num_images: int  # of the train part
    # How many pixels of training pictures the time of `train.minutes` affords, all steps together; None: the budget is
    # one of steps or epochs, whose number does not depend on the sizes.
    num_pixels: float | None = None
    pixel_seconds: float | None = None  # how long a step takes here for each pixel, where that was measured


def choose(asked: TrainParams, facts: Facts) -> Recipe:
    """Choose every value that is `auto`; the others stay, but no batch is larger than the train part. The recipe keeps
    all rules of TrainParams, so that params.yaml and a checkpoint can hold it."""
    chosen = {"batch_size": _batch_size(asked, facts)} | choices(asked, facts)
    kept = {key: value for key, value in asked if key not in chosen}
    return Recipe.model_construct(
        **kept, **chosen
    )  # not checked again: the params were, and tests check the tables


def choices(asked: TrainParams, facts: Facts) -> dict[str, Any]:
    """The chosen values alone, by key, in the order of params.yaml."""
    batch_size = _batch_size(asked, facts)
    look, shown = _look(asked, facts, batch_size)
    care = [each for each in CARES if shown / facts.num_images >= each.epochs or not each.epochs][-1]
    optimizer = OPTIMIZERS[facts.network.name] if asked.optimizer == AUTO else asked.optimizer
    learning_rate, weight_decay = _rates(facts.network, optimizer, care)
    predict_size = (
        _fraction(look.predicted, facts.image_size) if asked.predict_size == AUTO else asked.predict_size
    )
    values = {
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "ema": 0.0,  # 0.97 gained nothing
        "label_smoothing": care.label_smoothing,
        "sizes": tuple(min(predict_size, _fraction(side, facts.image_size)) for side in look.trained),
        "predict_size": predict_size,
        "crop_fraction": care.crop_fraction,
        "brightness": care.brightness,
        "contrast": care.contrast,
        "cutout": 0.0,  # 0.3 gained nothing in 10 minutes
        "flip_at_test": look.flip_at_test and asked.flip,
        "patience": PATIENCE if facts.num_pixels is None else NEVER,  # minutes are a limit already
    }
    return {key: values[key] for key in asked.automatic}


def recipe_line(
    asked: TrainParams, recipe: Recipe, network: NetworkParams, num_images: int, num_classes: int
) -> str:
    """What was chosen, in one line for people."""
    values = ", ".join(f"{key} {in_words(key, getattr(recipe, key))}" for key in _automatic(asked, network))
    budget = "a frozen network" if network.is_frozen else _budget(asked)
    return f"chosen for {num_images:,} pictures of {num_classes} classes and {budget}: {values}"


def network_advice(network: NetworkParams, num_images: int) -> str:
    """Which network suits so many pictures, in one line for people; the measurements stand in docs/pretrained.md."""
    if num_images < FEW:
        side = 160
        text = (
            f"{num_images:,} pictures teach little about edges, fur and eyes: for photographs take pretrained, frozen; "
            "for scans, microscopes or drawings measure fast too"
        )
    else:
        side = 224
        text = (
            "for photographs pretrained, frozen, at 224 pixels is the most accurate; fast where the model has to be "
            "small or quick, and for scans, microscopes or drawings"
        )
    line = f" (-S network.name=pretrained -S prepare.image_size={side} -S prepare.color=rgb)"
    return f"which network: {text}{'' if network.name == 'pretrained' else line}; docs/pretrained.md"


def card_recipe(recipe: Recipe, network: NetworkParams) -> dict[str, Any]:
    """What a training followed, by the names of params.yaml; without what leaves the model as it is."""
    train = recipe.model_dump(mode="json", exclude={"minutes", "epochs", "tensorboard", "keep_epochs"})
    train = {key: value for key, value in train.items() if counts(key, network)}
    section = network.section.model_dump(mode="json")
    return (
        {f"train.{key}": value for key, value in train.items()}
        | {"network.name": network.name}
        | {f"network.{network.name}.{key}": value for key, value in section.items()}
    )


def chosen_keys(asked: TrainParams, network: NetworkParams) -> list[str]:
    return [f"train.{key}" for key in _automatic(asked, network)]


def counts(key: str, network: NetworkParams) -> bool:
    """Whether a training of the network depends on this key of the section train."""
    return not network.is_frozen or key in FROZEN


def _automatic(asked: TrainParams, network: NetworkParams) -> list[str]:
    return [key for key in asked.automatic if counts(key, network)]


def _budget(asked: TrainParams) -> str:
    if asked.steps:
        return plural(asked.steps, "step")
    if asked.minutes:
        return "1 minute" if asked.minutes == 1 else f"{asked.minutes:g} minutes"
    return plural(asked.epochs, "epoch")


def num_steps(asked: TrainParams, facts: Facts) -> float:
    """How many steps the budget affords with the chosen recipe, validation not counted."""
    batch_size = _batch_size(asked, facts)
    if asked.steps or facts.num_pixels is None:
        return asked.steps or asked.epochs * (facts.num_images // batch_size)
    return num_shown(asked, facts) / batch_size


def num_shown(asked: TrainParams, facts: Facts) -> float:
    """How many pictures the budget shows with the chosen recipe, repetitions counted, validation not."""
    return _look(asked, facts, _batch_size(asked, facts))[1]


def _batch_size(asked: TrainParams, facts: Facts) -> int:
    """The largest batch that leaves enough steps; never more pictures than there are."""
    if asked.batch_size != AUTO:
        return max(1, min(asked.batch_size, facts.num_images))
    shown = _shown(asked, facts, BATCH_SIZES[0], _look_here(asked, facts, LOOKS[1]).trained)
    enough = [size for size in BATCH_SIZES if asked.steps or shown >= LEAST_STEPS * size]
    return max(1, min(enough[0] if enough else BATCH_SIZES[-1], facts.num_images))


def _look(asked: TrainParams, facts: Facts, batch_size: int) -> tuple[Look, float]:
    """(The last look whose number of pictures the budget affords, that number.)"""
    looks = [_look_here(asked, facts, each) for each in LOOKS]
    shown = [_shown(asked, facts, batch_size, each.trained) for each in looks]
    number = max(number for number, each in enumerate(looks) if shown[number] >= each.shown or not number)
    return looks[number], shown[number]


def _look_here(asked: TrainParams, facts: Facts, look: Look) -> Look:
    """The look with the sides for pictures of this size and for what the user set."""
    whole = facts.image_size
    predicted = min(whole, look.predicted)
    if asked.predict_size != AUTO:
        predicted = facts.network.predicted_side(whole, asked.predict_size)
    elif facts.network.name != "fast":
        predicted = whole
    if facts.network.name != "fast":  # its layers fit a single size
        return look._replace(trained=(predicted,), predicted=predicted, flip_at_test=False)
    if asked.sizes != AUTO:  # fractions of the prepared picture, which the model then also predicts at
        predicted = whole
    sides = [side * predicted / look.predicted for side in look.trained]
    fractions = tuple(max(side, min(LEAST_SIDE, predicted)) / whole for side in sides)
    fractions = fractions if asked.sizes == AUTO else asked.sizes
    trained, _ = facts.network.sides(whole, fractions, predicted / whole)
    return look._replace(trained=tuple(trained), predicted=predicted)


def _shown(asked: TrainParams, facts: Facts, batch_size: int, sides: tuple[int, ...]) -> float:
    """How many pictures the budget shows at these sides, repetitions and incomplete batches counted."""
    if asked.steps:
        return asked.steps * batch_size
    if facts.num_pixels is not None:
        return facts.num_pixels * len(sides) / sum(side**2 for side in sides)
    return asked.epochs * facts.num_images


def _rates(network: NetworkParams, optimizer: str, care: Care) -> tuple[float, float]:
    """The (learning rate, weight decay) for a network and an optimizer."""
    if (network.name, optimizer) == ("fast", "muon"):
        return care.muon
    # A network that is fine-tuned scales the rate of each layer itself: training/fine_tuning.py.
    return RATES.get((network.name, optimizer)) or RATES[(optimizer,)]


def _fraction(side: int, whole: int) -> float:
    return round(side / whole, 4)
