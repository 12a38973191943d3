"""Check the weights file that the network `pretrained` starts from, before TensorFlow is loaded."""

from pathlib import Path

from pawline.errors import ParamsError
from pawline.files import file_digest
from pawline.params.network import NetworkParams


def weights_digest(network: NetworkParams) -> str | None:
    """Hash the weights file with SHA-256; None if the network reads no file of the user's.

    Raises ParamsError if the file is missing, or if its digest differs from `network.pretrained.sha256`."""
    file, expected_digest = network.pretrained.weights, network.pretrained.sha256
    if network.name != "pretrained" or file is None or network.pretrained.is_downloaded:
        return None
    try:
        digest = file_digest(Path(file))
    except OSError as error:
        raise ParamsError(
            f"network.pretrained.weights: {file}: {error.strerror}; name a file by its absolute path, or imagenet"
        ) from None
    if expected_digest and digest != expected_digest.lower():
        raise ParamsError(
            f"network.pretrained.weights: {file}: its SHA-256 is {digest}, but network.pretrained.sha256 says "
            f"{expected_digest}; get the right file, or change sha256"
        )
    return digest
