import pytest
import torch


@pytest.fixture
def double():
    """Networks and data in float64, where exactness is meant."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
