"""`pawline recipe`: which settings a training would follow, and the line that repeats a model."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawline.cli.named_file import refuse_no_file
from pawline.terminal import say

if TYPE_CHECKING:
    from pawline.card import Card
    from pawline.params.network import NetworkParams
    from pawline.params.train import Recipe, TrainParams
    from pawline.recipe import Facts
    from pawline.training.plan import Budget

MAX_MINUTES = 100_000  # as for train.minutes
VALIDATED = 1.25  # times the time of an epoch's steps: a validation, and a machine that is a little busier


def add_command(commands: Any) -> None:
    command = commands.add_parser(
        "recipe", help="the settings that a training would follow, or that a model followed"
    )
    command.add_argument(
        "--minutes",
        type=_minutes,
        metavar="N",
        help="as with train.minutes=N: measures this machine for some seconds",
    )
    command.add_argument(
        "--of",
        type=Path,
        metavar="MODEL",
        help="print the line that repeats this model, such as models/model.keras",
    )
    command.set_defaults(run=run)


def _minutes(text: str) -> float:
    """The number that the text writes. Raises ArgumentTypeError unless train.minutes may have it."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number above 0 and at most {MAX_MINUTES:,}")
    return number


def run(arguments: argparse.Namespace) -> int:
    from pawline.errors import ParamsError

    if not arguments.of:
        print("\n".join(_planned(arguments.minutes)))
        return 0
    if arguments.minutes is not None:
        raise ParamsError("--minutes and --of: the model has its number of steps; give one of them")
    print(_line_of(arguments.of))
    return 0


def _planned(minutes: float | None) -> list[str]:
    """What would be chosen with the params and the data of this checkout."""
    import time

    from pawline.params.train import TrainParams
    from pawline.params.whole import load_params
    from pawline.parts import Part
    from pawline.recipe import choose, network_advice
    from pawline.training.plan import Budget, facts_of
    from pawline.training.pretrained_weights import with_weights
    from pawline.workspace.checkout import main_checkout
    from pawline.workspace.kept_series import read_data
    from pawline.workspace.layout import Layout, LocalState

    params = load_params()
    asked, network = params.train, with_weights(params.network, LocalState(main_checkout()).weights)
    if minutes is not None:
        asked = TrainParams.model_validate(dict(asked) | {"minutes": minutes, "steps": None})
    images, split = read_data(Layout())
    part = Part.of("train", images, split)
    budget = Budget.of(asked, network, time.time())
    facts = facts_of(asked, network, images, part, budget)
    if budget:
        _refuse_short(asked, facts, budget, "train.minutes" if minutes is None else "--minutes")
    recipe = choose(asked, facts)
    lines = [
        f"{network.name}, {facts.num_images:,} pictures of {len(images.class_names)} classes, "
        f"{facts.image_size} px: {_length(asked, recipe, facts)}",
        *_value_lines(asked, recipe, facts),
    ]
    if network.name == "pretrained":
        side = network.predicted_side(facts.image_size, recipe.predict_size)
        lines += network.pretrained.advice(images.form.shrunk_to(side))
    if network.is_fine_tuned and budget:
        lines.append(
            "before the steps come the features of pictures that no training has looked at yet: their time is part of "
            "train.minutes, and not counted here"
        )
    lines.append(network_advice(network, facts.num_images))
    counted = None if network.is_frozen else minutes
    return [*lines, f"to train so:  {_command(counted, params.train)}"]


def _command(minutes: float | None, written: "TrainParams") -> str:
    """The command that trains as shown. written: the params of this checkout, whose steps would come before minutes."""
    if minutes is None:
        return "dvc repro"
    return f"dvc exp run -S train.minutes={minutes:g}" + (" -S train.steps=null" if written.steps else "")


def _refuse_short(asked: "TrainParams", facts: "Facts", budget: "Budget", named: str) -> None:
    """Raise ParamsError where a training would be refused, since its minutes end before one epoch.

    named: what gave the minutes."""
    import time

    from pawline.errors import ParamsError
    from pawline.recipe import choose, num_steps
    from pawline.training.plan import enough_minutes

    recipe, steps = choose(asked, facts), num_steps(asked, facts)
    num_batches = facts.num_images // recipe.batch_size
    if facts.pixel_seconds is None or steps >= VALIDATED * num_batches:
        return
    sides, _ = facts.network.sides(facts.image_size, recipe.sizes, recipe.predict_size)
    pixels = recipe.batch_size * sum(side**2 for side in sides) / len(sides)
    # Loading and measuring took this long here. A training takes as long for them, and as long again to build the
    # network that it trains: so the time since `began`, which seconds_left counts already, counts twice.
    lost = budget.seconds - budget.seconds_left + (time.time() - budget.began)
    needed = enough_minutes(lost, VALIDATED * num_batches * pixels * facts.pixel_seconds)
    raise ParamsError(
        f"{named} is {asked.minutes:g}: loading, measuring and saving leave time for about {round(steps):,} steps of "
        f"{recipe.batch_size} pictures, and one epoch has {num_batches:,} and a validation; expected about {needed:g} "
        "or more minutes here; give more, or train by epochs"
    )


