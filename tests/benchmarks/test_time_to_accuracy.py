import json

import pytest
import time_to_accuracy

pytestmark = pytest.mark.xdist_group("accuracy_vs_budget")


def cell(method, accuracy, cost, condition="as-is", share=0.2):
    return {
        "condition": condition,
        "share": share,
        "method": method,
        "accuracy": accuracy,
        "cost": [cost, cost],
        "seconds": [2 * cost, 2 * cost],
    }


def test_shortest_training_that_reaches_the_target_counts():
    parts = {
        2: {"cells": [cell("full", [0.7, 0.7], 10), cell("guided", [0.6, 0.6], 2)]},
        4: {"cells": [cell("full", [0.85, 0.83], 20), cell("guided", [0.86, 0.84], 4)]},
        8: {"cells": [cell("full", [0.84, 0.86], 40), cell("guided", [0.9, 0.9], 8)]},
    }
    found = time_to_accuracy.reached(parts, "as-is", 0.2, ["full", "guided", "random"], 1.0)
    assert found["aim"] == pytest.approx(0.84)
    full, guided, other = found["methods"]
    assert (full["epochs"], full["cost_share"]) == (4, 1.0)
    assert (guided["epochs"], guided["cost_share"], guided["seconds_share"]) == (4, 0.2, 0.2)
    assert (other["epochs"], other["cost_share"]) == (None, None)


def test_command_runs_all_lengths_and_resumes(tmp_path, capsys):
    out = tmp_path / "time.json"
    arguments = ["digits", "--methods", "random", "--lengths", "2", "1", "--out", str(out)]
    arguments += ["--conditions", "as-is", "--shares", "0.5", "--rates", "0.01", "--seeds", "2"]
    assert time_to_accuracy.main(arguments) == 0
    results = json.loads(out.read_text())
    (part,) = results["reached"]
    assert [found["method"] for found in part["methods"]] == ["full", "random"]
    assert list(part["methods"][0]["curve"]) == ["1", "2"]
    assert "cost / full" in capsys.readouterr().out
    before = (tmp_path / "time.1.runs.jsonl").read_bytes()
    assert time_to_accuracy.main(arguments) == 0
    assert (tmp_path / "time.1.runs.jsonl").read_bytes() == before
    assert json.loads(out.read_text())["reached"] == results["reached"]


def test_reports_wrong_arguments(tmp_path, capsys):
    out = str(tmp_path / "time.json")
    assert time_to_accuracy.main(["nowhere", "--out", out]) == 2
    assert "data must be digits" in capsys.readouterr().err
