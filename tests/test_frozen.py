"""A frozen network looks at each picture once, and its new last layer is the one that the penalty asks for."""

import hashlib
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from pawline.errors import DatasetError
from pawline.params.network import NetworkParams
from pawline.params.prepare import ImageForm
from pawline.params.whole import load_params
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from pawline.split import split_images
from pawline.training.features import BATCH_SIZE, KEPT_FOLDERS, FeatureStore
from pawline.training.head import fit_head
from pawline.training.pretrained_weights import with_weights
from tests.conftest import stripes
from tests.recipes import some_recipe
from tests.source import ROOT


class Counting:
    """Computes the mean of each channel, and counts its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.batches.append(len(pixels))
        return np.asarray(pixels.mean(axis=(1, 2)), np.float32)


def pictures(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)


def ask(pixels: np.ndarray, folder: Path | None, compute: Any = None, key: str = "k" * 64) -> np.ndarray:
    return FeatureStore(compute or Counting(), folder, key).features(lambda rows: pixels[rows], len(pixels))


def test_each_picture_is_computed_once_also_if_it_comes_twice(tmp_path: Path) -> None:
    pixels, compute = pictures(40), Counting()
    twice = np.concatenate([pixels, pixels[:5]])
    found = ask(twice, tmp_path, compute)
    np.testing.assert_array_equal(found, twice.mean(axis=(1, 2)).astype(np.float32))
    assert compute.batches == [BATCH_SIZE] * 2, "40 of 45 pictures, in batches of one size"
    np.testing.assert_array_equal(ask(twice[::-1], tmp_path, compute), found[::-1])
    assert len(compute.batches) == 2, "the second training computes nothing"
    np.testing.assert_array_equal(ask(twice, None), found)


def test_a_damaged_pack_is_computed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = pictures(10)
    found = ask(pixels, tmp_path)
    [pack] = tmp_path.glob("*/*.npy")
    content = bytearray(pack.read_bytes())
    content[-1] ^= 1
    pack.write_bytes(content)
    np.testing.assert_array_equal(ask(pixels, tmp_path), found)
    assert f"{pack}: damaged: its features are computed again" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*/*")] == [pack.name]


def test_other_networks_have_their_own_features_and_the_oldest_are_deleted(tmp_path: Path) -> None:
    keys = [f"{number}" * 64 for number in range(KEPT_FOLDERS + 1)]
    for key in keys:
        compute = Counting()
        ask(pictures(3), tmp_path, compute, key)
        assert len(compute.batches) == 1
    assert {path.name for path in tmp_path.iterdir()} == {key[:16] for key in keys[1:]}


def test_a_kill_between_packs_costs_only_the_packs_that_were_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.training.features.PACK_SIZE", 40)
    pixels, compute = pictures(100), Counting()

    def compute_three(batch: np.ndarray) -> np.ndarray:
        if len(compute.batches) == 3:
            raise KeyboardInterrupt
        return compute(batch)

    with pytest.raises(KeyboardInterrupt):
        ask(pixels, tmp_path, compute_three)
    store = FeatureStore(Counting(), tmp_path, "k" * 64)
    features = store.features(lambda rows: pixels[rows], len(pixels))
    assert (store.num_known, store.num_computed) == (40, 60), "the first pack took two batches, the third was lost"
    np.testing.assert_array_equal(features, pixels.mean(axis=(1, 2)).astype(np.float32))
    assert len([*tmp_path.glob("*/*")]) == 3, "packs of 40, 40 and 20"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux, on which no byte has room")
def test_a_full_disk_is_said_once_and_the_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.training.features.uuid4", lambda: SimpleNamespace(hex="full"))
    monkeypatch.setattr("pawline.training.features.PACK_SIZE", 40)
    pixels, compute, folder = pictures(100), Counting(), tmp_path / ("k" * 16)
    store = FeatureStore(compute, tmp_path, "k" * 64)
    (folder / "full.partial").symlink_to("/dev/full")
    for _ in range(2):
        features = store.features(lambda rows: pixels[rows], len(pixels))
        np.testing.assert_array_equal(features, pixels.mean(axis=(1, 2)).astype(np.float32))
    assert len(compute.batches) == 5, "what cannot be kept on disk is known until the training ends"
    assert capsys.readouterr().err.splitlines() == [
        f"pawline: warning: {folder}: features are not kept: No space left on device"
    ]
    assert not [*folder.iterdir()]


def test_partial_packs_of_killed_trainings_are_deleted_after_a_day(tmp_path: Path) -> None:
    (folder := tmp_path / ("k" * 16)).mkdir()
    for name, hours in (("old", 25), ("recent", 1)):
        (folder / f"{name}.partial").touch()
        os.utime(folder / f"{name}.partial", (then := time.time() - hours * 3600, then))
    ask(pictures(3), tmp_path)
    assert [path.name for path in folder.glob("*.partial")] == ["recent.partial"]


def test_folders_that_another_training_deletes_meanwhile_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").symlink_to("nowhere")  # listed, but without a status
    pixels, compute = pictures(3), Counting()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", lambda path: True)
        store = FeatureStore(compute, tmp_path, "k" * 64)
    shutil.rmtree(tmp_path / ("k" * 16))
    features = store.features(lambda rows: pixels[rows], len(pixels))
    np.testing.assert_array_equal(ask(pixels, tmp_path, compute), features)
    assert len(compute.batches) == 1, "the features were kept"


def loss_of(weights: np.ndarray, features: np.ndarray, labels: np.ndarray, penalty: float) -> float:
    """The formula of the docstring, written again: the bias is not penalized."""
    kernel = weights.reshape(features.shape[1] + 1, -1)
    logits = features @ kernel[:-1] + kernel[-1]
    mean = (logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean()
    return float(mean + penalty / 2 * (kernel[:-1] ** 2).sum())


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_head_minimizes_the_formula(num_classes: int) -> None:
    rng = np.random.default_rng(2)
    features = (rng.normal(size=(90, 4)) * [1, 5, 0.2, 0] + [0, 3, -1, 7]).astype(np.float32)
    labels = (features[:, :num_classes] + rng.gumbel(size=(90, num_classes)) * 2).argmax(axis=1)
    scaled = (features - features.mean(axis=0)) / np.where(features.std(axis=0) > 0, features.std(axis=0), 1)
    start = np.zeros(5 * num_classes)
    best = minimize(loss_of, start, (scaled, labels, 0.1), tol=1e-9).x.reshape(-1, num_classes)
    head = fit_head((features, labels), (features, labels), num_classes, 0.1, balanced=False)
    expected, computed = scaled @ best[:-1] + best[-1], head.logits(features)
    # A constant added to all logits of a picture changes nothing.
    np.testing.assert_allclose(
        computed - computed.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=5e-3
    )


def test_auto_takes_the_penalty_with_the_lowest_loss_on_val(capsys: pytest.CaptureFixture[str]) -> None:
    """Labels by chance in train: the strongest penalty is best for any val. Labels by a rule: a weak one is."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(60, 20)).astype(np.float32)
    chance, rule = rng.integers(0, 2, 60), (features[:, 0] > 0).astype(int)
    halves = (features[:30], features[30:])
    by_chance = fit_head((halves[0], chance[:30]), (halves[1], chance[30:]), 2, "auto", balanced=False)
    by_rule = fit_head((halves[0], rule[:30]), (halves[0], rule[:30]), 2, "auto", balanced=False)
    assert (by_chance.penalty, by_rule.penalty) == (1.0, 0.001)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "pawline: train: of 3 penalties, 1 has the lowest loss on val; 4 weaker ones were not tried, since the "
        "loss rose twice in a row",
        "pawline: train: of 7 penalties, 0.001 has the lowest loss on val",
    ]


