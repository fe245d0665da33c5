"""Models the tests share. Loaded once; no test may change them without putting back what was there."""

import pytest
import torch
from hypothesis import settings

import difflab
from difflab.parity import random_pipeline

settings.register_profile("difflab", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("difflab")


@pytest.fixture(scope="session")
def tiny_folder():
    """The pipeline folder that ships with the package."""
    return difflab.weights_folder()


@pytest.fixture(scope="session")
def tiny():
    """The shipped model, on the CPU in float32."""
    return difflab.load("tiny", device="cpu")


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory):
    """A whole Stable Diffusion 1.5 in miniature with random weights: a pipeline folder."""
    return random_pipeline(tmp_path_factory.mktemp("pipelines") / "epsilon")


@pytest.fixture(scope="session")
def v_folder(tmp_path_factory):
    """The same, trained (or rather not) to predict v, like Stable Diffusion 2.1."""
    return random_pipeline(tmp_path_factory.mktemp("pipelines") / "v", prediction_type="v_prediction")


@pytest.fixture(scope="session")
def random_model(random_folder):
    """The random miniature, loaded: fast, and its pictures mean nothing."""
    return difflab.load(random_folder, device="cpu")


@pytest.fixture
def threads():
    """Restores torch's number of threads after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
