import itertools
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectral_select.integrations.training.config import LR_SCHEDULES, TrainConfig, learning_rate


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0}, r"lr must be a number in \(0, inf\); got 0"),
        ({"lr": math.nan}, "lr must be"),
        ({"lr": "fast"}, r"lr must be a number in \(0, inf\); got 'fast' of type str"),
        ({"momentum": 1.0}, r"momentum must be a number in \[0, 1\)"),
        ({"weight_decay": -1e-4}, r"weight_decay must be a number in \[0, inf\)"),
        ({"clip_norm": 0}, r"clip_norm must be a number in \(0, inf\); got 0"),
        ({"evaluate_every": 0}, "evaluate_every must be an integer of at least 1; got 0"),
        ({"epochs": 0}, "epochs must be an integer"),
        ({"epochs": True}, "epochs must be an integer"),
        ({"image_size": -1}, "image_size must be an integer"),
        ({"candidate_size": 2.5}, "candidate_size must be an integer"),
        ({"filter_ratio": 1.0}, r"filter_ratio must be in \[0, 1\)"),
        ({"candidate_size": 9}, "keeps one sample, but batch"),
        ({"n_ranks": 3}, "candidate_size must be a multiple of 3, .* got 128"),
        ({"n_ranks": 16}, "candidate_size 128 .* each of the 16 processes keeps one sample"),
        ({"lr_schedule": "linear"}, "lr_schedule must be one of 'constant', 'cosine', 'step'"),
        ({"prefetch": -1}, "prefetch must be an integer of at least 0"),
    ],
)
def test_error_names_the_wrong_value(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TrainConfig(**change)


def test_describes_itself_in_json():
    described = json.loads(json.dumps(TrainConfig(device=torch.device("cpu")).describe()))
    assert described["device"] == "cpu"
    assert described["augmentation"]["degrees"] == 15
    assert described["momentum"] == 0.9


@given(
    schedule=st.sampled_from(LR_SCHEDULES),
    lr=st.floats(1e-6, 10),
    n_steps=st.integers(1, 500),
)
def test_learning_rate_starts_at_lr_and_never_rises(schedule, lr, n_steps):
    rates = [learning_rate(schedule, lr, step, n_steps) for step in range(n_steps)]
    assert rates[0] == lr
    assert all(0 < b <= a for a, b in itertools.pairwise(rates))


def test_rejects_unknown_schedule():
    with pytest.raises(ValueError, match="lr_schedule must be one of"):
        learning_rate("linear", 0.1, 0, 1)
