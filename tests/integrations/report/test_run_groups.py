import pytest
from report_helpers import groups, results

from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.report.costs import amortized, cost_of
from spectral_select.integrations.report.run_groups import final_test_accuracy, sampling_error


def test_pools_seeds_of_one_configuration():
    (group,) = groups(results(seeds=(2, 0)), results(seeds=(1,)))
    assert group.seeds == [0, 1, 2]
    assert [run.seed for run in group.runs["random"]] == [0, 1, 2]
    assert list(group.runs) == ["full", "random", "fiedler"]
    assert group.notes == []


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("config", "filter_ratio", 0.5), ("config", "lr", 1.0), ("data", "fingerprint", {"a": 1})],
)
def test_separates_configurations_and_datasets(part, key, value):
    other = results(seeds=(1,))
    other[part][key] = value
    first, second = groups(results(), other)
    assert (first.seeds, second.seeds) == ([0], [1])


def test_pools_equal_data_in_different_folders():
    one, other = results(seeds=(0,)), results(seeds=(1,))
    for place, content in enumerate((one, other)):
        content["data"] = {"name": f"/disk{place}/photos", "fingerprint": {"train": "f00"}}
    assert len(groups(one, other)) == 1


def test_separates_different_features_in_use():
    other = results(seeds=(1,))
    other["features"]["dim"] = 2048
    assert len(groups(results(), other)) == 2
    cheap = results(seeds=(1,))
    cheap["features"]["seconds"] = 1.0  # the same features, extracted in a different time
    assert len(groups(results(), cheap)) == 1
    without = results(methods=("full", "random"), seeds=(2,))
    without["features"] = {"source": None, "seconds": 0.0, "dim": None}
    assert [g.seeds for g in groups(results(), other, without)] == [[0, 2], [1]]


def test_counts_a_repeated_run_once_with_a_note():
    cut = results(seeds=(0,), epochs=1, status="interrupted")
    (group,) = groups(cut, results(seeds=(0,)))
    assert [len(runs) for runs in group.runs.values()] == [1, 1, 1]
    assert all(run.complete for runs in group.runs.values() for run in runs)
    assert any("more than once" in note and "random (seed 0)" in note for note in group.notes)


def test_leaves_out_interrupted_runs_beside_complete_ones():
    (group,) = groups(results(seeds=(0, 1)), results(seeds=(2,), epochs=1, status="interrupted"))
    assert group.seeds == [0, 1]
    text = " ".join(group.notes)
    assert "full (seed 2, 1 epochs)" in text
    assert "interrupted" in text


def test_includes_interrupted_runs_without_complete_ones():
    (group,) = groups(results(epochs=1, status="interrupted"))
    assert group.runs["full"][0].final("test", "accuracy") == 0.5
    assert group.runs["full"][0].final("train", "accuracy") is None
    assert "the complete epochs are included" in " ".join(group.notes)
    assert group.difference("full", "random", final_test_accuracy) is None


def test_leaves_out_runs_without_an_epoch():
    content = results(seeds=(0, 1))
    content["runs"][-1] |= {"history": [], "final": None, "status": "running"}
    (group,) = groups(content)
    assert [run.seed for run in group.runs["fiedler"]] == [0]
    assert "fiedler (seed 1)" in " ".join(group.notes)


def test_notes_different_hardware():
    one, other = results(), results(seeds=(1,))
    one["hardware"], other["hardware"] = {"gpu": "T4"}, {"gpu": "H200"}
    (group,) = groups(one, other)
    assert "hardware" in " ".join(group.notes)


def test_charges_features_and_reference_where_needed():
    (group,) = groups(results(methods=("full", "fiedler", "jest")))
    costs = {method: cost_of(runs[0]) for method, runs in group.runs.items()}
    assert (costs["full"].features, costs["full"].reference, costs["full"].total) == (0, 0, 30)
    assert (costs["fiedler"].features, costs["fiedler"].total) == (33, 33 + 7.5)
    assert (costs["jest"].reference, costs["jest"].total) == (80, 80 + 15)


def test_charges_precompute_to_each_run():
    content = results(methods=("fiedler",), seeds=(0, 1))
    for run in content["runs"]:
        run["precompute_seconds"] = 2.0
    (group,) = groups(content)
    assert cost_of(group.runs["fiedler"][0]).total == 33 + 2 + 7.5
    assert amortized(group)["fiedler", 1].total == 16.5 + 2 + 7.5


def test_amortized_costs_sum_to_the_cost():
    other = results(methods=("fiedler", "jest"), seeds=(3,))
    other["features"]["seconds"] = 7.0
    (group,) = groups(results(methods=("full", "fiedler", "jest"), seeds=(0, 1, 2)), other)
    shares = amortized(group)
    assert shares["fiedler", 0].features == 11
    assert shares["fiedler", 3].features == 7
    assert sum(cost.features for cost in shares.values()) == pytest.approx(33 + 7)
    assert sum(cost.reference for cost in shares.values()) == pytest.approx(80)
    assert shares["full", 0].total == 30


def test_unknown_costs_stay_unknown():
    content = results(methods=("fiedler",))
    content["features"]["seconds"] = None
    (group,) = groups(content)
    assert cost_of(group.runs["fiedler"][0]).total is None
    assert amortized(group)["fiedler", 0].total is None


def test_leaves_the_results_unchanged():
    content = results(seeds=(0, 1))
    (group,) = groups(content)
    amortized(group)
    assert group.results == Results.from_json(content)


def test_error_of_a_finite_test_set_is_binomial():
    (group,) = groups(results())
    runs = [run for runs in group.runs.values() for run in runs]
    n = runs[0].final("test", "count")
    errors = [(p * (1 - p) / n) ** 0.5 for run in runs if (p := run.final("test", "accuracy"))]
    text = sampling_error(runs)
    assert f"{n:,} test samples" in text
    assert f"up to {100 * max(errors):.1f} points" in text
