"""What can go wrong with a media file, in one line each."""


class MediaError(ValueError):
    """The file or array cannot be used: says what was wrong, in which file, and what to do."""


class OutputError(MediaError):
    """A result cannot be written: no space, no permission, no folder."""


class MediaWarning(UserWarning):
    """The file is usable in part: says what was left out."""