@pytest.mark.parametrize(
    ("losses", "num_fits", "best"),
    [
        ([5, 4, 3, 2, 1, 0.5, 0.4], 7, 0.001),
        ([3, 2, 2.5, 2.4, 2.6, 2.7], 6, 0.3),  # one rise that falls again ends nothing
        ([1, 2, 3], 3, 1.0),
        ([3, 2, 2, 2, 2, 2, 2], 7, 0.3),  # equal losses are no rise, and the strongest of equals is taken
    ],
)
def test_weaker_penalties_are_not_tried_once_the_loss_rose_twice_in_a_row(
    losses: list[float], num_fits: int, best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    features, labels = rng.normal(size=(30, 4)).astype(np.float32), np.arange(30) % 3
    planned = iter(losses)
    monkeypatch.setattr("pawline.training.head.cross_entropy", lambda *_: next(planned))
    head = fit_head((features, labels), (features, labels), 3, "auto", balanced=False)
    assert head.penalty == best and len(losses) - len([*planned]) == num_fits
    monkeypatch.undo()
    alone = fit_head((features, labels), (features, labels), 3, best, balanced=False)
    np.testing.assert_allclose(head.logits(features), alone.logits(features), atol=0.01)


def test_fifty_classes_of_four_pictures_are_recognized() -> None:
    rng = np.random.default_rng(6)
    centres = rng.normal(size=(50, 20)) * 3
    labels = np.arange(200) % 50
    train, val = ((centres[labels] + rng.normal(size=(200, 20)) * 0.3).astype(np.float32) for _ in range(2))
    head = fit_head((train, labels), (val, labels), 50, "auto", balanced=True)
    assert head.kernel.shape == (20, 50)
    np.testing.assert_array_equal(head.logits(val).argmax(axis=1), labels)


def test_a_class_without_pictures_is_never_the_answer_and_one_class_is_refused() -> None:
    rng = np.random.default_rng(4)
    features, labels = rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2 * 2
    features[:, 0] += labels
    head = fit_head((features, labels), (features, labels), 4, 0.1, balanced=False)
    assert set(head.logits(features).argmax(axis=1)) == {0, 2}
    with pytest.raises(
        DatasetError, match="^train: the train part has 40 pictures, all of one class; expected two"
    ):
        fit_head((features, labels * 0), (features, labels), 4, 0.1, balanced=False)


def test_balanced_classes_count_the_same() -> None:
    """The same features for all: the head can only learn the shares of the classes."""
    features, labels = np.ones((40, 2), np.float32), np.repeat([0, 1], [35, 5])
    plain = fit_head((features, labels), (features, labels), 2, 1.0, balanced=False).logits(features)[0]
    equal = fit_head((features, labels), (features, labels), 2, 1.0, balanced=True).logits(features)[0]
    assert plain[0] - plain[1] == pytest.approx(np.log(7), abs=1e-2)
    assert equal[0] - equal[1] == pytest.approx(0, abs=1e-3)


FORM = ImageForm(image_size=32, color="rgb", aspect="stretch", background=255)
NETWORK = load_params(ROOT / "params.yaml").network.model_copy(update={"name": "pretrained"})


def prepare_stripes(folder: Path, labels: np.ndarray) -> Path:
    """Prepared pictures of the classes across and up."""
    pixels = np.stack(
        [stripes(vertical=bool(label), seed=n, width=32, height=32) for n, label in enumerate(labels)]
    )
    write_shard(folder, 0, Concatenation([pixels]), np.arange(len(labels)))
    names = [f"{n:02}.jpg" for n in range(len(labels))]
    digests = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(len(labels))]
    table = pd.DataFrame({"path": names, "digest": digests, "class_name": "", "given_part": "", "label": labels})
    hashes = np.zeros((len(labels), 1), np.uint64)
    write_description(folder, table, hashes, ["across", "up"], "a decoder", FORM)
    return folder


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_stripes(tmp_path_factory.mktemp("prepared"), np.arange(60) % 2)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> NetworkParams:
    return with_weights(NETWORK, tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def built(network: NetworkParams) -> tuple[Any, Any]:
    """The network for two classes, and what computes its features."""
    from pawline.training import frozen
    from pawline.training.networks import build_network

    model = build_network(network, FORM, 2, "float32")
    return model, frozen._compiled(model)


@pytest.fixture
def built_once(built: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every training of a frozen network use the one that is built: it takes a second."""
    from pawline.training import frozen

    monkeypatch.setattr(frozen, "build_network", lambda *_: built[0])
    monkeypatch.setattr(frozen, "_compiled", lambda _: built[1])


def split_of(count: int) -> pd.DataFrame:
    """The first `count` pictures, a quarter of them val."""
    numbers = np.arange(count)
    names = [f"{n:02}.jpg" for n in numbers]
    part = np.where(numbers % 8 < 2, "val", "train")
    return pd.DataFrame({"path": names, "digest": names, "label": numbers % 2, "group": names, "split": part})


@pytest.mark.usefixtures("built_once")
def test_a_set_that_grew_in_two_steps_gives_the_bytes_of_one_made_at_once(
    striped: Path,
    network: NetworkParams,
    built: tuple[Any, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from pawline.model.saved import save_model
    from pawline.train import summarize, train
    from pawline.training import frozen

    images, (model, compute) = PreparedImages(striped), built
    params = load_params(ROOT / "params.yaml").train
    said = []
    FeatureStore(compute, tmp_path / "steps", frozen._key(model)).features(images.pixels, 20)
    for place in (tmp_path / "steps", tmp_path / "once"):
        rows: list[dict[str, float]] = []
        trained = train(images, split_of(60), network, params, rows.append, features=place)
        save_model(trained.model, tmp_path / f"{place.name}.keras")
        said.append(capsys.readouterr().err)
    assert "features of 40 pictures computed, 20 known" in said[0]
    assert "features of 60 pictures computed, 0 known" in said[1]
    assert "pictures have 32 pixels, EfficientNetLite0 learned from larger ones" in said[1]
    assert (tmp_path / "steps.keras").read_bytes() == (tmp_path / "once.keras").read_bytes()

    figures = summarize(trained)
    assert figures["val_accuracy"] >= 0.8 and figures["num_epochs"] == 1 and figures["penalty"] > 0
    assert rows[0]["val_loss"] == trained.val["val_loss"]
    val = np.flatnonzero(split_of(60)["split"] == "val")
    logits = trained.model(images.pixels(val)).numpy()
    assert (logits.argmax(axis=1) == val % 2).mean() == pytest.approx(figures["val_accuracy"])

    assert_no_neighbour_and_no_place_changes_a_byte(compute, images.pixels(np.arange(BATCH_SIZE)))


def assert_no_neighbour_and_no_place_changes_a_byte(compute: Any, pixels: np.ndarray) -> None:
    together = compute(pixels)
    for position in (0, 15, 16, 31):
        alone = np.zeros_like(pixels)
        alone[5] = pixels[position]
        assert compute(alone)[5].tobytes() == together[position].tobytes()


@pytest.mark.usefixtures("built_once")
def test_a_class_with_five_pictures_works_and_both_stages_say_what_it_lacks(
    network: NetworkParams, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pawline.train import train

    params = load_params(ROOT / "params.yaml")
    images = PreparedImages(prepare_stripes(tmp_path, np.repeat([0, 1], [25, 5])))
    split = split_images(images, params.split.model_copy(update={"near_duplicates": False}))
    assert (split.used.groupby("split")["label"].nunique() == 2).all() and len(split.used) == 30
    assert split.findings[0].startswith(f"{split.num_topped_up} pictures fill test and val of 1 classes")
    trained = train(images, split.used, network, params.train, features=None)
    num_val = (split.used["split"] == "val").sum()
    assert f"train: val has {num_val} pictures of 2 classes: too few to calibrate" in capsys.readouterr().err
    assert trained.temperature == 1 and np.isfinite(trained.val["val_loss"])


@pytest.mark.usefixtures("built_once")
def test_fine_tuning_computes_no_features_of_mirror_images(
    striped: Path, network: NetworkParams, capsys: pytest.CaptureFixture[str]
) -> None:
    from pawline.training.frozen import fit_first_layer

    asked = some_recipe(flip_at_test=True, predict_size=1.0)
    fit_first_layer(PreparedImages(striped), split_of(60), network, asked, folder=None)
    assert "train: features of 60 pictures computed, 0 known\n" in capsys.readouterr().err


def test_fine_tuning_begins_with_the_fitted_layer_and_changes_early_layers_least(
    striped: Path, network: NetworkParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pawline.model.backend import keras
    from pawline.train import plan_recipe, train
    from pawline.training import fine_tuning
    from pawline.training.networks import build_network

    network = network.model_copy(update={"pretrained": network.pretrained.model_copy(update={"fine_tune": 0.5})})
    update = {
        "steps": 2,
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 1e-4,
        "weight_decay": 1.0,
        "warm_up": 0.0,
    }
    params = load_params(ROOT / "params.yaml").train.model_copy(update=update)
    first = build_network(network, FORM, 2, "float32")
    [body] = [layer for layer in first.layers if isinstance(layer, keras.Model)]
    rates = fine_tuning.rates_of(first)
    names = [layer.name for layer in body.layers if layer.weights]
    learning = [name for name in names if any(path.startswith(f"{name}/") for path in rates)]
    assert learning == names[len(names) // 2 :], "the last half"
    assert min(rates.values()) > fine_tuning.FIRST_RATE and max(rates.values()) == fine_tuning.LAST_RATE
    assert [rates[f"{name}/kernel"] for name in learning] == sorted(rates[f"{name}/kernel"] for name in learning)

    def plan(*arguments: Any) -> Any:
        assert [*tmp_path.rglob("*.npy")], "a budget counts the time that is left after the features"
        return plan_recipe(*arguments)

    monkeypatch.setattr("pawline.train.plan_recipe", plan)
    trained = train(PreparedImages(striped), split_of(60), network, params, features=tmp_path / "features")
    [after] = [layer for layer in trained.model.layers if isinstance(layer, keras.Model)]
    changed = [
        name
        for name in names
        if not np.array_equal(body.get_layer(name).get_weights()[0], after.get_layer(name).get_weights()[0])
    ]
    assert changed == learning, "frozen layers keep every byte"
    kernel, other = (model.get_layer("head").get_weights()[0] for model in (body, after))
    assert np.linalg.norm(other) > 0.999 * np.linalg.norm(kernel), "a decay of 1 would shrink it"
    assert trained.history["accuracy"].iloc[0] >= 0.8, "the first epoch starts with the fitted layer"


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_each_layer_gets_its_own_rate_and_none_decays(optimizer: str) -> None:
    from pawline.model.backend import keras, tf
    from pawline.training import fine_tuning
    from pawline.training.optimizers import build_optimizer

    inside = [keras.layers.Dense(1, name=name) for name in ("first", "second", "third")]
    body = keras.Sequential([keras.Input((1,)), *inside])
    output = keras.layers.Dense(1, name="output")
    pixels = keras.Input((1,))
    model = keras.Model(pixels, output(body(pixels)), name="pretrained")
    update = {"optimizer": optimizer, "learning_rate": 0.1, "weight_decay": 0.5}
    built = build_optimizer(some_recipe(**update))
    fine_tuning.adapt(built, model)
    built.build(model.trainable_variables)
    kernels = [layer.kernel for layer in (*inside, output)]
    before = [float(kernel.numpy()[0, 0]) for kernel in kernels]
    built.apply(
        [tf.ones_like(variable.value) for variable in model.trainable_variables], model.trainable_variables
    )
    first, second, third, new = (
        value - float(kernel.numpy()[0, 0]) for value, kernel in zip(before, kernels, strict=True)
    )
    np.testing.assert_allclose([first, second, third], [0.1 * new, 0.1**0.5 * new, new], rtol=1e-2)
    assert 0 < new < 0.02, "a decay would add 0.05 times the weight"
