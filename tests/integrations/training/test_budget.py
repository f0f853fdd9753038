from hypothesis import given
from hypothesis import strategies as st

from spectral_select import n_kept
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.training.budget import Budget
from spectral_select.integrations.training.config import TrainConfig


@given(
    n=st.integers(10, 500),
    size=st.integers(4, 10),
    epochs=st.integers(1, 9),
    ratio=st.floats(0, 0.5),
    method=st.sampled_from(["full", "full-short", "random", "gstds"]),
)
def test_budget_adds_up(n, size, epochs, ratio, method):
    config = TrainConfig(epochs=epochs, candidate_size=size, filter_ratio=ratio)
    budget = Budget.of(get_method(method), config, n)
    steps = [budget.steps_in(epoch) for epoch in range(epochs + 1)]
    assert sum(steps) == budget.n_steps >= 1
    assert all(steps[: budget.n_epochs])
    assert not any(steps[budget.n_epochs :])
    if method != "full-short":
        assert budget.n_epochs == epochs
        assert set(steps[:-1]) == {n // size}


@given(n=st.integers(64, 500), n_ranks=st.sampled_from([2, 4]), epochs=st.integers(1, 9))
def test_ranks_together_take_the_steps_and_samples_of_one_process(n, n_ranks, epochs):
    for method in ("full", "full-short", "random"):
        alone, shared = (
            Budget.of(
                get_method(method),
                TrainConfig(epochs=epochs, candidate_size=32, filter_ratio=0.5, n_ranks=ranks),
                n,
            )
            for ranks in (1, n_ranks)
        )
        assert alone == shared


@given(n=st.integers(100, 500), epochs=st.integers(2, 9), ratio=st.sampled_from([0.2, 0.5, 0.8]))
def test_full_on_a_short_schedule_sees_as_many_images_as_a_selecting_method(n, epochs, ratio):
    config = TrainConfig(epochs=epochs, candidate_size=10, filter_ratio=ratio)
    short, random = (
        Budget.of(get_method(method), config, n).n_images for method in ("full-short", "random")
    )
    assert abs(short - random) <= 10 / 2  # rounded to the nearest step
    assert random == n_kept(10, ratio) * (n // 10) * epochs
