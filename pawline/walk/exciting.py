"""Training pictures in which a feature map has its largest values: what the map may have learned to look for.

They are found once per model by the formulas of walk/formulas.py, on a sample of the train part, and kept as digests.
"""

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from pawline.files import write_json
from pawline.pictures.decode import Pixels, to_jpeg
from pawline.prepared import PreparedImages
from pawline.walk.formulas import num_products, run_network
from pawline.walk.network import Network, group_nodes

NUM_SHOWN = 4  # pictures for each map
MAX_SAMPLED = 256  # pictures
MAX_PRODUCTS = 10**10  # multiplications: seconds
BATCH = 8
MAX_SIDE = 96  # pixels of a picture on the page
FORM_VERSION = 1


def find_exciting(network: Network, images: PreparedImages, train: pd.DataFrame) -> dict[str, Any]:
    """The content of `exciting.json`. train: path and digest of the pictures of the train part, in any order.

    The sample takes the smallest digests: chosen by chance, and the same each time."""
    sample = train.drop_duplicates("digest").sort_values("digest").head(_sample_size(network, images))
    rows = images.rows_of(sample["path"])
    ends = _layers(network)
    largest: dict[int, list[Any]] = {number: [] for number in ends}
    for first in range(0, len(rows), BATCH):
        outputs = run_network(network, images.pixels(rows[first : first + BATCH]))
        for number in ends:
            largest[number].append(outputs[number].max(axis=(1, 2)))
    digests = sample["digest"].to_numpy()
    layers = {str(number): _strongest(np.concatenate(values), digests) for number, values in largest.items()}
    return {"version": FORM_VERSION, "num_pictures": len(rows), "layers": layers}


def kept_exciting(file: Path, network: Network, images: PreparedImages, train: pd.DataFrame) -> dict[str, Any]:
    """What `find_exciting` found, from the file where it was kept."""
    try:
        content = json.loads(file.read_text())
        if content["version"] == FORM_VERSION:
            return dict(content)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    content = find_exciting(network, images, train)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, content)
    return content


def for_page(found: dict[str, Any], images: PreparedImages, train: pd.DataFrame) -> dict[str, Any]:
    """The same with each picture's pixels, once: `pictures` holds JPEGs, `layers` positions in it."""
    wanted = sorted({digest for maps in found["layers"].values() for one in maps for digest in one})
    known = train.drop_duplicates("digest").set_index("digest")
    wanted = [digest for digest in wanted if digest in known.index]
    places = {digest: place for place, digest in enumerate(wanted)}
    pixels = images.pixels(images.rows_of(known.loc[wanted, "path"]))
    layers = {
        number: [[places[digest] for digest in one if digest in places] for one in maps]
        for number, maps in found["layers"].items()
    }
    pictures = ["data:image/jpeg;base64," + base64.b64encode(to_jpeg(_small(one))).decode() for one in pixels]
    return {"num_pictures": found["num_pictures"], "layers": layers, "pictures": pictures}


def _layers(network: Network) -> list[int]:
    """The last node of each convolution or addition with its activation, and of each pooling."""
    kinds = ("convolution", "depthwise", "add", "max_pooling", "average_pooling")
    return [step["chain"][-1] for step in group_nodes(network.nodes) if step["kind"] in kinds]


def _sample_size(network: Network, images: PreparedImages) -> int:
    one = run_network(network, images.pixels(np.arange(1)))
    return int(np.clip(MAX_PRODUCTS // max(1, num_products(network, one)), 16, MAX_SAMPLED))


def _strongest(values: Any, digests: Any) -> list[list[str]]:
    """values: float32 (n, maps). A picture in which the map is nowhere above zero is left out."""
    order = np.argsort(-values, axis=0, kind="stable")[:NUM_SHOWN]
    return [
        [str(digests[row]) for row in order[:, channel] if values[row, channel] > 0]
        for channel in range(values.shape[1])
    ]


def _small(pixels: Pixels) -> Pixels:
    if len(pixels) <= MAX_SIDE:
        return pixels
    small = cv2.resize(pixels, (MAX_SIDE, MAX_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(MAX_SIDE, MAX_SIDE, -1)
