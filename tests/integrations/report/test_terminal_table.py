import json

import pytest
from report_helpers import results

from spectral_select.integrations.report import Results, format_table, read_results


def table(content=None, **options):
    return format_table(Results.from_json(content or results(**options)))


def cells(text, method):
    return next(line.split() for line in text.splitlines() if line.startswith(method))


def test_shows_samples_steps_and_costs():
    text = table()
    full = " ".join(cells(text, "full"))
    assert full == "full 1,400 14 30.0 s 1.00 - - 98.7 0.012 60.0 0.500 60.0 0.500"
    row = cells(text, "fiedler")
    assert row[1:3] == ["280", "14"]
    assert " ".join(row[3:10]) == "7.5 s 0.25 0.50 s 33.0 s"
    assert "features: pixel values." in text


def test_columns_are_aligned():
    lines = table(seeds=(0, 1)).splitlines()
    first, last = (i for i, line in enumerate(lines) if set(line) == {"-"})
    body = lines[first + 1 : last]
    assert len(body) == 3
    assert len({len(line) for line in body}) == 1
    assert len(lines[first]) == len(body[0])


def test_shows_half_the_confidence_interval_over_seeds():
    text = table(seeds=(0, 2))
    assert "61.0 ± 12.7" in text  # t(0.975, 1) = 12.706, standard error 1
    assert "Means over 2 seeds, ± half the 95% confidence interval." in text


def test_relative_time_needs_full():
    assert cells(table(seeds=(0, 2)), "random")[5] == "0.20"
    assert cells(table(methods=("random",)), "random")[5] == "-"


def test_charges_precompute_to_selection():
    content = results(methods=("fiedler",))
    content["runs"][0]["precompute_seconds"] = 2.0
    assert cells(table(content), "fiedler")[6] == "2.5"


def test_counts_the_finished_epochs_of_an_interrupted_run():
    text = table(epochs=1, status="interrupted")
    assert "This comparison is interrupted; its first 1 epochs are shown." in text
    assert cells(text, "random")[1:3] == ["140", "7"]


def test_rejects_runs_without_an_epoch():
    assert "no epoch is complete" in table(epochs=0, status="interrupted")


def test_shows_missing_numbers_as_missing():
    content = results()
    content["features"]["seconds"] = None
    for run in content["runs"]:
        run["final"]["val"] = {"count": 0, "accuracy": None, "loss": None}
        run["final"]["test"] = run["final"]["test"] | {"loss": None}
    row = cells(table(content), "fiedler")
    assert "?" in row
    assert row[-4:] == ["-", "-", "60.0", "-"]


def test_reads_a_folder_or_a_file(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(results()))
    expected = Results.from_json(results())
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "expected a JSON object"), ('{"format": "x"}', "has format 'x'")],
)
def test_rejects_other_files(tmp_path, text, message):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_results(tmp_path)


def test_reports_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_results(tmp_path)
