import copy
from pathlib import Path

import pytest
from report_helpers import results

from spectral_select.integrations.report.costs import amortized, cost_of
from spectral_select.integrations.report.sections import Source, pool


def sections(*found):
    return pool([Source(Path(f"run{place}"), one) for place, one in enumerate(found)])


def test_seeds_of_one_configuration_are_pooled():
    (section,) = sections(results(seeds=(2, 0)), results(seeds=(1,)))
    assert section.seeds == [0, 1, 2]
    assert [run.seed for run in section.runs["random"]] == [0, 1, 2]
    assert list(section.runs) == ["full", "random", "fiedler"]
    assert section.notes == []


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("config", "filter_ratio", 0.5), ("config", "lr", 1.0), ("data", "fingerprint", {"a": 1})],
)
def test_other_configurations_and_data_stand_apart(part, key, value):
    other = results(seeds=(1,))
    other[part][key] = value
    first, second = sections(results(), other)
    assert (first.seeds, second.seeds) == ([0], [1])


def test_the_same_data_elsewhere_is_the_same_data():
    one, other = results(seeds=(0,)), results(seeds=(1,))
    for place, found in enumerate((one, other)):
        found["data"] = {"name": f"/disk{place}/photos", "fingerprint": {"train": "f00"}}
    assert len(sections(one, other)) == 1


def test_other_features_stand_apart_unless_nobody_used_them():
    other = results(seeds=(1,))
    other["features"]["dim"] = 2048
    assert len(sections(results(), other)) == 2
    cheap = results(seeds=(1,))
    cheap["features"]["seconds"] = 1.0  # extracted twice, at different cost
    assert len(sections(results(), cheap)) == 1
    without = results(methods=("full", "random"), seeds=(2,))
    without["features"] = {"source": None, "seconds": 0.0, "dim": None}
    assert [s.seeds for s in sections(results(), other, without)] == [[0, 2], [1]]


def test_a_run_found_twice_is_counted_once_and_said_to_be():
    cut = results(seeds=(0,), epochs=1, status="interrupted")
    (section,) = sections(cut, results(seeds=(0,)))
    assert [len(runs) for runs in section.runs.values()] == [1, 1, 1]
    assert all(run.complete for runs in section.runs.values() for run in runs)
    assert any("more than once" in note and "random (seed 0)" in note for note in section.notes)


def test_runs_cut_short_do_not_dilute_those_that_ended():
    (section,) = sections(
        results(seeds=(0, 1)), results(seeds=(2,), epochs=1, status="interrupted")
    )
    assert section.seeds == [0, 1]
    text = " ".join(section.notes)
    assert "full (seed 2 after 1 epochs)" in text
    assert "interrupted" in text


def test_where_all_were_cut_short_they_count_as_far_as_they_went():
    (section,) = sections(results(epochs=1, status="interrupted"))
    assert section.runs["full"][0].measured("test", "accuracy") == 0.5
    assert section.runs["full"][0].measured("train", "accuracy") is None
    assert "as far as it went" in " ".join(section.notes)
    accuracy = lambda run: run.measured("test", "accuracy")  # noqa: E731
    assert section.difference("full", "random", accuracy) is None


def test_a_run_without_an_epoch_is_left_out():
    found = results(seeds=(0, 1))
    found["runs"][-1] |= {"history": [], "final": None, "status": "running"}
    (section,) = sections(found)
    assert [run.seed for run in section.runs["fiedler"]] == [0]
    assert "fiedler (seed 1)" in " ".join(section.notes)


def test_pooling_different_machines_is_said():
    one, other = results(), results(seeds=(1,))
    one["hardware"], other["hardware"] = {"gpu": "T4"}, {"gpu": "H200"}
    (section,) = sections(one, other)
    assert "hardware" in " ".join(section.notes)


def test_every_run_is_charged_what_it_needs():
    (section,) = sections(results(methods=("full", "fiedler", "jest")))
    costs = {method: cost_of(runs[0]) for method, runs in section.runs.items()}
    assert (costs["full"].features, costs["full"].reference, costs["full"].total) == (0, 0, 30)
    assert (costs["fiedler"].features, costs["fiedler"].total) == (33, 33 + 7.5)
    assert (costs["jest"].reference, costs["jest"].total) == (80, 80 + 15)


def test_what_a_method_computes_beforehand_is_its_own_to_pay():
    found = results(methods=("fiedler",), seeds=(0, 1))
    for run in found["runs"]:
        run["precompute_seconds"] = 2.0
    (section,) = sections(found)
    assert cost_of(section.runs["fiedler"][0]).total == 33 + 2 + 7.5
    assert amortized(section)["fiedler", 1].total == 16.5 + 2 + 7.5


def test_amortizing_splits_every_bill_exactly():
    other = results(methods=("fiedler", "jest"), seeds=(3,))
    other["features"]["seconds"] = 7.0
    (section,) = sections(results(methods=("full", "fiedler", "jest"), seeds=(0, 1, 2)), other)
    shares = amortized(section)
    assert shares["fiedler", 0].features == 11
    assert shares["fiedler", 3].features == 7
    assert sum(cost.features for cost in shares.values()) == pytest.approx(33 + 7)
    assert sum(cost.reference for cost in shares.values()) == pytest.approx(80)
    assert shares["full", 0].total == 30


def test_an_unknown_cost_is_not_taken_for_nothing():
    found = results(methods=("fiedler",))
    found["features"]["seconds"] = None
    (section,) = sections(found)
    assert cost_of(section.runs["fiedler"][0]).total is None
    assert amortized(section)["fiedler", 0].total is None


def test_nothing_read_is_changed():
    found = results(seeds=(0, 1))
    before = copy.deepcopy(found)
    amortized(sections(found)[0])
    assert found == before
