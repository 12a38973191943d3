"""What the page holds: the picture's steps, the values and weights of each layer, the class maps, the check."""

import base64
import json
from typing import Any

import cv2
import numpy as np

from pawline.card import Card
from pawline.pictures.decode import Header, Pixels, decode_image, read_header, safe_thumbnail, to_jpeg
from pawline.walk.blob import Blob
from pawline.walk.formulas import num_products, run_network, softmax
from pawline.walk.learnt import NO_EPOCHS, Learnt, learnt_content
from pawline.walk.network import Array, Network, Node, group_nodes, output_layers

MAX_BYTES = 8 * 10**6  # of the page, unless every weight was asked for
REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)
MAX_BINARY = 5_700_000  # of arrays in it: base64 makes them a third larger, and pictures and text need room
PAGE_TEXT, NODE_TEXT = 150_000, 250  # bytes: script and style; where the arrays of a node stand
PHOTO_SIDE = 480  # pixels of the longer side of the picture as shown
NUM_UNITS = 12  # strongest units of a fully connected layer that are listed
MAX_OCCLUSION_PRODUCTS = 6 * 10**9  # multiplications for the occlusion map: a few seconds


def walk_content(
    picture: bytes,
    name: str,
    card: Card,
    network: Network,
    full: bool,
    exciting: dict[str, Any] | None = None,
    learnt: Learnt | str = NO_EPOCHS,
) -> tuple[dict[str, Any], str]:
    """The page's description and its arrays in base64. Raises BadImage for a picture that cannot be decoded.

    exciting: from exciting.for_page. learnt: from kept.kept_epochs, or why there are no earlier epochs."""
    pixels = decode_image(picture, **card.form.model_dump())
    outputs = run_network(network, pixels[None])
    steps, blob = group_nodes(network.nodes), Blob(MAX_BINARY)
    logits, temperature = outputs[-1][0], card.temperature
    content = {
        "model": _model(card),
        "picture": _picture_steps(picture, name, card, pixels),
        "pixels": blob.add(pixels, "u1"),
        "steps": steps,
        "nodes": [_node(node, output[0]) for node, output in zip(network.nodes, outputs, strict=True)],
        "logits": logits.tolist(),
        "probabilities": softmax(logits[None], temperature)[0].tolist(),
        "temperature": temperature,
        "check": network.check,
        "occlusion": _occlusion(network, pixels, outputs, temperature),
        "exciting": exciting,
        "learnt": {"why": learnt}
        if isinstance(learnt, str)
        else learnt_content(learnt, network, pixels, temperature, blob),
        "full": full,
    }
    text = PAGE_TEXT + NODE_TEXT * len(network.nodes) + len(json.dumps(content))
    blob.room = max(0, min(MAX_BINARY, (MAX_BYTES - text) * 3 // 4))
    _embed_values(content["nodes"], steps, outputs, blob)
    _embed_weights(content["nodes"], network.nodes, blob, full)
    _embed_unit_sums(content["nodes"], network.nodes, outputs, blob)
    return content, blob.text()


def _model(card: Card) -> dict[str, Any]:
    return {
        "network": card.network,
        "digest": card.digest,
        "training_data_digest": card.training_data_digest,
        "num_weights": card.num_weights,
        "class_names": card.class_names,
        "form": card.form.model_dump(),
        "decoder": card.decoder,
    }


def _node(node: Node, output: Array) -> dict[str, Any]:
    shape = list(output.shape)
    sizes = {key: list(value.shape) for key, value in node.weights.items()}
    return {
        "name": node.name, "kind": node.kind, "inputs": node.inputs, "shape": shape, "sizes": sizes, **node.settings
    }  # fmt: skip


def _embed_values(
    nodes: list[dict[str, Any]], steps: list[dict[str, Any]], outputs: list[Array], blob: Blob
) -> None:
    """Each step's output: exact where all fit into half of the page, else in 256 levels per layer with exact samples;
    the largest are left out where even these do not fit, and the page says so."""
    shown = [step["chain"][-1] for step in steps]
    exact = sum(outputs[number].size * 4 for number in shown) <= blob.room // 2
    for number in sorted(shown, key=lambda number: outputs[number].size):
        values = outputs[number][0]
        if exact or values.size <= 4096:
            nodes[number]["values"] = blob.add(values)
        elif blob.size + values.size < blob.room * 0.75:
            low, high = float(values.min()), float(values.max())
            scaled = (values - low) / ((high - low) or 1) * 255
            nodes[number]["levels"] = [*blob.add(np.rint(scaled), "u1"), low, high]
        if "values" not in nodes[number]:
            places = np.linspace(0, values.size - 1, 256).astype(np.int64)
            nodes[number]["samples"] = [blob.add(places, "<i4"), blob.add(values.ravel()[places])]
        nodes[number]["largest"] = float(np.abs(values).max())


def _embed_weights(nodes: list[dict[str, Any]], weights: list[Node], blob: Blob, full: bool) -> None:
    """Weights, the output's first, then from the picture on, as far as the page has room; all of them if `full`."""
    heads = output_layers(weights)
    for number in [*heads, *(number for number in range(len(weights)) if number not in heads)]:
        num_bytes = sum(blob.cost(value) for value in weights[number].weights.values())
        if full or blob.size + num_bytes <= blob.room:
            nodes[number]["weights"] = {key: blob.add(value) for key, value in weights[number].weights.items()}
        else:
            nodes[number]["left_out"] = num_bytes


def _embed_unit_sums(nodes: list[dict[str, Any]], weights: list[Node], outputs: list[Array], blob: Blob) -> None:
    """How much each map adds to each of the strongest units of a fully connected layer behind `flatten`."""
    for number, node in enumerate(weights[:-1]):
        source = weights[node.inputs[0]] if node.kind == "dense" and node.inputs[0] >= 0 else None
        if source is None or source.kind != "flatten":
            continue
        maps = outputs[source.inputs[0]][0].astype(np.float64)
        units = np.argsort(-outputs[number][0], kind="stable")[:NUM_UNITS]
        kernel = node.weights["kernel"][:, units].reshape(*maps.shape, -1)
        sums = np.einsum("hwc,hwcu->uc", maps, kernel)
        nodes[number]["units"] = {
            "numbers": units.tolist(),
            "bias": node.weights["bias"][units].tolist(),
            "map_sums": blob.add(sums),
            "num_maps": maps.shape[2],
        }


def _picture_steps(picture: bytes, name: str, card: Card, pixels: Pixels) -> dict[str, Any]:
    """Each step of the decoder, as JPEG or PNG made from pixels: no metadata of the file reaches the page."""
    header = read_header(picture)
    upright = safe_thumbnail(picture, PHOTO_SIDE)
    stored = _as_stored(picture, header)
    steps = list[dict[str, Any]]()
    if stored is not None:
        text = f"{header.format}, {header.width} × {header.height} pixels, not turned{_shown(header)}."
        steps.append({"title": "As the file stores it", "image": _jpeg(stored), "text": text})
    photo = len(steps)
    if upright is not None:
        text = "As people see it: turned, where the camera's note in the file asks for it."
        steps.append({"title": "Upright", "image": _jpeg(upright), "text": text})
        if card.form.color == "grayscale":
            text = "0.299 red + 0.587 green + 0.114 blue: one number for each pixel."
            gray = _bytes(cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY))[:, :, None]
            steps.append({"title": "Grayscale", "image": _jpeg(gray), "text": text})
    how = {"stretch": "stretched to a square", "crop": "its middle cut out", "pad": "padded to a square"}
    size = card.form.image_size
    text = f"{how[card.form.aspect].capitalize()} and resized to {size} × {size} pixels. The network sees this."
    steps.append({"title": "Resized", "image": _png(pixels), "text": text, "small": True})
    shape = list(upright.shape[:2]) if upright is not None else [size, size]
    return {"name": name, "steps": steps, "photo": photo, "photo_shape": shape, "format": header.format}


def _shown(header: Header) -> str:
    return ", shown smaller here" if max(header.width, header.height) > PHOTO_SIDE else ""


def _as_stored(picture: bytes, header: Header) -> Pixels | None:
    """The pixels before the EXIF turn, small, red first; None where OpenCV does not know the format."""
    larger = max(header.width, header.height) // PHOTO_SIDE if header.format == "JPEG" else 1
    # A part of a large JPEG is enough, is faster, and takes no memory beyond the decoder's own.
    size = next((flag for least, flag in REDUCED if larger >= least), cv2.IMREAD_COLOR)
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), size | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    scale = min(1, PHOTO_SIDE / max(pixels.shape[:2]))
    sides = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return _bytes(cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)[:, :, ::-1])


