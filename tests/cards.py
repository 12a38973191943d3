"""What stands on a model's card, for tests where it matters little."""

from pawline.card import Conditions

CONDITIONS = Conditions(
    num_steps=1, flip_at_test=False, precision="float32", processor="one", num_threads=1, one_dnn=True,
    deterministic=True, tensorflow="2", keras="3",
)  # fmt: skip
