"""ONNX Runtime, the light engine: docs/decisions/0008-light-engine.md compares it with others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pawline.errors import ModelError

OUTPUTS = ("logits", "features", "activations")


class Engine:
    """A network that the engine has loaded. Several threads may ask it at the same time.

    Each question is computed by the thread that asks: two pictures asked by two threads take less time than one after
    the other on two threads each, and no thread of the engine waits busily for the next (ONNX Runtime's do by default).
    """

    def __init__(self, content: bytes, name: str | Path) -> None:
        """Load a network.

        content: the bytes of an ONNX file whose digest was checked. name: the file in messages.

        Raises ModelError if the engine cannot load the network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors
        self._only_needed = onnxruntime.RunOptions()
        self._only_needed.only_execute_path_to_fetches = True
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the engine has a dozen types of errors without a common base
            reason = str(error).splitlines()[0]
            raise ModelError(f"{name}: the engine cannot load it: {reason}") from None
        inputs = {one.name: tuple(one.shape) for one in self._session.get_inputs()}
        self.outputs = {output.name: tuple(output.shape[1:]) for output in self._session.get_outputs()}
        if list(inputs) != ["pixels"] or "logits" not in self.outputs:
            raise ModelError(
                f"{name}: takes {', '.join(inputs)} and gives {', '.join(self.outputs)}, expected pixels and logits: "
                "it is no model that Pawline exported"
            )
        self.input = inputs["pixels"][1:]  # (height, width, channels)

    def ask(self, pixels: NDArray[np.uint8], output: str = "logits") -> NDArray[np.float32]:
        """Compute an output for a batch: uint8 (n, height, width, channels) to float32 (n, ...).

        output: `logits`, (n, num_classes); `features`, the input of the last layer; or `activations`, (n, num_classes,
        rows, columns), see exporting/graph.py; only networks that average their last maps have the last."""
        if not len(pixels):
            return np.zeros((0, *self.outputs[output]), np.float32)
        [answer] = self.ask_for(pixels, (output,))
        return answer

    def ask_for(self, pixels: NDArray[np.uint8], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        """Compute several outputs of a batch of at least one picture at once; see `ask`."""
        answers = self._session.run(list(outputs), {"pixels": pixels}, self._only_needed)
        return [np.asarray(answer, np.float32) for answer in answers]
