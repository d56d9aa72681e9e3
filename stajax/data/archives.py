"""NumPy archives of a data set on disk. Errors are a `DataError` of one line."""

from contextlib import contextmanager

import numpy as np

from stajax.data.fixations import DataError


def read_npz(path, names, what):
    """Arrays of an npz, without objects.

    Args:
        path: of the file.
        names: of the arrays.
        what: begins the message of an error, the data set's name.

    Returns:
        A list of the arrays, in the order of `names`.

    Raises:
        DataError: no such file, one that is damaged or no npz, or one that lacks an array.
    """
    with reading_npz(path, what), np.load(path, allow_pickle=False) as file:
        if missing := [name for name in names if name not in file.files]:
            raise DataError(f"{what}: {path} lacks an array: {missing[0]}")
        return [file[name] for name in names]


@contextmanager
def reading_npz(path, what):
    """Turns whatever a missing or damaged npz raises into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{what}: no file {path}") from error
    except Exception as error:  # zipfile, zlib and NumPy raise whatever a damaged file makes them stumble over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{what}: {path} is not a readable npz of plain arrays ({reason})") from error
