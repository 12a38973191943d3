"""The training of a network: networks, augmentation, optimizers, schedule, loop."""
