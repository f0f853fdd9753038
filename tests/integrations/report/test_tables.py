from dataclasses import replace

import pytest
from report_helpers import groups, results

from spectral_select.integrations.records.run_records import Measurement, Results
from spectral_select.integrations.report.saln_paper import (
    PAPERS,
    QUANTITIES,
    differences,
    paper_data,
    printed_method,
)
from spectral_select.integrations.report.tables import (
    cost_table,
    facts,
    paper_tables,
    summary_table,
)


def group(**options):
    return groups(results(**options))[0]


def row(table, method):
    cells = next(cells for name, _, cells in table.rows if name == method)
    return dict(zip(table.head[1:], cells, strict=True))


def test_each_of_the_papers_sixteen_tables_is_present_once():
    numbers = [n for paper in PAPERS for pair in paper.tables.values() for n in pair]
    assert sorted(numbers) == list(range(1, 17))
    for paper in PAPERS:
        assert set(paper.tables) == set(paper.printed) == {quantity.key for quantity in QUANTITIES}
        for quantity in QUANTITIES:
            printed = paper.printed[quantity.key]
            assert set(printed) == {"SALN", "standard", "JEST"}
            for cells in printed.values():
                assert len(cells) == len(quantity.columns)
                limit = {"loss": 1, "time": 60}.get(quantity.key, 100)
                assert all(0 < float(cell) < limit for cell in cells)


@pytest.mark.parametrize(
    ("name", "paper", "same"),
    [
        ("oxford-pet", "Oxford-IIIT Pet", True),
        ("cifar10", "CIFAR-10", True),
        ("/data/cifar10", "CIFAR-10", False),
        ("CIFAR-10-JPEG/", "CIFAR-10", False),
        ("/data/cifar100", "Oxford-IIIT Pet", False),
        ("caltech-101", "Oxford-IIIT Pet", False),
        ("flowers102", "Oxford-IIIT Pet", False),
    ],
)
def test_matches_the_papers_dataset_by_name(name, paper, same):
    data, is_same = paper_data(name)
    assert (data.name, is_same) == (paper, same)


def test_only_the_papers_methods_have_a_printed_name():
    names = ("full", "fiedler", "jest", "jest-sigmoid:n_chunks=4")
    assert [printed_method(name) for name in names] == ["standard", "SALN", "JEST", "JEST"]
    for name in ("random", "stratified", "full-short", "gstds", "fiedler:laplacian=symmetric"):
        assert printed_method(name) is None


def test_paper_tables_show_both_results():
    pet = PAPERS[0]
    accuracy, loss, test, time = paper_tables(group(methods=("full", "fiedler")), pet)
    assert "tables 1 and 5" in accuracy.caption
    assert [t.caption.rpartition("tables ")[2] for t in (loss, test, time)] == [
        "2 and 6",
        "3 and 7",
        "4 and 8",
    ]
    texts = {name: [cell.text for cell in cells] for name, _, cells in accuracy.rows}
    assert texts["full"] == ["98.70", "60.00", "86.1", "76.49"]
    assert texts["fiedler"][2:] == ["96.5", "94.02"]
    assert texts["JEST"] == ["–", "–", "79.59", "75.54"]
    assert [c.kind for c in accuracy.rows[0][2]] == ["", "", "paper", "paper"]
    assert [cell.text for cell in time.rows[0][2]] == ["0.50", "24.48"]
    assert [cell.text for cell in time.rows[1][2]] == ["0.12", "6.31"]
    assert [span for _, span in loss.groups] == [1, 2, 2]


def test_random_has_no_printed_number():
    table = paper_tables(group(), PAPERS[1])[2]
    assert next(c for name, _, c in table.rows if name == "random")[1].text == "–"


def test_lists_differences_from_the_papers_setting():
    content = results()
    content["config"] |= {"epochs": 12, "lr": 0.001, "weights": "default"}
    content["hardware"] = {"gpu": "NVIDIA H200"}
    phrases = differences(Results.from_json(content), False, PAPERS[0])
    assert phrases == [
        "colored instead of Oxford-IIIT Pet",
        "epochs 12 (paper: 25)",
        "NVIDIA H200 (paper: T4)",
    ]
    content["config"]["epochs"], content["hardware"]["gpu"] = 25, "Tesla T4"
    assert differences(Results.from_json(content), True, PAPERS[0]) == []


def test_summary_pairs_seeds():
    pooled = group(seeds=(0, 1, 2))
    for run in pooled.runs["fiedler"]:
        test = Measurement(accuracy=0.5 + 0.01 * run.seed, loss=1.0)
        run.record.final = replace(run.record.final, test=test)
    cells = row(summary_table(pooled), "fiedler")
    assert cells["test accuracy (%)"].text == "51.00 ± 2.48"  # t(0.975, 2) / sqrt(3)
    assert (cells["minus random"].text, cells["minus random"].kind) == ("−10.00 ± 0.00", "below")
    assert cells["total cost (s)"].text == "40.5 ± 0.0"
    assert row(summary_table(pooled), "random")["minus full"].kind == ""
    assert row(summary_table(pooled), "full")["minus full"].text == "–"


def test_one_seed_has_no_interval_and_no_marks():
    cells = row(summary_table(group()), "fiedler")
    assert cells["test accuracy (%)"].text == "60.00"
    assert cells["minus full"].text == "+0.00"
    assert all(not cell.kind for cell in cells.values())


def test_shows_costs_by_kind():
    table = cost_table(group(methods=("full", "fiedler", "jest"), seeds=(0, 1)))
    texts = {key: cell.text for key, cell in row(table, "fiedler").items()}
    assert texts == {
        "training": "7.50",
        "epoch / full": "0.25",
        "selection wait": "2.7%",
        "selection work": "0.50",
        "loading": "1.00",
        "before training": "–",
        "features": "33.0",
        "reference model": "–",
        "total": "40.5",
        "total, amortized": "24.0",
    }
    assert row(table, "jest")["total, amortized"].text == "55.0"


def test_shows_unknown_costs_as_question_marks():
    content = results()
    content["features"]["seconds"] = None
    cells = row(cost_table(*groups(content)), "fiedler")
    assert (cells["features"].text, cells["total"].text) == ("?", "?")


def test_marks_interrupted_runs():
    table = summary_table(group(epochs=1, status="interrupted"))
    assert {remark for _, remark, _ in table.rows} == {"interrupted after 1 epochs"}


def test_facts_name_missing_entries():
    entries = dict(facts(Results.from_json(results())))
    assert entries["command"] == entries["hardware"] == "not recorded"
    assert entries["config"].startswith("model: resnet18; image_size: 32")
