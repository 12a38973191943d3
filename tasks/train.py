"""Train the network; choose its best epoch on val; save it with its card."""

import hashlib
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil

from pawline.card import Conditions
from pawline.checkpoint import Checkpoint
from pawline.files import file_digest, write_json, write_table
from pawline.images import DECODER
from pawline.machine import choose_precision, num_threads, processor, uses_one_dnn
from pawline.params import Params
from pawline.schedule import batches_per_epoch
from pawline.shards import PreparedImages
from pawline.split import data_digest
from pawline.weights import weights_digest
from tasks.dvc_lock import read_lock
from tasks.history import md5_of
from tasks.layout import Layout
from tasks.stage import run_stage
from tasks.workspace import CHECKPOINTS, CURVES, main_checkout

KEPT_CHECKPOINTS = 5  # of trainings that were given up


def main(params: Params, at: Layout) -> None:
    images, split = PreparedImages(at.prepared), pd.read_parquet(at.split)
    _refuse_what_cannot_work(params, split)
    pretrained = weights_digest(params.network)
    # Only now, when nothing speaks against it: TensorFlow takes seconds to load.
    from pawline.model import save_with_card
    from pawline.tensorboard import curve_writer
    from pawline.train import summarize, train
    from tasks.tracking import training_run

    digest = data_digest(split)
    checkpoint = _checkpoint(params, images, digest, pretrained)
    checkpoint.resume_unless_locked(_locked_md5(at.model))
    with training_run(params, split, digest, checkpoint.key, checkpoint.load() is not None) as run:
        followers = [run.log_epoch]
        if params.train.tensorboard:
            followers.append(curve_writer(main_checkout() / CURVES / checkpoint.key[:16]))

        def log(row: dict[str, float]) -> None:
            for follow in followers:
                follow(row)

        trained = train(
            images,
            split,
            params.network,
            params.train,
            on_epoch=log,
            checkpoint=checkpoint,
            started=psutil.Process().create_time(),
        )
        conditions = _conditions(params, trained.num_steps)
        card = save_with_card(trained.model, at.model, images, digest, conditions)
        write_table(at.history, trained.history)
        write_json(at.metrics_of("train"), summarize(trained))
        run.log_model(at.model, card)
    if "DVC_STAGE" in os.environ:  # a kill before DVC has locked the model makes this stage run again
        checkpoint.keep_until_locked(md5_of(at.model))
    else:
        checkpoint.remove()


def _refuse_what_cannot_work(params: Params, split: pd.DataFrame) -> None:
    """Raises ParamsError for a batch larger than the train part, or a precision that this machine lacks."""
    batches_per_epoch(params.train, int((split["split"] == "train").sum()))
    choose_precision(params.train.precision)


def _locked_md5(model: Path) -> str:
    """Of the model in dvc.lock; nothing before the first."""
    lock = read_lock() if Path("dvc.lock").exists() else {}
    return lock[str(model)].md5 if str(model) in lock else ""


def _conditions(params: Params, num_steps: int) -> Conditions:
    return Conditions(
        num_steps=num_steps,
        flip_at_test=params.train.flip_at_test,
        precision=choose_precision(params.train.precision),
        processor=processor(),
        num_threads=num_threads(),
        one_dnn=uses_one_dnn(),
        deterministic=params.train.deterministic,
        tensorflow=version("tensorflow"),
        keras=version("keras"),
    )


def _checkpoint(params: Params, images: PreparedImages, digest: str, pretrained: str | None) -> Checkpoint:
    """The place of this very training's state: that of other params, data, code or kind of machine is no use to
    it. Of those that were given up the oldest go."""
    loaded = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "pawline"}
    code = {name: file_digest(Path(file)) for name, file in sorted(loaded.items()) if file}
    about = [
        params.network.model_dump(),
        params.train.model_dump(),
        images.form.model_dump(),
        DECODER,
        digest,
        _conditions(params, 0).model_dump(),
        pretrained,
        code,
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    folder = main_checkout() / CHECKPOINTS
    own = folder / f"{key[:16]}.npz"
    others = sorted({*folder.glob("*.npz")} - {own}, key=lambda path: path.stat().st_mtime)
    for old in others[:-KEPT_CHECKPOINTS]:
        old.unlink(missing_ok=True)
    return Checkpoint(own, key)


if __name__ == "__main__":
    run_stage(main)
