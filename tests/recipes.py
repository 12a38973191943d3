"""Recipes for tests of single parts of a training, where the numbers matter little."""

from typing import Any

from pawline.params.train import Recipe
from pawline.params.whole import load_params
from pawline.recipe import Facts, choose
from tests.source import ROOT

PARAMS = load_params(ROOT / "params.yaml")


def some_recipe(**values: Any) -> Recipe:
    """The recipe for ten thousand pictures, with these values set by hand."""
    facts = Facts(PARAMS.network, image_size=96, num_images=10_000)
    return choose(PARAMS.train, facts).model_copy(update=values)
