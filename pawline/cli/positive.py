"""A whole number of 1 or more as the value of an option."""

import argparse


def positive(text: str) -> int:
    """The number that the text writes in the digits 0 to 9. Raises ArgumentTypeError for anything else."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number of 1 or more")
    return int(text)