def _bytes(pixels: Any) -> Pixels:
    return np.ascontiguousarray(pixels, np.uint8)


def _jpeg(pixels: Pixels) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(pixels)).decode()


def _png(pixels: Pixels) -> str:
    _, content = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    return "data:image/png;base64," + base64.b64encode(content.tobytes()).decode()


def _occlusion(network: Network, pixels: Pixels, outputs: list[Array], temperature: float) -> dict[str, Any]:
    """How far the probability of the predicted class falls where a square of the picture's mean hides a part of it
    (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014)."""
    label = int(outputs[-1][0].argmax())
    products = max(1, num_products(network, outputs))
    side = max(3, min(8, int((MAX_OCCLUSION_PRODUCTS / products) ** 0.5)))
    edges = np.linspace(0, len(pixels), side + 1).round().astype(int)
    hidden = np.repeat(pixels[None], side * side, axis=0)
    for number in range(side * side):
        row, column = divmod(number, side)
        square = np.s_[number, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        hidden[square] = np.rint(pixels.mean(axis=(0, 1)))
    base = float(softmax(outputs[-1][:1], temperature)[0, label])
    logits = np.concatenate(
        [run_network(network, hidden[start : start + 4])[-1] for start in range(0, len(hidden), 4)]
    )
    falls = base - softmax(logits, temperature)[:, label]
    return {"side": side, "falls": falls.tolist(), "edges": edges.tolist()}
