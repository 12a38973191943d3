"""The file of somebody's weights that `pretrained` starts from, checked before TensorFlow is loaded."""

from pathlib import Path

from pawline.errors import ParamsError
from pawline.files import file_digest
from pawline.params import NetworkParams


def weights_digest(network: NetworkParams) -> str | None:
    """SHA-256 of the file; None where there is none to read. Raises ParamsError where it is missing or not the one
    that `network.pretrained.sha256` asks for."""
    file, wanted = network.pretrained.weights, network.pretrained.sha256
    if network.name != "pretrained" or file is None or network.pretrained.is_downloaded:
        return None
    try:
        digest = file_digest(Path(file))
    except OSError as error:
        raise ParamsError(
            f"network.pretrained.weights: {file}: {error.strerror}; name a file by its absolute path, or imagenet"
        ) from None
    if wanted and digest != wanted.lower():
        raise ParamsError(
            f"network.pretrained.weights: {file}: its SHA-256 is {digest}, but network.pretrained.sha256 says "
            f"{wanted}; get the right file, or change sha256"
        )
    return digest
