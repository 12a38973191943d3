"""A network may see smaller pictures than the prepared ones: the same ones in training, evaluation and prediction."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pawline.errors import ModelError
from pawline.params.prepare import ImageForm
from pawline.pictures.decode import decode_image
from pawline.pictures.shrink import shrink
from pawline.prepared import Concatenation, PreparedImages, write_description, write_shard
from tests.conftest import encode, stripes

FORM = ImageForm(image_size=24, color="rgb", aspect="stretch", background=255)


def test_each_new_pixel_is_the_mean_of_those_it_covers() -> None:
    pixels = np.array([[0, 100, 8, 8], [100, 200, 8, 8], [0, 0, 1, 3], [0, 0, 5, 7]], np.uint8)[:, :, None]
    assert shrink(pixels, 2).tolist() == [[[100], [8]], [[0], [4]]]
    # Of three pixels two are made: each of a whole one and a half.
    row = np.tile(np.array([30, 90, 240], np.uint8)[None, :, None], (3, 1, 1))
    assert shrink(row, 2)[0, :, 0].tolist() == [50, 190]


@pytest.mark.parametrize("color", ["grayscale", "rgb"])
def test_evaluation_and_prediction_see_the_same_pixels(color: str, tmp_path: Path) -> None:
    form = FORM.model_copy(update={"color": color})
    files = [encode(stripes(True, seed)) for seed in range(3)]
    stored = np.stack([decode_image(data, **form.model_dump()) for data in files])
    write_shard(tmp_path, 0, Concatenation([stored]), np.arange(3))
    hashes = np.zeros((3, 1), np.uint64)
    write_description(tmp_path, pd.DataFrame({"path": ["a", "b", "c"]}), hashes, ["x", "y"], "decoder", form)
    images = PreparedImages(tmp_path)

    seen = images.shrunk_to(16)
    assert (seen.form.image_size, seen.form.prepared_size) == (16, 24)
    predicted = np.stack([decode_image(data, **seen.form.model_dump()) for data in files])
    np.testing.assert_array_equal(seen.pixels(np.arange(3)), predicted)
    np.testing.assert_array_equal(images.pixels(np.arange(3)), stored)
    np.testing.assert_array_equal(images.seen_as(seen.form).pixels(np.arange(3)), predicted)
    assert images.shrunk_to(24).form == form and "shrunk_from" not in form.model_dump()

    other = ImageForm(image_size=16, color=color, aspect="crop", background=255, shrunk_from=24)  # type: ignore[arg-type]
    with pytest.raises(
        ModelError, match=r"expects pictures image_size=16 .*aspect=crop .*, but they are prepared"
    ):
        images.seen_as(other)
