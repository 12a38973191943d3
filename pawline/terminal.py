"""Names and messages as a terminal shows them: in one line, without control codes, in the letters that it has."""

import os
import sys
from collections.abc import Iterable
from shlex import quote
from typing import TextIO

from pawline.addresses import without_secrets
from pawline.words import visible


def say(message: str) -> None:
    """Show one line to the user on standard error, without secrets and without what a terminal would obey."""
    line = " ".join(without_secrets(message).split())
    print(f"pawline: {visible(line)}", file=sys.stderr, flush=True)


def printable(name: str, stream: TextIO | None = None) -> str:
    """The name, with everything that the stream (by default standard output) cannot show or would obey as an escape of
    Python's, such as \\x1b, \\n or \\u2028. A backslash is doubled, so that `from_printable` finds the name again."""
    encoding = getattr(stream or sys.stdout, "encoding", None) or "utf-8"
    return "".join(letter if _is_plain(letter, encoding) else _escape(letter) for letter in name)


def from_printable(text: str) -> str:
    """The name that `printable` turned into this text, whatever the encoding."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def listed(names: Iterable[str], most: int, noun: str = "") -> str:
    """The first `most` names, and how many are left: "a, b, c and 4 more", with a noun "and 4 more classes"."""
    names = list(names)
    more = f" and {len(names) - most:,} more {noun}".rstrip() if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shell_word(name: str) -> str:
    """The name as one word of a command for bash or zsh; control codes as escapes, so that no terminal obeys them."""
    if name.isprintable():
        return quote(name)
    letters = (
        letter if letter.isprintable() and letter not in "\\'" else _shell_escape(letter) for letter in name
    )
    return f"$'{''.join(letters)}'"


def _shell_escape(letter: str) -> str:
    """The bytes of a letter as bash writes them; those of a name that is not UTF-8 too."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(letter))


def _is_plain(letter: str, encoding: str) -> bool:
    if letter == "\\" or not letter.isprintable():
        return False
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
