"""Training learns its data, is repeatable, stops in time, resumes and keeps the best epoch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pawline.epochs import Epochs, KeptEpoch, read_epochs, write_epochs
from pawline.errors import ModelError, ParamsError, PawlineError
from pawline.ingest import ingest
from pawline.model.backend import keras
from pawline.model.machine import supports_bfloat16
from pawline.model.saved import load_model, predict_rows, save_model, save_with_card
from pawline.params.train import CHOSEN, Recipe, TrainParams
from pawline.params.whole import Params, load_params
from pawline.parts import Part
from pawline.prepare import prepare
from pawline.prepared import PreparedImages
from pawline.recipe import Facts, choose
from pawline.split import split_images
from pawline.train import Trained, epochs_of, summarize, train
from pawline.training.checkpoint import Checkpoint, EpochRow, Progress
from pawline.training.kept_epochs import MAX_BYTES, num_to_keep, planned_epochs
from pawline.training.networks import build_network
from pawline.training.schedule import Schedule
from pawline.training.trainer import MIN_PIECE_SIZE, Trainer
from tests.cards import CONDITIONS
from tests.conftest import TINY, encode, set_params, write_pictures
from tests.recipes import some_recipe
from tests.source import ROOT


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Params:
    folder = tmp_path_factory.mktemp("params")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    source = write_pictures(folder / "pictures")
    set_params(folder, TINY | {"ingest.source": str(source), "train.cutout": 0.0})
    return load_params(folder / "params.yaml")


def recipe(params: Params, **values: Any) -> Recipe:
    """The params with every value chosen, for a trainer of its own."""
    facts = Facts(params.network, params.prepare.image_size, num_images=1000)
    return choose(params.train, facts).model_copy(update=values)


@pytest.fixture(scope="module")
def data(params: Params, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedImages, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("data")
    prepare(
        ingest(params.ingest, folder / "raw", folder / "downloads").rows.table(),
        folder / "raw",
        folder / "prepared",
        params.prepare,
        folder / "cache",
    )
    images = PreparedImages(folder / "prepared")
    return images, split_images(images, params.split)[0]


@pytest.fixture(scope="module", params=["float32", "bfloat16"] if supports_bfloat16() else ["float32"])
def trained(data: tuple[PreparedImages, pd.DataFrame], params: Params, request: pytest.FixtureRequest) -> Trained:
    return train(*data, params.network, params.train.model_copy(update={"epochs": 4, "precision": request.param}))


def test_training_learns_to_classify_stripes(trained: Trained, data: tuple[PreparedImages, pd.DataFrame]) -> None:
    test = Part.of("test", *data)
    assert len(test.rows) > 20
    assert (predict_rows(trained.model, data[0], test.rows).argmax(axis=1) == test.labels).mean() >= 0.95


def test_the_weights_of_the_lowest_val_loss_are_kept(
    trained: Trained, data: tuple[PreparedImages, pd.DataFrame], request: pytest.FixtureRequest
) -> None:
    history = trained.history.set_index("epoch")
    assert trained.best_epoch == history["val_loss"].idxmin()
    val = Part.of("val", *data)
    true_class = predict_rows(trained.model, data[0], val.rows)[np.arange(len(val.labels)), val.labels]
    # The model is always saved in float32; the history has the precision of the training.
    rounding = 1e-4 if request.node.callspec.params["trained"] == "float32" else 0.05
    assert -np.log(true_class.astype(float)).mean() == pytest.approx(history["val_loss"].min(), rel=rounding)
    assert summarize(trained)["val_loss"] == pytest.approx(history["val_loss"].min(), rel=rounding)


def test_a_seed_determines_the_bytes_of_the_model(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, tmp_path: Path
) -> None:
    def model_bytes(seed: int, name: str) -> bytes:
        model = train(*data, params.network, params.train.model_copy(update={"epochs": 1, "seed": seed})).model
        save_model(model, tmp_path / name)
        return (tmp_path / name).read_bytes()

    expected = model_bytes(1, "first.keras")
    assert model_bytes(1, "second.keras") == expected
    assert model_bytes(2, "other.keras") != expected


def test_a_saved_model_predicts_the_same(
    trained: Trained, data: tuple[PreparedImages, pd.DataFrame], tmp_path: Path
) -> None:
    card = save_with_card(trained.model, tmp_path / "model.keras", data[0], "0" * 64, CONDITIONS)
    assert card.class_names == ["horizontal", "vertical"]
    rows = np.arange(len(data[0]))
    np.testing.assert_array_equal(
        predict_rows(load_model(tmp_path / "model.keras"), data[0], rows),
        predict_rows(trained.model, data[0], rows),
    )


def test_training_stops_when_val_no_longer_improves(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    """A learning rate this small changes no float32 weight, so val loss stays the same. The rate rises in the first
    fifth of the epochs, which do not count towards the patience."""
    constant = params.train.model_copy(
        update={"epochs": 50, "patience": 2, "learning_rate": 1e-30, "warm_up": 0.2}
    )
    trained = train(*data, params.network, constant)
    assert (trained.best_epoch, len(trained.history)) == (1, 12)
    assert capsys.readouterr().err == (
        "pawline: train: stopped after epoch 12 of 50: val loss has not fallen for 2 (train.patience)\n"
    )


def test_training_stops_if_the_loss_is_not_a_number(
    data: tuple[PreparedImages, pd.DataFrame], params: Params
) -> None:
    diverging = params.train.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(PawlineError, match=r"the loss is (nan|inf) at step \d+, .* smaller train.learning_rate"):
        train(*data, params.network, diverging)


def test_nan_weights_do_not_replace_the_saved_state(
    data: tuple[PreparedImages, pd.DataFrame],
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loss was computed before the update, so only the weights show the damage of the third step."""
    checkpoint = Checkpoint(tmp_path / "state.npz", "this one")
    step = Trainer.step

    def step_with_nan_at_three(self: Trainer, number: int, *arguments: float) -> tuple[float, float]:
        result = step(self, number, *arguments)  # type: ignore[arg-type]
        if number == 3:
            self.model.trainable_variables[0].assign(self.model.trainable_variables[0] * float("nan"))
        return result

    monkeypatch.setattr("pawline.training.loop.SAVE_FRACTION", 1e9)
    monkeypatch.setattr(Trainer, "step", step_with_nan_at_three)
    with pytest.raises(PawlineError, match="the weights are no longer numbers after step 3, .* smaller"):
        train(*data, params.network, params.train, checkpoint=checkpoint)
    progress, variables, *_ = checkpoint.load() or pytest.fail("lost")
    assert progress.step == 2
    assert all(np.isfinite(values).all() for values in variables)


