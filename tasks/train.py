"""Train the network; choose its best epoch on val; save it with its card."""

import pandas as pd
import psutil

from pawline.epochs import write_epochs
from pawline.files import write_json, write_table
from pawline.params.whole import Params
from pawline.parts import data_digest
from pawline.prepared import PreparedImages
from pawline.recipe import card_recipe, chosen_keys
from pawline.train import epochs_of, refuse_impossible, summarize, train
from pawline.training.conditions import conditions_of
from pawline.training.pretrained_weights import weights_digest, with_weights
from pawline.workspace.checkout import main_checkout
from pawline.workspace.kept_training import keep_training
from pawline.workspace.layout import Layout, LocalState
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    images, split = PreparedImages(at.prepared), pd.read_parquet(at.split)
    refuse_impossible(params.train)
    weights, digest, local = weights_digest(params.network), data_digest(split), LocalState(main_checkout())
    network = with_weights(params.network, local.weights)
    conditions = conditions_of(params.train)
    with keep_training(params, images, digest, conditions, weights, at.model) as training:
        # Only now, when nothing speaks against it: TensorFlow and MLflow take seconds to load.
        from pawline.model.saved import save_with_card
        from pawline.tracking.training_run import training_run

        with training_run(params, split, training) as run:
            started = psutil.Process().create_time()
            trained = train(
                images, split, network, params.train, run.log_epoch, training.checkpoint, started, local.features
            )
            recipe = trained.recipe
            conditions = conditions_of(recipe, trained.num_steps, network=params.network, weights=weights)
            about = {
                "recipe": card_recipe(recipe, params.network),
                "chosen": chosen_keys(params.train, params.network),
            }
            card = save_with_card(
                trained.model, at.model, trained.images, digest, conditions, trained.temperature, **about
            )
            write_epochs(at.epochs, epochs_of(trained, card.digest))
            write_table(at.history, trained.history)
            write_json(at.metrics_of("train"), summarize(trained))
            run.name_model(card)
        training.finish(at.model)


if __name__ == "__main__":
    run_stage(main)
