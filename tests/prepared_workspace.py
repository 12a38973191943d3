"""A workspace whose pictures are prepared and split, without a stage run: for commands that train on their own."""

from pathlib import Path

from pawline.ingest import ingest
from pawline.params.whole import load_params
from pawline.prepare import prepare
from pawline.prepared import PreparedImages
from pawline.split import split_images
from tests.conftest import make_workspace, set_params


def prepared_workspace(folder: Path, num_pictures: int) -> Path:
    """`num_pictures` striped pictures per class, at most 60, and a network of a thousand weights."""
    make_workspace(folder)
    for picture in folder.glob("pictures/*/*.jpg"):
        if int(picture.stem) >= num_pictures:
            picture.unlink()
    set_params(folder, {"network.fast.filters": [4, 8], "train.sizes": [1.0], "train.epochs": 2})
    params = load_params(folder / "params.yaml")
    source = params.ingest.model_copy(update={"source": str(folder / "pictures")})
    data = folder / "data"
    found = ingest(source, data / "raw", folder / "downloads").rows.table()
    prepare(found, data / "raw", data / "prepared", params.prepare, folder / "cache")
    split_images(PreparedImages(data / "prepared"), params.split).used.to_parquet(data / "split.parquet")
    return folder
