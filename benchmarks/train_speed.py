"""Images per second of one and the same network:  python -m benchmarks.train_speed [SIZE]

The fast network on RGB pictures of SIZE (64) pixels, batches of 64, as three would train it: the way Keras's
documentation shows (its example "Image classification from scratch": functional model, BatchNormalization, fit),
Pawline, and plain PyTorch (channels last), where TORCH_PYTHON names an interpreter that has it: it is none of
ours. Keras's way twice: as in the example, image_dataset_from_directory with RandomFlip and RandomRotation on
photographs in a folder; and with RandomFlip alone on an array in memory (where PyTorch's is too, not augmented).
All with Adam, Keras's with TensorFlow's own settings of threads and oneDNN. Each in a process of its own, a few
steps at a time in turns, so that other work on the machine hits all alike; what is told is the median of the
rounds, and of ratios the quartiles too. (While others have their turn Keras reads ahead, a batch or two.) Also the
arithmetic achieved, and that of one large convolution, the peak here. Then the same of Pawline's and PyTorch's in
bfloat16, where the processor has it, against Keras's way in float32, which is what its documentation shows; and
what determinism and Muon cost, in float32.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.photographs import machine, unpack
from tests.source import ROOT

ROUNDS, STEPS, SETTLING, BATCH = 12, 8, 2, 64
FILTERS = (32, 64, 128, 256)


class Turns:
    """Answers each line of standard input with the seconds that a step takes, and ends with its end."""

    def __init__(self) -> None:
        self._left, self._start = SETTLING, 0.0

    def after_step(self) -> None:
        self._left -= 1
        if self._left == STEPS:
            self._start = time.perf_counter()
        if self._left > 0:
            return
        print((time.perf_counter() - self._start) / STEPS if self._start else "ready", flush=True)
        if not sys.stdin.readline():
            sys.exit()
        self._left = SETTLING + STEPS


def repeat(step: Callable[[], object]) -> None:
    turns = Turns()
    while True:
        step()
        turns.after_step()


def flops_per_image(size: int) -> float:
    """Multiplications and additions of a training step: forward, and twice as many backward."""
    total, side, channels = 0.0, size // 2, 3
    total += 2 * side**2 * 4 * 4 * channels * FILTERS[0]
    channels = FILTERS[0]
    for filters in FILTERS[1:]:
        side //= 2
        total += 2 * side**2 * 9 * channels * filters
        total += 2 * 2 * side**2 * 9 * filters * filters
        channels = filters
    return 3 * total


def keras_from_files(size: int) -> None:
    import keras
    import tensorflow as tf

    augment = keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)])
    data = keras.utils.image_dataset_from_directory(
        os.environ["PHOTOGRAPHS"], image_size=(size, size), batch_size=BATCH, seed=1, verbose=False
    )
    data = data.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    keras_fit(size, data.repeat().prefetch(tf.data.AUTOTUNE))


def keras_in_memory(size: int) -> None:
    import keras
    import tensorflow as tf

    flip = keras.layers.RandomFlip("horizontal")
    data = tf.data.Dataset.from_tensor_slices(pictures(size)).repeat().shuffle(1000).batch(BATCH)
    data = data.map(lambda x, y: (flip(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    keras_fit(size, data.prefetch(tf.data.AUTOTUNE))


def keras_fit(size: int, data: Any) -> None:
    import keras

    layers = keras.layers

    def unit(maps, filters, kernel=3, strides=1, relu=True):
        maps = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(maps)
        maps = layers.BatchNormalization()(maps)
        return layers.Activation("relu")(maps) if relu else maps

    inputs = keras.Input((size, size, 3))
    maps = unit(layers.Rescaling(1 / 255)(inputs), FILTERS[0], 4, 2)
    for filters in FILTERS[1:]:
        maps = unit(maps, filters, strides=2)
        inner = unit(unit(maps, filters), filters, relu=False)
        maps = layers.Activation("relu")(layers.add([maps, inner]))
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

    turns = Turns()
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: turns.after_step())
    model.fit(data, steps_per_epoch=10**6, callbacks=[note], verbose=0)


def pictures(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (1024, size, size, 3), np.uint8), rng.integers(0, 2, 1024)


def some_photographs(folder: Path) -> Path:
    """A folder with a folder per class, without the photograph that Keras could not read."""
    for path in unpack("cats-dogs-180px.zip", folder):
        if not path.stat().st_size:
            path.unlink()
    [classes] = folder.iterdir()
    return classes


class InMemory:
    """In place of prepared images."""

    class_names = ("cat", "dog")

    def __init__(self, size: int) -> None:
        self.all, self.labels = pictures(size)

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return self.all[rows]


def pawline_way(
    size: int, precision: str = "float32", deterministic: bool = True, optimizer: str = "adamw"
) -> None:
    from pawline.model.backend import keras, tf
    from pawline.model.machine import choose_precision
    from pawline.params.prepare import ImageForm
    from pawline.params.whole import load_params
    from pawline.parts import Part
    from pawline.recipe import Facts, choose
    from pawline.training.networks import build_network
    from pawline.training.trainer import Trainer

    params = load_params(ROOT / "params.yaml")
    keras.utils.set_random_seed(1)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    form = ImageForm(image_size=size, color="rgb", aspect="stretch", background=255)
    network = params.network.model_copy(update={"name": "fast"})
    images = InMemory(size)
    part = Part([], np.arange(len(images.labels)), images.labels)
    model = build_network(network, form, 2, choose_precision(precision))
    asked = params.train.model_copy(update={"optimizer": optimizer, "batch_size": BATCH})
    trainer = Trainer(model, choose(asked, Facts(network, size, num_images=18_000)), images, part)
    steps = iter(range(1, 1000))

    def one() -> None:
        step = next(steps)
        trainer.step(step, step, 1, size, 0.01)

    repeat(one)


def peak_convolution(precision: str) -> None:
    """A 3 x 3 convolution of 256 to 256 maps of 16 x 16, 64 at a time, with all threads."""
    from pawline.model.backend import tf
    from pawline.threads import num_threads

    tf.config.threading.set_intra_op_parallelism_threads(num_threads())
    kind = tf.bfloat16 if precision == "bfloat16" else tf.float32
    maps = tf.cast(tf.random.normal((BATCH, 16, 16, 256)), kind)
    kernel = tf.cast(tf.random.normal((3, 3, 256, 256)), kind)
    convolve = tf.function(lambda: tf.reduce_sum(tf.nn.conv2d(maps, kernel, 1, "SAME")), autograph=False)
    repeat(lambda: float(convolve()))


PEAK_FLOPS = 2 * 16 * 16 * 9 * 256 * 256  # of it, per image


def torch_way(size: int, precision: str = "float32") -> None:
    import torch
    from torch import nn

    def unit(channels: int, filters: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> nn.Sequential:
        padding = (kernel - 1) // 2
        layers = [nn.Conv2d(channels, filters, kernel, stride, padding, bias=False), nn.BatchNorm2d(filters)]
        return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))

    class Block(nn.Module):
        def __init__(self, filters: int) -> None:
            super().__init__()
            self.inner = nn.Sequential(unit(filters, filters), unit(filters, filters, relu=False))

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return torch.relu(maps + self.inner(maps))

    layers, channels = [unit(3, FILTERS[0], 4, 2)], FILTERS[0]
    for filters in FILTERS[1:]:
        layers += [unit(channels, filters, stride=2), Block(filters)]
        channels = filters
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2)]
    model = nn.Sequential(*layers, *head).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.05, fused=True)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    pixels, labels = pictures(size)
    rng = np.random.default_rng(1)

    def one() -> None:
        rows = rng.integers(0, len(pixels), BATCH)
        batch = torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float() / 255
        batch = batch.contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = loss_of(model(batch), torch.from_numpy(labels[rows]))
        loss.backward()
        optimizer.step()
        float(loss)

    repeat(one)


WAYS: dict[str, Callable[[int], None]] = {
    "keras from files": keras_from_files,
    "keras in memory": keras_in_memory,
    "pawline": pawline_way,
    "pawline bfloat16": lambda size: pawline_way(size, "bfloat16"),
    "pawline not deterministic": lambda size: pawline_way(size, deterministic=False),
    "pawline muon": lambda size: pawline_way(size, optimizer="muon"),
    "torch": torch_way,
    "torch bfloat16": lambda size: torch_way(size, "bfloat16"),
    "peak float32": lambda size: peak_convolution("float32"),
    "peak bfloat16": lambda size: peak_convolution("bfloat16"),
}
RATIOS = [
    ("pawline", "keras from files"),
    ("pawline", "keras in memory"),
    ("pawline", "torch"),
    ("pawline bfloat16", "keras from files"),
    ("pawline bfloat16", "keras in memory"),
    ("pawline bfloat16", "torch bfloat16"),
    ("pawline", "pawline not deterministic"),
    ("pawline", "pawline muon"),
]


def can_run(way: str) -> bool:
    from pawline.model.machine import supports_bfloat16

    torch_is_there = "TORCH_PYTHON" in os.environ
    return (torch_is_there or "torch" not in way) and (supports_bfloat16() or "bfloat16" not in way)


def started(way: str, size: int) -> "subprocess.Popen[str]":
    python = os.environ["TORCH_PYTHON"] if "torch" in way else sys.executable
    command = [python, "-m", "benchmarks.train_speed", str(size), way]
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=none, text=True)
    if answer(process) != "ready":
        sys.exit(f"{way}: does not run: {' '.join(command)}")
    return process


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def turn(process: "subprocess.Popen[str]") -> float:
    """Images per second."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return BATCH / float(answer(process))


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    if len(sys.argv) > 2:
        WAYS[sys.argv[2]](size)
    with tempfile.TemporaryDirectory() as name:
        os.environ["PHOTOGRAPHS"] = str(some_photographs(Path(name)))
        processes = {way: started(way, size) for way in WAYS if can_run(way)}
        rounds = [{way: turn(process) for way, process in processes.items()} for _ in range(ROUNDS)]
        for process in processes.values():
            process.communicate()
    print(machine())
    rates = {way: float(np.median([one[way] for one in rounds])) for way in processes}
    for way, rate in rates.items():
        peak = way.startswith("peak")
        print(f"{way}: {rate * PEAK_FLOPS / 1e9:.0f} GFLOP/s" if peak else f"{way}: {rate:.0f} images/s")
    for one, other in RATIOS:
        if {one, other} <= rates.keys():
            ratios = [each[one] / each[other] for each in rounds]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
            print(f"{one} / {other}: {middle:.2f} ({low:.2f} to {high:.2f})")
    for way in ("pawline", "pawline bfloat16"):
        if way in rates:
            print(f"{way} achieves {rates[way] * flops_per_image(size) / 1e9:.0f} GFLOP/s of arithmetic")


if __name__ == "__main__":
    main()