def test_each_epoch_is_reported(data: tuple[PreparedImages, pd.DataFrame], params: Params) -> None:
    rows: list[dict[str, float]] = []
    history = train(*data, params.network, params.train, on_epoch=rows.append).history
    assert all(row.pop("images_per_second") > 0 for row in rows)
    assert rows == history.to_dict("records")


def test_ten_classes_train_like_two(params: Params, tmp_path: Path) -> None:
    for label in range(10):
        folder = tmp_path / "digits" / f"class {label}"
        folder.mkdir(parents=True)
        for number in range(12):
            tone = np.random.default_rng([label, number]).normal(20 + 23 * label, 4, (20, 20, 3))
            (folder / f"{number}.png").write_bytes(encode(tone.clip(0, 255).astype(np.uint8), ".png"))
    source = params.ingest.model_copy(update={"source": str(tmp_path / "digits")})
    prepare(
        ingest(source, tmp_path / "raw", tmp_path / "downloads").rows.table(),
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
            "digest": [f"{number:064x}" for number in range(120)],
            "split": ["val" if number % 4 == 0 else "train" for number in range(120)],
        }
    )
    model = train(images, parts, params.network, params.train.model_copy(update={"epochs": 1})).model
    probabilities = predict_rows(model, images, np.arange(120))
    assert probabilities.shape == (120, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


class StoppedError(Exception):
    """Stands for a kill: nothing catches this exception."""


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save the state after every step, and stop the training after this step."""
    save = Checkpoint.save

    def save_and_stop(self: Checkpoint, progress: Progress, *arrays: Any) -> None:
        save(self, progress, *arrays)
        if progress.step == step:
            raise StoppedError

    monkeypatch.setattr("pawline.training.loop.SAVE_FRACTION", 1e9)
    monkeypatch.setattr(Checkpoint, "save", save_and_stop)


def files_of(trained: Trained, path: Path) -> list[bytes]:
    """The content of the model's file and of its kept epochs' one, written to a path without its ending."""
    model, epochs = path.with_suffix(".keras"), path.with_suffix(".npz")
    save_model(trained.model, model)
    write_epochs(epochs, epochs_of(trained, "d" * 64))
    return [model.read_bytes(), epochs.read_bytes()]


@pytest.mark.parametrize("step", [0, 1, 14, 17, 28])
@pytest.mark.parametrize("name", ["fast", "classic"])
def test_a_resumed_training_ends_with_the_same_bytes(
    data: tuple[PreparedImages, pd.DataFrame],
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    name: str,
) -> None:
    """An epoch has 14 steps. Stop before the first step, within an epoch, at its end, and after the last step."""
    classic = params.network.classic.model_copy(update={"dropout": 0.5})
    network = params.network.model_copy(update={"name": name, "classic": classic})
    two_epochs = params.train.model_copy(update={"epochs": 2, "learning_rate": 0.01, "keep_epochs": 3})
    checkpoint, rows = Checkpoint(tmp_path / "state.npz", "this one"), []
    with monkeypatch.context() as patched:
        stop_at(step, patched)
        with pytest.raises(StoppedError):
            train(*data, network, two_epochs, on_epoch=rows.append, checkpoint=checkpoint)
    epochs_before = [row["epoch"] for row in rows]
    resumed = train(*data, network, two_epochs, on_epoch=rows.append, checkpoint=checkpoint)
    uninterrupted = train(*data, network, two_epochs)
    assert files_of(resumed, tmp_path / "resumed") == files_of(uninterrupted, tmp_path / "uninterrupted")
    pd.testing.assert_frame_equal(resumed.history, uninterrupted.history)
    assert epochs_before == list(range(1, step // 14 + 1))
    assert [row["epoch"] for row in rows] == [*epochs_before, 1, 2]


def test_kept_epochs_are_those_that_would_have_been_saved(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, tmp_path: Path
) -> None:
    """The saved model with the weights of an epoch has the loss on val that the history has for it."""
    kept = params.train.model_copy(
        update={"epochs": 2, "keep_epochs": 3, "ema": 0.9, "flip_at_test": True, "precision": "float32"}
    )
    trained = train(*data, params.network, kept)
    write_epochs(tmp_path / "epochs.npz", epochs_of(trained, "d" * 64))
    epochs = read_epochs(tmp_path / "epochs.npz", "d" * 64)
    assert [one.epoch for one in epochs.kept] == [0, 1, 2]
    assert (epochs.best_epoch, epochs.num_epochs) == (trained.best_epoch, 2)
    saved, val = trained.model.get_weights(), Part.of("val", *data)
    for one in epochs.kept:
        assert (not one.weights) == (one.epoch == trained.best_epoch), "what equals the model is not stored again"
        trained.model.set_weights([one.weights.get(at, weight) for at, weight in enumerate(saved)])
        # Half of the flipped network is the network that the history speaks of.
        half = keras.Model(trained.model.inputs[0], trained.model.get_layer("fast")(trained.model.inputs[0]))
        found = predict_rows(half, data[0], val.rows)[np.arange(len(val.labels)), val.labels]
        if one.epoch:
            expected = trained.history.set_index("epoch").loc[one.epoch, "val_loss"]
            assert -np.log(found.astype(float)).mean() == pytest.approx(expected, rel=1e-4)
            assert one.figures["val_loss"] == expected


def test_kept_epochs_are_spread_evenly_and_fit_into_their_room(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Schedule(some_recipe(), num_batches=10, num_steps=300)
    assert planned_epochs(plan, 0) == []
    assert planned_epochs(plan, 4) == [0, 10, 20, 30]
    assert planned_epochs(plan.changed(120, num_epochs=-14), 4) == [0, 10, 14, 16]
    short = replace(plan, num_steps=30)
    assert planned_epochs(short, 8) == [0, 1, 2, 3]
    assert planned_epochs(short.changed(10, num_epochs=27), 8) == [0, 1, 6, 11, 16, 20, 25, 30]
    assert num_to_keep(8, 1000) == 8
    assert capsys.readouterr().err == ""
    assert num_to_keep(8, MAX_BYTES // 2) == 2
    assert capsys.readouterr().err == (
        "pawline: train: train.keep_epochs is 8, but each takes 64.0 MB: 2 are kept, which fit into 128 MB\n"
    )


def test_epochs_of_another_model_and_damaged_ones_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "epochs.npz"
    write_epochs(file, Epochs("d" * 64, 1, 1, [KeptEpoch(0, {}, {0: np.ones(300, np.float32)})]))
    whole = file.read_bytes()
    with pytest.raises(ModelError, match=r"^.*epochs\.npz: belongs to another model, dddddddddddd…$"):
        read_epochs(file, "e" * 64)
    for damaged in (whole[:-100], whole.replace(b"\x80?", b"\x80@", 1), b""):
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"^.*epochs\.npz: damaged \(.*\)$"):
            read_epochs(file, "d" * 64)
    file.unlink()
    with pytest.raises(ModelError, match=r"^.*epochs\.npz: not found$"):
        read_epochs(file, "d" * 64)


def test_training_starts_over_from_a_damaged_state_with_a_warning(
    data: tuple[PreparedImages, pd.DataFrame],
    params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_epoch = params.train.model_copy(update={"epochs": 1})
    checkpoint = Checkpoint(tmp_path / "state.npz", "this one")
    with monkeypatch.context() as patched:
        stop_at(7, patched)
        with pytest.raises(StoppedError):
            train(*data, params.network, one_epoch, checkpoint=checkpoint)
    content = bytearray(checkpoint.path.read_bytes())
    middle = slice(len(content) // 2, len(content) // 2 + 64)
    flipped = content.copy()
    flipped[middle] = bytes(255 - byte for byte in content[middle])
    encrypted = content.copy()
    encrypted[content.index(b"PK\x01\x02") + 8] ^= 1  # the flag of the first entry in the zip's directory
    for damaged_content in (content[:1000], flipped, encrypted, b""):
        checkpoint.path.write_bytes(damaged_content)
        assert checkpoint.load() is None
        assert capsys.readouterr().err.startswith(f"pawline: warning: {checkpoint.path}: damaged (")
        assert checkpoint.load() is None
        assert capsys.readouterr().err == ""  # only one warning
    history = train(*data, params.network, one_epoch, checkpoint=checkpoint).history
    pd.testing.assert_frame_equal(history, train(*data, params.network, one_epoch).history)


def test_training_refuses_a_gpu_that_tensorflow_cannot_use(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.training.trainer.has_gpu", lambda: True)
    monkeypatch.setattr("pawline.training.trainer.GPUS", [])
    with pytest.raises(
        PawlineError, match=r"there is an NVIDIA GPU, but .* set CUDA_VISIBLE_DEVICES=-1 to train on"
    ):
        train(*data, params.network, params.train)


def test_the_state_of_another_training_is_neither_used_nor_removed(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state.npz", "this one").save(Progress(3), [np.arange(3)], [], {4: [np.arange(2)]})
    assert Checkpoint(tmp_path / "state.npz", "another one").load() is None
    progress, variables, best, kept = Checkpoint(tmp_path / "state.npz", "this one").load() or pytest.fail("lost")
    assert (progress, variables[0].tolist(), best, kept[4][0].tolist()) == (Progress(3), [0, 1, 2], [], [0, 1])


def test_a_time_budget_fixes_the_number_of_steps_at_the_start(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number follows from the rest of the half minute and the seconds of a step. `train.steps` with the same number
    makes the same model."""
    monkeypatch.setattr("pawline.training.trainer.Trainer.step_seconds", lambda self, sizes: [0.25, 0.75])
    monkeypatch.setattr("pawline.training.plan.time.time", lambda: 2e9)
    monkeypatch.setattr("pawline.training.plan.Watch.change", lambda *_: 0)  # however busy this machine is
    budget = params.train.model_copy(update={"minutes": 0.5, "patience": 1000})
    trained = train(*data, params.network, budget, started=2e9 - 5)
    assert trained.num_steps == 30  # 30 s minus 5 s minus FINISH_SECONDS, at half a second each
    assert trained.history["learning_rate"].iloc[-1] == 0

    repeated = train(*data, params.network, params.train.model_copy(update={"steps": 30, "patience": 1000}))
    for training, name in ((trained, "budget.keras"), (repeated, "repeated.keras")):
        save_model(training.model, tmp_path / name)
    assert (tmp_path / "repeated.keras").read_bytes() == (tmp_path / "budget.keras").read_bytes()


def test_a_recipe_that_was_chosen_changed_and_resumed_repeats_to_the_byte(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """36 seconds, 3 of them for kept epochs, pay for 36 steps, in epochs of 14; the training is killed after the first
    epoch; the second process adds an epoch, and drops it after the next one. The network sees the pictures of 16 pixels
    at 8."""
    monkeypatch.setattr("pawline.training.plan.time.time", lambda: 2e9)
    by_hand = {"minutes": 0.6, "predict_size": 0.5, "batch_size": 4, "keep_epochs": 3}
    asked = TrainParams.model_validate(dict(params.train) | dict.fromkeys(CHOSEN, "auto") | by_hand)
    checkpoint = Checkpoint(tmp_path / "state.npz", "key")

    def killed(row: EpochRow) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as measured, pytest.raises(KeyboardInterrupt):
        measured.setattr("pawline.training.trainer.Trainer.step_seconds", lambda self, sizes: [0.5] * len(sizes))
        measured.setattr("pawline.training.loop.SAVE_FRACTION", 1e9)  # save after each step
        train(*data, params.network, asked, killed, checkpoint, 2e9 - 5)
    monkeypatch.setattr("pawline.training.loop.LOOK_SECONDS", 0)
    changes = iter([1, -1])
    monkeypatch.setattr("pawline.training.plan.Watch.change", lambda *_: next(changes))
    trained = train(*data, params.network, asked, checkpoint=checkpoint, started=2e9 - 5)
    assert (trained.recipe.steps, trained.recipe.cuts, trained.num_steps) == (36, ((14, 50), (28, 36)), 36)
    assert trained.recipe.automatic == [] and trained.recipe.minutes is None
    assert trained.images.form.model_dump(include={"image_size", "shrunk_from"}) == {
        "image_size": 8, "shrunk_from": 16
    }  # fmt: skip
    assert len(trained.history) == 3
    assert [one.epoch for one in trained.kept] == [0, 2, 3]

    repeated = train(*data, params.network, trained.recipe)
    assert repeated.recipe == trained.recipe
    assert files_of(repeated, tmp_path / "repeated") == files_of(trained, tmp_path / "chosen")


def test_a_time_budget_for_too_few_steps_is_refused(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pawline.training.trainer.Trainer.step_seconds", lambda self, sizes: [0.5])
    monkeypatch.setattr("pawline.training.plan.time.time", lambda: 2e9)
    short_budget = params.train.model_copy(update={"minutes": 0.25})
    # 15 s minus 1 s minus FINISH_SECONDS, at half a second a step; an epoch of 7 s needs 18 s, and a tenth more.
    says = r"train.minutes is 0.25: .* time for 8 steps of 4 pictures, and one epoch has 14; expected about 0.4"
    with pytest.raises(ParamsError, match=says):
        train(*data, params.network, short_budget, started=2e9 - 1)
    with pytest.raises(
        ParamsError, match="time for 0 steps of 4 pictures, and one epoch has 14; expected about 1.3"
    ):
        train(*data, params.network, short_budget, started=2e9 - 60)


def test_measuring_the_step_time_changes_no_variable(
    data: tuple[PreparedImages, pd.DataFrame], params: Params
) -> None:
    model = build_network(params.network, data[0].form, 2, "float32")
    trainer = Trainer(model, recipe(params), data[0], Part.of("train", *data))
    variables = trainer.variables()
    assert all(seconds > 0 for seconds in trainer.step_seconds([8, 16]))
    for old, new in zip(variables, trainer.variables(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_batch_larger_than_the_train_part_shrinks_to_it_and_says_so(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    num_images = int((data[1]["split"] == "train").sum())
    short = params.train.model_copy(update={"epochs": 1})
    exact = train(*data, params.network, short.model_copy(update={"batch_size": num_images}))
    assert "batch" not in capsys.readouterr().err
    assert "batch_size" not in summarize(exact)
    shrunk = train(*data, params.network, short.model_copy(update={"batch_size": 1000}))
    assert capsys.readouterr().err == (
        f"pawline: train: train.batch_size is 1000, but there are {num_images} pictures to train on: "
        f"a batch holds these {num_images}\n"
    )
    assert summarize(shrunk) == summarize(exact) | {"batch_size": num_images}
    for one, other in zip(shrunk.model.get_weights(), exact.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_balancing_makes_a_rare_class_count_as_much_as_a_common_one(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, balance: str
) -> None:
    """With 9 images of a common class for each image of a rare one, measure the rare class's fraction of the loss."""
    images, split = data
    common, rare = (np.flatnonzero(images.table["label"] == label) for label in (0, 1))
    rows = np.concatenate([common[:45], rare[:5]])
    part = Part([], rows, images.table["label"].to_numpy()[rows])
    model = build_network(params.network, images.form, 2, "float32")
    trainer = Trainer(model, recipe(params, balance=balance), images, part)
    labels = np.concatenate([part.labels[trainer.order(epoch)] for epoch in range(1, 41)])
    weights = trainer._class_weights[labels]
    fraction = (weights * (labels == 1)).sum() / weights.sum()
    assert fraction == pytest.approx(0.1 if balance == "none" else 0.5, abs=0.03)


@pytest.mark.parametrize("network", ["classic", "fast"])
def test_a_batch_in_two_pieces_makes_one_step(
    data: tuple[PreparedImages, pd.DataFrame], params: Params, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classic network's step equals that of a whole batch; the fast network normalizes each piece by itself."""
    results = {}
    for num_pieces in (1, 2):
        monkeypatch.setattr("pawline.training.trainer.NUM_PIECES", num_pieces)
        keras.utils.set_random_seed(1)
        model = build_network(params.network.model_copy(update={"name": network}), data[0].form, 2, "float32")
        odd_batch = recipe(params, batch_size=2 * MIN_PIECE_SIZE + 1)
        trainer = Trainer(model, odd_batch, data[0], Part.of("train", *data))
        losses = [trainer.step(step, 1, 1, 16, 0.01)[0] for step in (1, 2)]
        results[num_pieces] = np.concatenate([losses, *map(np.ravel, trainer.weights())])
    difference = np.abs(results[2] - results[1]).max()
    assert difference < 1e-5 if network == "classic" else 1e-3 < difference < 0.5


def test_two_epochs_show_each_image_both_ways(data: tuple[PreparedImages, pd.DataFrame], params: Params) -> None:
    model, part = build_network(params.network, data[0].form, 2, "float32"), Part.of("train", *data)
    trainer = Trainer(model, recipe(params), data[0], part)
    first, second, third = (trainer.mirror_mask(epoch) for epoch in (1, 2, 3))
    assert 0.25 < first.mean() < 0.75
    np.testing.assert_array_equal(second, ~first)
    np.testing.assert_array_equal(third, first)
    upright = Trainer(model, recipe(params, flip=False), data[0], part)
    assert not upright.mirror_mask(1).any()


def test_the_average_of_the_weights_is_validated_and_kept(
    data: tuple[PreparedImages, pd.DataFrame], params: Params
) -> None:
    """At a momentum this high the average stays near the first weights, which classify at random."""
    slow = params.train.model_copy(update={"ema": 0.99999})
    trained = train(*data, params.network, slow)
    assert trained.history["accuracy"].iloc[-1] > 0.8
    assert trained.history["val_accuracy"].max() < 0.8
