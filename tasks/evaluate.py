"""Measure the model on the test part, once; the same figures go to the MLflow run that trained it."""

from time import perf_counter

import pandas as pd

from pawline.card import parse_card
from pawline.evaluate import (
    Answers,
    calibration,
    measure,
    predictions_table,
    roc_table,
    thresholds,
    unsure_figures,
)
from pawline.files import write_json, write_table
from pawline.judging.baselines import measure_baselines
from pawline.judging.mistake_maps import mistake_maps
from pawline.params.whole import Params
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.runtime.model import RuntimeModel
from pawline.tracking.training_run import log_evaluation
from pawline.workspace.layout import Layout
from tasks.stage import run_stage


def main(params: Params, at: Layout) -> None:
    prepared, model, card = PreparedImages(at.prepared), RuntimeModel(at.exported), parse_card(at.card)
    images, split = prepared.seen_as(card.form), pd.read_parquet(at.split)
    start = perf_counter()
    val, test = (Answers.of(part, model, images, split) for part in ("val", "test"))
    each = (perf_counter() - start) / (len(val.labels) + len(test.labels))
    train_part, test_part = (Part.of(part, images, split) for part in ("train", "test"))
    predictions = predictions_table(test, card.class_names)
    at_thresholds = thresholds(val, test, params.judging, model.card.unsure_below)
    metrics = {
        **measure(test, card.class_names),
        "temperature": model.card.temperature,
        "unsure": unsure_figures(at_thresholds),
        "baselines": measure_baselines(images, train_part, test_part, test.groups),
    }
    write_table(at.predictions, predictions)
    write_table(at.activations, mistake_maps(model, images, predictions))
    write_table(at.roc, roc_table(test.labels, test.probabilities, card.class_names))
    write_table(at.calibration, calibration(test))
    write_table(at.thresholds, at_thresholds)
    write_json(at.metrics_of("evaluate"), metrics)
    files = [at.predictions, at.roc, at.calibration, at.thresholds, at.split]
    # Beside the figures in MLflow only: outputs of a stage hold nothing that differs from run to run.
    log_evaluation(card.digest, metrics | {"milliseconds_per_picture": 1000 * each}, files)


if __name__ == "__main__":
    run_stage(main)
