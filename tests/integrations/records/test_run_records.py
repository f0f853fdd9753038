import json
from pathlib import Path

from report_helpers import results

from spectral_select.integrations.records.results import FORMAT, read_results, write_results
from spectral_select.integrations.records.run_records import Results

COMMITTED = Path(__file__).parents[3] / "docs" / "results"


def known(value):
    """Return JSON without null, empty lists and empty objects."""
    if isinstance(value, dict):
        return {key: known(one) for key, one in value.items() if one not in (None, [], {})}
    return [known(one) for one in value] if isinstance(value, list) else value


def test_committed_results_survive_reading_and_writing(tmp_path):
    contents = [(path, json.loads(path.read_text())) for path in COMMITTED.glob("*.json")]
    training = [(path, one) for path, one in contents if one.get("format") == FORMAT]
    assert training
    for path, content in training:
        write_results(read_results(path), tmp_path / "results.json")
        assert known(json.loads((tmp_path / "results.json").read_text())) == known(content)


def test_keeps_unknown_keys_of_data_and_inputs():
    content = results() | {"note": "x"}
    content["features"]["hash"] = "f00"
    written = Results.from_json(content).to_json()
    assert written["features"] == content["features"]
    assert written["data"] == content["data"]
    assert written["note"] == "x"


def test_optional_files_are_left_out():
    (run,) = Results.from_json(results(methods=("full",))).to_json()["runs"]
    assert {"gallery", "last_layer", "config"}.isdisjoint(run)
    content = results(methods=("full",))
    content["runs"][0] |= {"gallery": "a.npz", "config": {"lr": 0.1}}
    (run,) = Results.from_json(content).to_json()["runs"]
    assert (run["gallery"], run["config"]) == ("a.npz", {"lr": 0.1})


def test_run_is_complete_with_final_measurements():
    (run,) = Results.from_json(results(methods=("full",))).runs
    assert run.complete
    run.final = None
    assert not run.complete
