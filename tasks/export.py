"""Export the model to the file that the light engine runs, and log that file to the MLflow run of its training."""

import pandas as pd

from pawline.card import read_card
from pawline.export import choose_unsure, describe_data, export_model, keep_for_walks, keep_keras_answers
from pawline.params.whole import Params
from pawline.prepared import PreparedImages
from pawline.tracking.training_run import log_export
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import Layout, LocalState
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    card, split = read_card(at.model), pd.read_parquet(at.split)
    images = PreparedImages(at.prepared).seen_as(card.form)
    export_model(at.model, card, at.exported)
    choose_unsure(at.exported, images, split, params.judging)
    describe_data(at.exported, images, pd.read_parquet(at.index), split)
    keep_for_walks(at.model, card, LocalState(main_checkout()).walks)
    keep_keras_answers(at.model, card, images, split, at.keras_answers)
    log_export(at.exported, card)


if __name__ == "__main__":
    run_stage(main)
