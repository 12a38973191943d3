"""Training learns what is there to learn, repeats, stops in time and keeps the best."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pawline.errors import PawlineError
from pawline.ingest import ingest
from pawline.model import load_model, predict_rows, save_model, save_with_card
from pawline.params import Params, load_params
from pawline.prepare import prepare
from pawline.shards import Part, PreparedImages
from pawline.split import split_images
from pawline.train import Trained, random_boxes, summarize, train
from tests.conftest import TINY, encode, set_params, write_pictures
from tests.source import ROOT


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Params:
    folder = tmp_path_factory.mktemp("params")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    source = write_pictures(folder / "pictures")
    set_params(folder, TINY | {"ingest.source": str(source)})
    return load_params(folder / "params.yaml")


@pytest.fixture(scope="module")
def data(params: Params, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedImages, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("data")
    prepare(
        ingest(params.ingest, folder / "raw").rows.table(),
        folder / "raw",
        folder / "prepared",
        params.prepare,
        folder / "cache",
    )
    images = PreparedImages(folder / "prepared")
    return images, split_images(images, params.split)[0]


@pytest.fixture(scope="module")
def trained(data: tuple[PreparedImages, pd.DataFrame], params: Params) -> Trained:
    return train(*data, params.network, params.train.model_copy(update={"epochs": 4}))


def test_stripes_are_told_apart(trained: Trained, data: tuple[PreparedImages, pd.DataFrame]) -> None:
    test = Part.of("test", *data)
    assert len(test.rows) > 20
    assert (predict_rows(trained.model, data[0], test.rows).argmax(axis=1) == test.labels).mean() >= 0.95


def test_the_kept_weights_are_those_of_the_lowest_val_loss(
    trained: Trained, data: tuple[PreparedImages, pd.DataFrame]
) -> None:
    history = trained.history.set_index("epoch")
    assert trained.best_epoch == history["val_loss"].idxmin()
    val = Part.of("val", *data)
    of_truth = predict_rows(trained.model, data[0], val.rows)[np.arange(len(val.labels)), val.labels]
    assert -np.log(of_truth.astype(float)).mean() == pytest.approx(history["val_loss"].min(), rel=1e-5)
    assert summarize(trained)["val_loss"] == history["val_loss"].min()


def test_learning_rate_rises_then_falls_to_zero(trained: Trained) -> None:
    rates = trained.history["learning_rate"]
    assert rates.iloc[0] > 0.009
    assert rates.is_monotonic_decreasing
    assert rates.iloc[-1] == pytest.approx(0, abs=1e-12)


def test_the_same_seed_makes_the_same_file_and_another_seed_another(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, tmp_path: Path
) -> None:
    def saved(seed: int, name: str) -> bytes:
        model = train(*data, params.network, params.train.model_copy(update={"epochs": 1, "seed": seed})).model
        save_model(model, tmp_path / name)
        return (tmp_path / name).read_bytes()

    first = saved(1, "first.keras")
    assert saved(1, "again.keras") == first
    assert saved(2, "other.keras") != first


def test_a_saved_model_predicts_the_same(
    trained: Trained, data: tuple[PreparedImages, pd.DataFrame], tmp_path: Path
) -> None:
    card = save_with_card(trained.model, tmp_path / "model.keras", data[0], "0" * 64)
    assert card.class_names == ["horizontal", "vertical"]
    rows = np.arange(len(data[0]))
    np.testing.assert_array_equal(
        predict_rows(load_model(tmp_path / "model.keras"), data[0], rows),
        predict_rows(trained.model, data[0], rows),
    )


def test_training_stops_when_val_no_longer_improves(
    data: tuple[PreparedImages, pd.DataFrame], params: Params
) -> None:
    """A learning rate this small changes float32 weights by nothing, so val loss stays where it is."""
    still = params.train.model_copy(update={"epochs": 50, "patience": 2, "learning_rate": 1e-30})
    trained = train(*data, params.network, still)
    assert (trained.best_epoch, len(trained.history)) == (1, 3)


def test_a_loss_that_is_no_number_stops_with_step_and_remedy(
    data: tuple[PreparedImages, pd.DataFrame], params: Params
) -> None:
    wild = params.train.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(PawlineError, match=r"the loss is (nan|inf) at step \d+, .* smaller train.learning_rate"):
        train(*data, params.network, wild)


def test_each_epoch_is_reported_as_it_ends(data: tuple[PreparedImages, pd.DataFrame], params: Params) -> None:
    rows: list[dict[str, float]] = []
    history = train(*data, params.network, params.train, on_epoch=rows.append).history
    assert rows == history.to_dict("records")


def test_ten_classes_need_no_other_code(params: Params, tmp_path: Path) -> None:
    for label in range(10):
        folder = tmp_path / "digits" / f"class {label}"
        folder.mkdir(parents=True)
        for number in range(12):
            tone = np.random.default_rng([label, number]).normal(20 + 23 * label, 4, (20, 20, 3))
            (folder / f"{number}.png").write_bytes(encode(tone.clip(0, 255).astype(np.uint8), ".png"))
    source = params.ingest.model_copy(update={"source": str(tmp_path / "digits")})
    prepare(
        ingest(source, tmp_path / "raw").rows.table(),
        tmp_path / "raw",
        tmp_path / "prepared",
        params.prepare,
        tmp_path / "cache",
    )
    images = PreparedImages(tmp_path / "prepared")
    parts = pd.DataFrame(
        {
            "path": images.table["path"],
            "label": images.table["label"],
            "split": ["val" if number % 4 == 0 else "train" for number in range(120)],
        }
    )
    model = train(images, parts, params.network, params.train.model_copy(update={"epochs": 1})).model
    probabilities = predict_rows(model, images, np.arange(120))
    assert probabilities.shape == (120, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_crops_stay_inside_and_cover_at_least_their_share() -> None:
    boxes = random_boxes(2000, 0.5, flip=False, rng=np.random.default_rng(1))
    top, left, bottom, right = boxes.T
    assert boxes.min() >= 0
    assert boxes.max() <= 1 + 1e-6
    area = (bottom - top) * (right - left)
    # A crop of the full area at 3:4 does not fit and is cut to the picture: three quarters of it remain.
    assert area.min() >= 0.5 * 0.75 - 1e-6
    assert np.ptp(area) > 0.4


def test_half_of_the_crops_are_mirrored() -> None:
    boxes = random_boxes(2000, 0.5, flip=True, rng=np.random.default_rng(1))
    assert 0.45 < (boxes[:, 3] < boxes[:, 1]).mean() < 0.55
    upright = random_boxes(2000, 0.5, flip=False, rng=np.random.default_rng(1))
    assert (upright[:, 3] > upright[:, 1]).all()


def test_a_mirrored_box_reads_the_picture_mirrored() -> None:
    from pawline.backend import tf

    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    read = tf.image.crop_and_resize(picture, np.array([[0, 1, 1, 0]], np.float32), [0], (4, 4)).numpy()
    np.testing.assert_array_equal(read[0, :, :, 0], picture[0, :, ::-1, 0])
