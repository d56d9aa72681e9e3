"""What a checkpoint that cannot be converted raises."""

from __future__ import annotations

from collections.abc import Collection

_SHOWN = 8


class ConvertError(ValueError):
    """A checkpoint that cannot be read or does not fit its net; the message is one line and says what to do.

    Control characters (a file may name its tensors as it likes) become spaces.
    """

    def __init__(self, message: str):
        super().__init__(" ".join("".join(c if c.isprintable() else " " for c in message).split()))


def listed(items: Collection[str]) -> str:
    """``a, b, c``; of a long list the first eight and how many follow."""
    items = list(items)
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
