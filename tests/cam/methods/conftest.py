import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def compile_quickly():
    """Nearly all the time of these tests is compilation, of programs that run for milliseconds."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
