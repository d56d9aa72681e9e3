import pytest
from media.made import clip, turned


@pytest.fixture
def make_clip():
    return clip


@pytest.fixture
def turn_clip():
    return turned
