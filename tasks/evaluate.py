"""Measure the model on the test part, once; the same figures go to the MLflow run that trained it."""

import pandas as pd

from pawline.card import parse_card
from pawline.evaluate import measure, predictions_table, roc_table
from pawline.files import write_json, write_table
from pawline.judging.mistake_maps import mistake_maps
from pawline.params.whole import Params
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.tracking.training_run import log_evaluation
from pawline.workspace.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    images, model, card = PreparedImages(at.prepared), RuntimeModel(at.exported), parse_card(at.card)
    test = Part.of("test", images, pd.read_parquet(at.split))
    probabilities = model.predict_rows(images, test.rows)
    metrics = measure(test.labels, probabilities, card.class_names)
    predictions = predictions_table(test.paths, test.labels, probabilities, card.class_names)
    write_table(at.predictions, predictions)
    write_table(at.activations, mistake_maps(model, images, predictions))
    write_table(at.roc, roc_table(test.labels, probabilities, card.class_names))
    write_json(at.metrics_of("evaluate"), metrics)
    log_evaluation(card.digest, metrics, [at.predictions, at.roc, at.split])


if __name__ == "__main__":
    run_stage(main)
