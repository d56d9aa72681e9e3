"""Where an evaluation's work is done: in this process, or in several that hold the same `Scorer`."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from threadpoolctl import threadpool_limits

from stajax.evaluation.scoring import Scorer, fit_prior

# What workers start with: matrix products in one thread, for as many workers as processors share them already; and, under
# glibc, memory that stays with the process: the maps of each frame going back to the system take as long as the work.
_ENVIRONMENT = {
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"),
    **dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(1 << 28)),
}
_scorer: Scorer | None = None  # of this process; sent once, not with every task


def fit(part):
    """The centre prior for a training part, or a str: why there is none."""
    try:
        return fit_prior(_scorer.protocol, part)
    except ValueError as error:
        return str(error)


def gather(video):
    """`Scorer.gather`."""
    return _scorer.gather(video)


def score(video, frames, maps, gathered, problem, prior):
    """`Scorer.score`. prior: (training part, `fit` of it), or None."""
    if prior is not None:
        _scorer.priors = dict([prior])
    return _scorer.score(video, frames, maps, gathered, problem)


@contextmanager
def executor(scorer, workers):
    """An executor for the functions above; more than one worker are processes started anew.

    Raises:
        RuntimeError: a worker process died.
    """
    if workers == 1:
        _hold(scorer)
        with threadpool_limits(1, "blas"):  # for products as small as these, threads cost up to five times what they give
            yield _Here()
        return
    with _environment(), _pickled(scorer) as path:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (path,))
        try:
            yield pool
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process died, perhaps for lack of memory: try fewer workers; or because the script that called "
                'lacks `if __name__ == "__main__":`'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def finished(pending):
    """Those of an executor's futures that are done, at least one. In this process the first is done now."""
    first = next(iter(pending))
    if isinstance(first, _Later):
        first.result()
        return {first}
    return wait(pending, return_when=FIRST_COMPLETED).done


def _hold(scorer):
    global _scorer
    _scorer = scorer


@contextmanager
def _pickled(scorer):
    """The path of a file of the scorer. As an argument of the process, one larger than a pipe would be waited on for ever if
    the process dies before it reads."""
    with TemporaryDirectory(prefix="stajax") as folder:
        path = Path(folder) / "scorer.pickle"
        path.write_bytes(pickle.dumps(scorer))
        yield path


def _start(path):
    Thread(target=_end_with_parent, daemon=True).start()
    _hold(pickle.loads(path.read_bytes()))


def _end_with_parent():
    parent_process().join()
    os._exit(1)


class _Later(Future):
    """Does its work in this process, when its result is asked for."""

    def __init__(self, function, arguments):
        super().__init__()
        self._work = function, arguments

    def result(self, timeout=None):
        if not self.done():
            function, arguments = self._work
            try:
                self.set_result(function(*arguments))
            except Exception as error:
                self.set_exception(error)
        return super().result(timeout)


class _Here(Executor):
    def submit(self, function, /, *arguments):
        return _Later(function, arguments)


@contextmanager
def _environment():
    """Processes started inside have `_ENVIRONMENT`."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
