"""Train one recipe several times on different parts of the data. What is finished stays when the series is killed.

Only `Series.run` imports TensorFlow, which takes seconds to load.
"""

import gc
import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from pawline.files import write_table
from pawline.judging.predictions import PROBABILITY
from pawline.params.network import NetworkParams
from pawline.params.train import TrainParams
from pawline.parts import Part
from pawline.prepared import PreparedImages
from pawline.terminal import say
from pawline.train import train
from pawline.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class OneTraining:
    """One training of a series. split: path, digest, label, group and split, which names its own train and val, and the
    pictures that it judges as test."""

    name: str
    split: pd.DataFrame
    params: TrainParams


@dataclass(frozen=True)
class Series:
    """The trainings of a series, kept in a folder until the series is complete.

    key: a digest of all that their results depend on. features: see pawline/train.py."""

    folder: Path
    key: str
    images: PreparedImages
    network: NetworkParams
    features: Path | None = None

    def finished(self, name: str) -> pd.DataFrame | None:
        """The predictions of a finished training, see `run`; None where it is not finished."""
        file = self._file(name)
        if not file.exists():
            return None
        try:
            return pd.read_parquet(file)
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            said = str(error).splitlines()[0]
            say(f"warning: {file}: damaged ({said}): trained again")
            return None

    def run(self, training: OneTraining) -> pd.DataFrame:
        """Train, continuing a training that was killed, and predict its test pictures, unless that is done already.

        Returns path, digest, group, label and probability_<class> of each, and the same num_steps, recipe (JSON) and
        seconds in every row. Raises what `train` raises."""
        if (done := self.finished(training.name)) is not None:
            return done
        from pawline.model.saved import predict_rows

        logging.getLogger("tensorflow").addFilter(_is_no_retracing)
        start = time.monotonic()
        checkpoint = Checkpoint(self.folder / f"{training.name}.npz", self._key_of(training.name))
        params = training.params.model_copy(update={"keep_epochs": 0})  # no page shows how these learnt
        trained = train(
            self.images, training.split, self.network, params, checkpoint=checkpoint, features=self.features
        )
        judged = training.split[training.split["split"] == "test"].sort_values(["digest", "path"])
        rows = Part.of("test", trained.images, training.split).rows
        probabilities = predict_rows(trained.model, trained.images, rows, trained.temperature)
        table = judged[["path", "digest", "group", "label"]].reset_index(drop=True)
        for label, name in enumerate(self.images.class_names):
            table[f"{PROBABILITY}{name}"] = probabilities[:, label].round(6)
        recipe, seconds = trained.recipe.model_dump_json(), time.monotonic() - start
        table = table.assign(num_steps=trained.num_steps, recipe=recipe, seconds=seconds)
        write_table(self._file(training.name), table)
        checkpoint.remove()
        del trained
        gc.collect()  # a model and its compiled steps refer to each other
        return table

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def _key_of(self, name: str) -> str:
        return hashlib.sha256(f"{self.key} {name}".encode()).hexdigest()


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """Each training compiles its own model, which TensorFlow takes for a mistake from the fifth on."""
    return "triggered tf.function retracing" not in record.getMessage()


class Plan(Protocol):
    """The trainings of a series: their names in the order in which they run, and how each is made."""

    @property
    def names(self) -> list[str]: ...

    def training(self, name: str, series: Series) -> OneTraining: ...


def run_each(series: Series, plan: Plan) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Run the trainings of a plan one after the other; yield the name, the predictions and the seconds that the rest
    will take, by the mean of those that are done."""
    done = [table for name in plan.names if (table := series.finished(name)) is not None]
    if done:
        say(f"{len(done)} of {len(plan.names)} trainings are finished already")
    seconds = [float(table["seconds"].iloc[0]) for table in done]
    left = [name for name in plan.names if series.finished(name) is None]
    for name in plan.names:
        table = series.run(plan.training(name, series))
        if name in left:
            left.remove(name)
            seconds.append(float(table["seconds"].iloc[0]))
        yield name, table, len(left) * sum(seconds) / len(seconds)