def _value_lines(asked: "TrainParams", recipe: "Recipe", facts: "Facts") -> list[str]:
    """Each value that counts, with its reason."""
    from pawline.card import in_words
    from pawline.params.train import CHOSEN
    from pawline.recipe import counts
    from pawline.recipe_reasons import reasons

    why = reasons(asked, facts)
    return [
        f"  train.{key:<16} {in_words(key, getattr(recipe, key)):<18} {why.get(key, 'set in params.yaml')}"
        for key in CHOSEN
        if counts(key, facts.network)
    ]


def _length(asked: "TrainParams", recipe: "Recipe", facts: "Facts") -> str:
    """How long the training is, in words."""
    from pawline.recipe import num_steps

    if facts.network.is_frozen:
        return "each looked at once, no epochs; train.minutes does not count"
    if asked.minutes and not asked.steps and facts.num_pixels is None:
        return f"{asked.minutes:g} minutes; the training measures how many steps fit, as every value is set"
    steps, about = num_steps(asked, facts), "" if facts.num_pixels is None else "about "
    epochs = steps * recipe.batch_size / facts.num_images
    return f"{about}{round(steps):,} steps, {about}{epochs:.3g} epochs"


def _line_of(model: Path) -> str:
    """The command that repeats a model in this checkout, to the byte on the same kind of machine."""
    from pawline.card import card_path, parse_card, shown
    from pawline.errors import ModelError
    from pawline.params.whole import dotted, load_params
    from pawline.workspace.checkout import is_checkout
    from pawline.workspace.layout import Layout

    is_own = model == Layout().model and is_checkout()
    advice = "make it with `dvc repro`" if is_own else "name a model with its card.json beside it"
    refuse_no_file(model, advice)
    try:
        card = parse_card(card_path(model))
    except ModelError as error:
        raise ModelError(f"{error}; {advice}") from None
    if not card.recipe:
        raise ModelError(
            f"{card_path(model)}: made before recipes were recorded; set train.steps={card.conditions.num_steps} and "
            "the params of its time (git show COMMIT:params.yaml)"
        )
    here = dotted(load_params().model_dump(mode="json"))
    form = dict(card.form) | {"image_size": card.form.prepared_size}
    wanted = card.recipe | {f"prepare.{key}": value for key, value in form.items() if f"prepare.{key}" in here}
    needed = [
        key
        for key, value in wanted.items()
        if key in card.chosen or key == "train.steps" or here.get(key) != value
    ]
    for note in _notes(card):
        say(f"note: {note}")
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(f'{key}={shown(wanted[key])}')}" for key in needed)])


def _notes(card: "Card") -> list[str]:
    """Why the line would make another model here."""
    import pandas as pd

    from pawline.errors import PawlineError
    from pawline.params.whole import load_params
    from pawline.parts import data_digest
    from pawline.training.conditions import conditions_of
    from pawline.training.pretrained_weights import weights_digest
    from pawline.workspace.layout import Layout

    notes, at = [], Layout()
    if not at.split.is_file() or data_digest(pd.read_parquet(at.split)) != card.training_data_digest:
        notes.append("the model learned from other data than data/split.parquet of this checkout")
    params, weights = load_params(), None
    network = _network_of(card, params.network)
    try:
        weights = weights_digest(network)
    except PawlineError as error:
        notes.append(f"the weights that the model started from: {error}")
    conditions = conditions_of(params.train, network=network, weights=weights)
    here = conditions.model_dump(exclude={"num_steps", "flip_at_test"})
    differing = [f"{key} {was}, here {here[key]}" for key, was in card.conditions if here.get(key, was) != was]
    if differing:
        notes.append(f"the model was made under other conditions ({'; '.join(differing)}): its bytes may differ")
    return notes


def _network_of(card: "Card", here: "NetworkParams") -> "NetworkParams":
    """The params of the model's network, as its card records them."""
    import json

    from pawline.params.network import NetworkParams

    tree = here.model_dump(mode="json")
    tree["name"] = card.recipe["network.name"]
    prefix = f"network.{tree['name']}."
    tree[tree["name"]] = {key.removeprefix(prefix): v for key, v in card.recipe.items() if key.startswith(prefix)}
    return NetworkParams.model_validate_json(json.dumps(tree))
