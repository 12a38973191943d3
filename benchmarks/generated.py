"""How soon a new user sees learning:  python -m benchmarks.generated [EPOCHS ...] [seeds=1,2,3] [KEY=VALUE ...]

Trains on the drawn set of data/generated.yaml with the defaults, by default 3 and 30 epochs with three seeds each, and
judges on 1,000 drawn pictures of another seed, which no training has seen. Prints accuracy, seconds and val's curve.
KEY=VALUE sets another param, such as train.batch_size=64. About ten minutes on two cores at rest.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from benchmarks.photographs import machine
from benchmarks.planted import prepared
from pawline.drawn.data_set import GeneratedSet, draw_data_set
from pawline.model.saved import predict_rows
from pawline.params.whole import Params, load_params
from pawline.prepared import PreparedImages
from pawline.split import split_images
from pawline.train import train
from pawline.yaml_files import read_yaml
from tests.conftest import set_params
from tests.source import ROOT

UNSEEN = {"seed": 977, "num_images_per_class": 500, "planted_faults": False}


def taken_in(spec: GeneratedSet, folder: Path, params: Params) -> PreparedImages:
    draw_data_set(spec, folder / "drawn")
    return prepared(folder / "drawn", folder, params)[1]


def main() -> None:
    words = [word for word in sys.argv[1:] if "=" not in word]
    options = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    seeds = [int(seed) for seed in options.pop("seeds", "1,2,3").split(",")]
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
        set_params(folder, {key: YAML().load(value) for key, value in options.items()})
        params = load_params(folder / "params.yaml")
        spec = GeneratedSet(**read_yaml(ROOT / "data/generated.yaml"))
        own = taken_in(spec, folder / "own", params)
        unseen = taken_in(spec.model_copy(update=UNSEEN), folder / "unseen", params)
        split = split_images(own, params.split).used
        for epochs in map(int, words or ["3", "30"]):
            found = []
            for seed in seeds:
                start = time.perf_counter()
                asked = params.train.model_copy(update={"epochs": epochs, "seed": seed})
                trained = train(own, split, params.network, asked)
                seconds = time.perf_counter() - start
                pictures = unseen.seen_as(trained.images.form)
                labels = pictures.table["label"].to_numpy()
                answers = predict_rows(trained.model, pictures, np.arange(len(pictures))).argmax(axis=1)
                found.append(float((answers == labels).mean()))
                curve = " ".join(f"{value:.2f}" for value in trained.history["val_accuracy"])
                print(f"{epochs} epochs, seed {seed}: {found[-1]:.3f}, {seconds:.0f} s; val {curve}", flush=True)
            print(
                f"{epochs} epochs: mean {statistics.mean(found):.3f} of {len(unseen):,} unseen pictures",
                flush=True,
            )


if __name__ == "__main__":
    main()
