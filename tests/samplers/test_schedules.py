import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    StepSchedule,
    make_schedule,
)
from spectral_select._samplers.schedules import CallableSchedule, Schedule

ratios = st.floats(0, 1, exclude_max=True)
epochs = st.integers(0, 10_000)


def warm_up(epoch):
    return 0.0 if epoch < 3 else 0.8


class Halving:
    def __call__(self, epoch):
        return 1 - 0.5 ** (epoch % 20)


@st.composite
def schedules(draw):
    kind = draw(st.sampled_from(["constant", "linear", "cosine", "step", "callable"]))
    if kind == "constant":
        return ConstantSchedule(draw(ratios))
    if kind in ("linear", "cosine"):
        cls = LinearSchedule if kind == "linear" else CosineSchedule
        return cls(draw(ratios), draw(ratios), draw(st.integers(1, 300)))
    if kind == "step":
        milestones = sorted(draw(st.sets(st.integers(1, 100), max_size=5)))
        n = len(milestones) + 1
        return StepSchedule(draw(st.lists(ratios, min_size=n, max_size=n)), milestones)
    return make_schedule(draw(st.sampled_from([warm_up, Halving()])))


@given(schedules(), epochs)
def test_schedules_return_a_filter_ratio_for_every_epoch(schedule, epoch):
    ratio = schedule(epoch)
    assert type(ratio) is float
    assert 0 <= ratio < 1
    assert schedule(epoch) == ratio


@given(schedules(), epochs)
def test_schedules_can_be_pickled(schedule, epoch):
    again = pickle.loads(pickle.dumps(schedule))
    assert again(epoch) == schedule(epoch)
    assert repr(again) == repr(schedule)


@given(schedules())
def test_make_schedule_returns_a_schedule_unchanged(schedule):
    assert make_schedule(schedule) is schedule


@given(st.sampled_from([LinearSchedule, CosineSchedule]), ratios, ratios, st.integers(2, 300))
def test_ramps_are_monotonic_with_exact_ends(cls, start, end, n_epochs):
    values = [cls(start, end, n_epochs)(epoch) for epoch in range(n_epochs + 2)]
    assert values[0] == start
    assert values[n_epochs - 1 :] == [end] * 3
    assert values == sorted(values, reverse=start > end)


@given(ratios, ratios, st.integers(3, 100))
def test_linear_steps_are_equal_and_cosine_is_symmetric(start, end, n_epochs):
    linear = [LinearSchedule(start, end, n_epochs)(e) for e in range(n_epochs)]
    np.testing.assert_allclose(np.diff(linear), (end - start) / (n_epochs - 1), atol=1e-12)
    cosine = np.array([CosineSchedule(start, end, n_epochs)(e) for e in range(n_epochs)])
    np.testing.assert_allclose(cosine + cosine[::-1], start + end, atol=1e-12)


def test_ramp_of_one_epoch_has_the_end_ratio():
    assert [LinearSchedule(0.9, 0.1, 1)(e) for e in range(3)] == [0.1] * 3


def test_steps_start_at_their_milestones():
    schedule = StepSchedule([0.9, 0.5, 0.0], [2, 5])
    assert [schedule(e) for e in range(7)] == [0.9, 0.9, 0.5, 0.5, 0.5, 0.0, 0.0]
    assert StepSchedule([0.3], [])(100) == 0.3


@pytest.mark.parametrize("ratio", [0, 0.8, np.float32(0.5), np.float64(0.25), Fraction(1, 3)])
def test_real_number_becomes_a_constant_schedule(ratio):
    assert make_schedule(ratio) == ConstantSchedule(float(ratio))


def test_schedules_have_equality_and_repr():
    assert LinearSchedule(0.9, 0.5, 10) == LinearSchedule(np.float64(0.9), 0.5, np.int64(10))
    assert LinearSchedule(0.9, 0.5, 10) != CosineSchedule(0.9, 0.5, 10)
    assert repr(LinearSchedule(0.9, 0.5, 10)) == "LinearSchedule(start=0.9, end=0.5, n_epochs=10)"
    assert repr(StepSchedule(np.array([0.9, 0.5]), [3])) == (
        "StepSchedule(filter_ratios=(0.9, 0.5), milestones=(3,))"
    )
    text = repr(make_schedule(warm_up))
    assert text.startswith("CallableSchedule(")
    assert text.endswith("warm_up)")
    assert "0x" not in text + repr(make_schedule(Halving()))


@pytest.mark.parametrize("bad", [1.0, -0.1, float("nan"), float("inf")])
def test_rejects_ratio_out_of_range(bad):
    for make in (
        lambda: make_schedule(bad),
        lambda: ConstantSchedule(bad),
        lambda: LinearSchedule(0.5, bad, 3),
        lambda: CosineSchedule(bad, 0.5, 3),
        lambda: StepSchedule([0.5, bad], [2]),
    ):
        with pytest.raises(ValueError, match=r"must be in \[0, 1\).*got"):
            make()


@pytest.mark.parametrize("bad", [None, "0.8", [0.8], ConstantSchedule, float])
def test_rejects_invalid_schedule(bad):
    with pytest.raises(TypeError, match="schedule must be a filter ratio"):
        make_schedule(bad)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (1.0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        ("0.5", TypeError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_rejects_invalid_result_of_a_callable_and_names_the_epoch(result, error):
    schedule = make_schedule(lambda epoch: result if epoch == 7 else 0.5)
    assert schedule(6) == 0.5
    with pytest.raises(error, match=r"CallableSchedule\(.*\)\(7\) must be"):
        schedule(7)


@pytest.mark.parametrize(
    ("epoch", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError), (None, TypeError)]
)
def test_rejects_invalid_epoch(epoch, error):
    with pytest.raises(error, match="epoch must be an integer of at least 0; got"):
        ConstantSchedule(0.5)(epoch)
    assert ConstantSchedule(0.5)(np.int64(3)) == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.4], []), "one more ratio"),
        (([0.5], [3]), "one more ratio"),
        (([0.5, 0.4, 0.3], [5, 5]), "strictly ascending"),
        (([0.5, 0.4], [0]), r"milestones\[0\] must be an integer of at least 1"),
    ],
)
def test_step_schedule_rejects_invalid_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        StepSchedule(*arguments)


def test_rejects_arguments_of_the_wrong_type():
    with pytest.raises(TypeError, match="filter_ratios must be a sequence"):
        StepSchedule(0.5, [3])
    with pytest.raises(TypeError, match=r"milestones\[0\]"):
        StepSchedule([0.5, 0.4], [2.0])
    with pytest.raises(TypeError, match="filter_ratio must be a real number"):
        make_schedule(True)
    with pytest.raises(TypeError, match="n_epochs must be an integer of at least 1"):
        LinearSchedule(0.5, 0.4, 2.5)
    with pytest.raises(TypeError, match="function must be a callable"):
        CallableSchedule(0.5)


def test_custom_schedule_defines_one_method():
    class EveryOther(Schedule):
        def _ratio(self, epoch):
            return 0.8 * (epoch % 2)

    assert [make_schedule(EveryOther())(e) for e in range(3)] == [0, 0.8, 0]
