import copy
import json

import pytest
from PIL import Image
from report_helpers import results

from spectral_select.integrations.report import (
    draw_curves,
    format_table,
    read_results,
    summarize,
)


def cells(text, method):
    return next(line.split() for line in text.splitlines() if line.startswith(method))


def test_the_table_counts_samples_steps_and_every_cost():
    text = format_table(results())
    full = " ".join(cells(text, "full"))
    assert full == "full 1,400 14 30.0 s 1.00 - - 98.7 0.012 60.0 0.500 60.0 0.500"
    row = cells(text, "fiedler")
    assert row[1:3] == ["280", "14"]
    assert " ".join(row[3:10]) == "7.5 s 0.25 0.50 s 33.0 s"
    assert "features: pixel values." in text


def test_the_columns_are_aligned():
    lines = format_table(results(seeds=(0, 1))).splitlines()
    first, last = (i for i, line in enumerate(lines) if set(line) == {"-"})
    body = lines[first + 1 : last]
    assert len(body) == 3
    assert len({len(line) for line in body}) == 1
    assert len(lines[first]) == len(body[0])


def test_several_seeds_give_mean_and_deviation():
    found = results(seeds=(0, 2))
    text = format_table(found)
    assert "61.0 ± 1.4" in text
    assert "Means over 2 seeds" in text
    row = summarize(found)[1]
    assert row["seeds"] == [0, 2]
    assert row["samples"] == [280, 280]
    assert row["relative"] == pytest.approx([0.2] * 4)


def test_without_full_there_is_nothing_to_be_relative_to():
    assert summarize(results(methods=("random",)))[0]["relative"] == []
    assert cells(format_table(results(methods=("random",))), "random")[5] == "-"


def test_a_run_cut_short_is_reported_as_far_as_it_went():
    text = format_table(results(epochs=1, status="interrupted"))
    assert "This run is interrupted: 1 epochs of it are counted." in text
    assert cells(text, "random")[1:3] == ["140", "7"]


def test_a_run_cut_short_at_once():
    assert "no epoch was finished" in format_table(results(epochs=0, status="interrupted"))


def test_unknown_extraction_and_missing_figures_are_not_made_up():
    found = results()
    found["features"]["seconds"] = None
    for run in found["runs"]:
        run["final"]["val"] = {"count": 0, "accuracy": None, "loss": None}
        run["final"]["test"] = run["final"]["test"] | {"loss": None}
    row = cells(format_table(found), "fiedler")
    assert "?" in row
    assert row[-4:] == ["-", "-", "60.0", "nan"]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_the_picture_is_written_whole_and_shows_something(tmp_path, seeds):
    found = results(seeds=seeds)
    before = copy.deepcopy(found)
    draw_curves(found, tmp_path / "curves.png")
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 800
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert found == before


def test_the_picture_of_a_run_with_holes(tmp_path):
    found = results(epochs=3)
    for run in found["runs"]:
        run["history"][1]["loss"] = None
        run["history"][1]["test"] = {"count": 0, "accuracy": None, "loss": None}
    found["runs"][2]["history"].pop()
    found["features"]["seconds"] = None
    draw_curves(found, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_reads_a_folder_or_a_file(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(results()))
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == results()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "expected a JSON object"), ('{"format": "x"}', "has format 'x'")],
)
def test_refuses_what_is_no_results_file(tmp_path, text, message):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_results(tmp_path)


def test_no_results_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_results(tmp_path)
