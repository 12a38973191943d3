"""Train the network; choose its best epoch on val; save it with its card."""

import pandas as pd

from pawline.files import write_json, write_table
from pawline.model import save_with_card
from pawline.params import Params
from pawline.shards import PreparedImages
from pawline.split import data_digest
from pawline.train import summarize, train
from tasks.layout import Layout
from tasks.stage import run_stage
from tasks.tracking import training_run


def main(params: Params, at: Layout) -> None:
    images, split = PreparedImages(at.prepared), pd.read_parquet(at.split)
    digest = data_digest(split)
    with training_run(params, split, digest) as run:
        trained = train(images, split, params.network, params.train, on_epoch=run.log_epoch)
        card = save_with_card(trained.model, at.model, images, digest)
        write_table(at.history, trained.history)
        write_json(at.metrics_of("train"), summarize(trained))
        run.log_model(at.model, card)


if __name__ == "__main__":
    run_stage(main)
