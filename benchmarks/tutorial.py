"""The cats-and-dogs network of the well-known tutorial, written its way: what the other benchmarks stand beside.
In a process of its own, where TensorFlow is as it comes, without Pawline's settings of threads and oneDNN.

Grayscale at 50 x 50, read with OpenCV into one array, two convolutions of 64 with max pooling, Dense 64, sigmoid;
Adam, batches of 32, no augmentation. It sees the same train part and is measured on the same test part.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tests.source import ROOT

SIZE = 50


def read(archive: Path, paths: pd.Series) -> np.ndarray:
    """float32 (n, 50, 50, 1)."""
    images = []
    with zipfile.ZipFile(archive) as opened:
        inside = {name.split("/", 1)[1]: name for name in opened.namelist() if name.count("/") == 2}
        for path in paths:
            data = np.frombuffer(opened.read(inside[path]), np.uint8)
            gray = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            images.append(cv2.resize(gray, (SIZE, SIZE)))
    return np.array(images).reshape(-1, SIZE, SIZE, 1) / np.float32(255.0)


def train(archive: Path, split: pd.DataFrame, epochs: int) -> tuple[float, float]:
    """The accuracy on test after so many epochs, and the seconds from the archive on, loading TensorFlow aside."""
    with tempfile.TemporaryDirectory() as folder:
        split.to_parquet(table := Path(folder, "split.parquet"))
        command = [sys.executable, "-m", "benchmarks.tutorial", str(archive), str(table), str(epochs)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    accuracy, seconds = json.loads(done.stdout)
    return accuracy, seconds


def main() -> None:
    archive, table, epochs = sys.argv[1:]
    print(json.dumps(train_here(Path(archive), pd.read_parquet(table), int(epochs))))


def train_here(archive: Path, split: pd.DataFrame, epochs: int) -> tuple[float, float]:
    import keras

    start = time.perf_counter()
    parts = {name: split[split["split"] == name] for name in ("train", "test")}
    pixels = {name: read(archive, part["path"]) for name, part in parts.items()}
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(64),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    labels = {name: part["label"].to_numpy(np.float32) for name, part in parts.items()}
    model.fit(pixels["train"], labels["train"], batch_size=32, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    guessed = model.predict(pixels["test"], verbose=0)[:, 0] > 0.5
    return float((guessed == (labels["test"] == 1)).mean()), seconds


if __name__ == "__main__":
    main()
