"""Say why each value of a recipe was chosen, in words that fit the case: for people who ask `pawline recipe`."""

from pawline.params.record import AUTO
from pawline.params.train import Recipe, TrainParams
from pawline.recipe import BATCH_SIZES, CARES, LEAST_STEPS, LOOKS, Facts, choose, num_shown, num_steps

MIRRORED_FROM = min(look.shown for look in LOOKS if look.flip_at_test)  # pictures shown
LAYERS = "the prepared pictures: the layers fit one size"


def reasons(asked: TrainParams, facts: Facts) -> dict[str, str]:
    """The reason of each value that is `auto`, by key; every reason is true of the value that `choose` gives."""
    recipe, network = choose(asked, facts), facts.network.name
    often, shown = _how_often(asked, facts), f"{_about(facts)}{num_shown(asked, facts):,.0f} pictures are shown"
    rates = f"for {network} and {recipe.optimizer}"
    if (network, recipe.optimizer) == ("fast", "muon"):
        rates += f"; {often}"
    every = {
        "batch_size": _of_batch_size(asked, facts, recipe.batch_size),
        "optimizer": f"the one for {network}",
        "ema": "off: an average of the weights gained nothing",
        "sizes": f"{shown}, repetitions counted" if network == "fast" else LAYERS,
        "predict_size": _of_predict_size(asked, facts, recipe),
        "cutout": "off: it gained nothing",
        "flip_at_test": _of_flip(asked, facts, shown),
        "patience": "epochs without a lower val loss"
        if facts.num_pixels is None
        else "minutes are a limit already",
    }
    every |= dict.fromkeys(("label_smoothing", "crop_fraction", "brightness", "contrast"), often)
    every |= dict.fromkeys(("learning_rate", "weight_decay"), rates)
    return {key: every[key] for key in asked.automatic}


def _about(facts: Facts) -> str:
    """Numbers that follow from a measured time are estimates."""
    return "" if facts.num_pixels is None else "about "


def _how_often(asked: TrainParams, facts: Facts) -> str:
    times, borders = num_shown(asked, facts) / facts.num_images, [care.epochs for care in CARES]
    reached = max(border for border in borders if times >= border)
    words = f"{reached} or more" if reached else f"below {borders[1]}"
    return f"each picture is seen {_about(facts)}{times:,.3g} times ({words})"


def _of_batch_size(asked: TrainParams, facts: Facts, size: int) -> str:
    sizes = f"{', '.join(map(str, BATCH_SIZES[:-1]))} and {BATCH_SIZES[-1]}"
    if size not in BATCH_SIZES:
        return "the train part has no more pictures"
    if asked.steps:
        return f"the largest of {sizes}"
    if size > BATCH_SIZES[-1] or num_steps(asked, facts) >= LEAST_STEPS:
        return f"the largest of {sizes} that leaves about {LEAST_STEPS} steps or more"
    return f"the smallest of {sizes}, and still fewer than {LEAST_STEPS} steps"


def _of_predict_size(asked: TrainParams, facts: Facts, recipe: Recipe) -> str:
    if facts.network.name != "fast":
        return LAYERS
    if asked.sizes != AUTO:
        return "the prepared pictures, since train.sizes is set"
    larger = recipe.predict_size > recipe.sizes[-1]
    return f"{'a little larger than' if larger else 'as large as'} the last training pictures"


def _of_flip(asked: TrainParams, facts: Facts, shown: str) -> str:
    if facts.network.name != "fast":
        return "only for fast"
    if not asked.flip:
        return "off, since train.flip is off"
    enough = num_shown(asked, facts) >= MIRRORED_FROM
    return f"{shown} ({MIRRORED_FROM:,} or more)" if enough else f"{shown} (below {MIRRORED_FROM:,})"
