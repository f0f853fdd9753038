import json
from types import SimpleNamespace

import accuracy_vs_budget
import numpy as np
import pytest
from _accuracy_report import difference, draw, sections, tables
from _accuracy_runs import Run, RunLog, load_data
from scipy.stats import ttest_1samp, ttest_rel

from spectral_select import save_embeddings

# Keep these tests in one process, so that the comparison is run only once.
pytestmark = pytest.mark.xdist_group("accuracy_vs_budget")


@pytest.fixture(scope="module")
def digits():
    return load_data(["digits"])


# --- a whole comparison, interrupted ---


ARGUMENTS = [
    "digits",
    *("--methods", "random", "infobatch", "guided-fresh"),
    *("--conditions", "as-is", "wrong-labels"),
    *("--shares", "0.25", "--seeds", "2", "--tuning-seeds", "1", "--rates", "0.001", "0.01"),
    *("--epochs", "2", "--candidate-size", "64"),
]
MEASURED = ("accuracy", "balanced", "worst", "seen", "steps", "samples", "cost", "one_off")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The results of a comparison that was stopped, and later killed in the middle of a line."""
    out = tmp_path_factory.mktemp("runs") / "digits.json"
    real, n_added = RunLog.add, 0

    def stop(log, run, result):
        nonlocal n_added
        if n_added == 7:
            raise KeyboardInterrupt
        real(log, run, result)
        n_added += 1

    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(RunLog, "add", stop)
        stopped = accuracy_vs_budget.main([*ARGUMENTS, "--out", str(out)])
    early = json.loads(out.read_text())
    kept = out.with_suffix(".runs.jsonl")
    lines = kept.read_bytes()
    kept.write_bytes(lines + lines.splitlines()[-1][:30])
    assert accuracy_vs_budget.main([*ARGUMENTS, "--out", str(out)]) == 0
    return SimpleNamespace(
        out=out, stopped=stopped, early=early, lines=lines, results=json.loads(out.read_text())
    )


def test_interrupted_comparison_resumes(finished):
    assert finished.stopped == 130
    assert finished.early["status"] == "interrupted"
    assert len(finished.lines.splitlines()) == 1 + 7
    after = finished.out.with_suffix(".runs.jsonl").read_bytes()
    assert after.startswith(finished.lines)
    runs = [Run(**json.loads(line)["run"]) for line in after.splitlines()[1:]]
    # Distinct budgets: one for random, two for infobatch (samples, steps), and three for
    # guided-fresh (steps, wall-clock, first-run).
    n_cells = 2 * (1 + 2 + 3)
    assert len(runs) == len(set(runs)) == n_cells * 2 + n_cells * 2
    assert {run.seed for run in runs if run.part == "validation"} == {1000}
    assert {run.seed for run in runs if run.part == "test"} == {0, 1}


def test_interruption_does_not_change_results(finished, tmp_path):
    out = tmp_path / "whole.json"
    assert accuracy_vs_budget.main([*ARGUMENTS, "--jobs", "2", "--out", str(out)]) == 0
    whole = json.loads(out.read_text())
    assert whole["status"] == finished.results["status"] == "complete"
    assert len(whole["cells"]) == 12
    for a, b in zip(whole["cells"], finished.results["cells"], strict=True):
        for key in ("condition", "share", "method", "budgets", "lr", "seeds", *MEASURED):
            assert a[key] == b[key]


def test_learning_rate_is_best_on_validation_data(finished):
    runs = {}
    lines = finished.out.with_suffix(".runs.jsonl").read_text().splitlines()
    for line in map(json.loads, lines[1:]):
        runs[Run(**line["run"])] = line["result"]
    for cell in finished.results["cells"]:
        own = {
            run.lr: result["accuracy"]
            for run, result in runs.items()
            if run.part == "validation"
            and (run.method, run.condition) == (cell["method"], cell["condition"])
            and run.budget in cell["budgets"]
        }
        assert len(own) == 2
        assert own[cell["lr"]] == max(own.values())
        assert cell["lr_at_edge"]


def test_each_section_has_every_method_once(finished):
    found = list(sections(finished.results))
    assert len(found) == 2 * 4
    for _, _, _, cells in found:
        assert list(cells) == ["random", "infobatch", "guided-fresh"]


def test_table_and_picture_come_from_the_results_alone(finished, tmp_path, capsys):
    out, png = tmp_path / "copy.json", tmp_path / "copy.png"
    out.write_text(finished.out.read_text())
    options = ["--out", str(out), "--table", "--plot", str(png)]
    assert accuracy_vs_budget.main(options) == 0
    text = capsys.readouterr().out
    assert "wrong-labels, 25% kept, equal wall-clock" in text
    assert png.read_bytes() == draw(finished.results)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.json", "copy.png"]


def test_differences_are_those_of_a_paired_t_test(finished):
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 6))
    ours = {"seeds": [0, 1, 2, 3, 4, 5], "accuracy": a.tolist()}
    theirs = {"seeds": [5, 4, 3, 2, 1, 0], "accuracy": b[::-1].tolist()}
    found = difference(ours, theirs)
    low, high = ttest_rel(100 * a, 100 * b).confidence_interval(0.95)
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)
    cell = finished.results["cells"][0]
    low, high = ttest_1samp(100 * np.array(cell["accuracy"]), 0).confidence_interval(0.95)
    assert f"{(low + high) / 2:.2f} ± {(high - low) / 2:.2f}" in tables(finished.results)


def test_more_seeds_extend_earlier_results(finished, tmp_path):
    out = tmp_path / "more.json"
    before = finished.out.with_suffix(".runs.jsonl").read_bytes()
    out.with_suffix(".runs.jsonl").write_bytes(before)
    few = [*ARGUMENTS, "--out", str(out), "--methods", "random", "--conditions", "as-is"]
    assert accuracy_vs_budget.main([*few, "--seeds", "3"]) == 0
    after = out.with_suffix(".runs.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == before.count(b"\n") + 1
    assert [cell["seeds"] for cell in json.loads(out.read_text())["cells"]] == [[0, 1, 2]]


def test_runs_of_a_method_can_be_removed(tmp_path):
    path = tmp_path / "kept.runs.jsonl"
    runs = [Run("test", "as-is", 0, 0.2, name, "steps", 0.001) for name in ("random", "guided")]
    log = RunLog(path, {"epochs": 3})
    for run in runs:
        log.add(run, {"accuracy": 0.5})
    assert log.forget(["guided", "full"]) == 1
    log.add(Run("test", "as-is", 1, 0.2, "full", "steps", 0.001), {"accuracy": 0.75})
    kept = RunLog(path, {"epochs": 3}).results
    assert [run.method for run in kept] == ["random", "full"]


# --- input ---


def test_trains_on_one_store_and_tests_on_another(tmp_path, digits):
    for name, rows in (("a", slice(0, 300)), ("b", slice(300, 500))):
        save_embeddings(tmp_path / name, digits.features[rows], digits.labels[rows])
    data = load_data([str(tmp_path / "a"), str(tmp_path / "b")])
    about = data.describe()
    assert (about["name"], about["n_train"], about["n_test"]) == ("a", 300, 200)
    np.testing.assert_array_equal(data.features, digits.features[:300])


def test_methods_can_use_other_features_than_networks(tmp_path, digits, capsys):
    rows = slice(0, 300)
    save_embeddings(tmp_path / "a", digits.features[rows], digits.labels[rows])
    save_embeddings(tmp_path / "b", digits.features[300:500], digits.labels[300:500])
    save_embeddings(tmp_path / "few", digits.features[rows, :7], digits.labels[rows])
    save_embeddings(tmp_path / "other", digits.features[rows], digits.labels[1:301])
    a, b, few, other = (str(tmp_path / name) for name in ("a", "b", "few", "other"))
    data = load_data([a, b, few])
    assert data.features.shape[1] == 64
    np.testing.assert_array_equal(data.choose_by, digits.features[rows, :7])
    assert data.describe()["choose_by"]["dim"] == 7
    out = ["--out", str(tmp_path / "x.json")]
    tiny = "--methods random guided --conditions as-is --shares 0.5 --budgets steps --rates 1e-3"
    tiny = [*tiny.split(), "--seeds", "1", "--epochs", "3", "--candidate-size", "50"]
    found = []
    for number, choose_by in enumerate([(), ("--choose-by", few)]):
        file = tmp_path / f"{number}.json"
        assert accuracy_vs_budget.main([a, b, *choose_by, *tiny, "--out", str(file)]) == 0
        cells = json.loads(file.read_text("utf-8"))["cells"]
        keys = ("accuracy", "balanced", "seen")  # one alone may be equal by chance
        found.append({cell["method"]: [cell[key] for key in keys] for cell in cells})
    assert found[0]["random"] == found[1]["random"]
    assert found[0]["guided"] != found[1]["guided"]
    assert "have different labels" in refused(capsys, a, b, "--choose-by", other, *out)
    assert "requires two embedding" in refused(capsys, "digits", "--choose-by", few, *out)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as error:
        raise SystemExit(accuracy_vs_budget.main(list(arguments)))
    assert error.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_rejects_wrong_input_in_one_line(tmp_path, capsys, digits):
    out = ["--out", str(tmp_path / "x.json")]
    save_embeddings(tmp_path / "bare", digits.features[:200])
    save_embeddings(tmp_path / "short", digits.features[:200, :3], digits.labels[:200])
    save_embeddings(tmp_path / "good", digits.features[:200], digits.labels[:200])
    good, bare, short = (str(tmp_path / name) for name in ("good", "bare", "short"))
    assert "data is required" in refused(capsys, *out)
    assert "data must be digits, or" in refused(capsys, "mnist", *out)
    assert "there is no embedding store" in refused(capsys, "no", "where", *out)
    assert "has no labels" in refused(capsys, bare, good, *out)
    assert "of the same length; got 64 in" in refused(capsys, good, short, *out)
    assert "method must be one of" in refused(capsys, "digits", "--methods", "best", *out)
    assert "must be a number above 0 and below 1; got 1.5" in refused(
        capsys, "digits", "--shares", "1.5", *out
    )
    assert "--candidate-size must be at most 958" in refused(
        capsys, "digits", "--candidate-size", "959", *out
    )
    assert "x.json" in refused(capsys, "--table", *out)
    assert not (tmp_path / "x.json").exists()


def test_rejects_runs_with_other_settings(tmp_path):
    path = tmp_path / "kept.runs.jsonl"
    log = RunLog(path, {"epochs": 3})
    run = Run("test", "as-is", 0, 0.2, "random", "steps", 0.001)
    log.add(run, {"accuracy": 0.5})
    assert RunLog(path, {"epochs": 3}).results == {run: {"accuracy": 0.5}}
    with pytest.raises(ValueError, match=r"different settings .*settings.epochs was 3, is now 4"):
        RunLog(path, {"epochs": 4})
    path.write_text("not\nruns\n")
    with pytest.raises(ValueError, match="is damaged or not a runs file"):
        RunLog(path, {"epochs": 3})
    path.write_text("something else")
    with pytest.raises(ValueError, match="is not a runs file"):
        RunLog(path, {"epochs": 3})
    assert path.read_text() == "something else"
