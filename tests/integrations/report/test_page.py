import json
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from report_helpers import results, write_run

from spectral_select._cli.main import main
from spectral_select.integrations.report import write_report


class Page(HTMLParser):
    """Collects tags with attributes, and text; checks that tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "wbr", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", results(methods=("random",)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page for four methods and two seeds."""
    content = results(methods=("full", "random", "fiedler", "jest:n_chunks=8"), seeds=(0, 1))
    folder = tmp_path_factory.mktemp("report")
    return write_report([write_run(folder / "run", content)], folder / "out")


def test_page_is_self_contained(written):
    page = page_of(written)
    assert all(attrs["src"].startswith("data:image/") for attrs in page.all("img"))
    assert all(attrs["href"].startswith("#") for attrs in page.all("a"))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    policy = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")
    assert "url(" not in written.read_text()


def test_page_is_accessible(written):
    page = page_of(written)
    assert all(len(attrs["alt"]) > 20 for attrs in page.all("img"))
    assert len(page.all("table")) == len(page.all("caption")) > 2
    assert all("scope" in attrs for attrs in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    names = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(set(names)) == len(names)
    assert {attrs["href"][1:] for attrs in page.all("a")} <= set(names)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_figures_are_written_next_to_the_page(written):
    page = page_of(written)
    assert sorted(p.name for p in written.parent.iterdir()) == ["figures", "report.html"]
    pictures = sorted((written.parent / "figures").iterdir())
    assert len(pictures) == len(page.all("img")) == 5 + 2 * 4
    for path in pictures:
        with Image.open(path) as image:
            image.verify()
            assert image.format == "PNG"


def test_other_datasets_are_not_compared_with_the_paper(written):
    text = " ".join(page_of(written).text)
    assert "The paper’s" not in text
    assert "the paper’s figure" not in text
    assert "Nothing was recorded for full, random, fiedler, jest:n_chunks=8." in text


def test_copy_of_the_papers_dataset_has_a_warning(tmp_path):
    content = results(methods=("full", "fiedler"))
    content["data"] = {"name": "cifar-10-jpeg", "n_classes": 10, "fingerprint": {"train": "a"}}
    text = " ".join(page_of(write_report([write_run(tmp_path / "r", content)], tmp_path)).text)
    assert "These runs use cifar-10-jpeg, whereas the paper uses CIFAR-10." in text
    assert "The paper’s tables 9 to 16" in text


def test_runs_on_the_papers_dataset_have_no_warning(tmp_path):
    content = results(methods=("full",))
    content["data"] = {"name": "cifar10", "n_classes": 10, "fingerprint": {"train": "a"}}
    text = " ".join(page_of(write_report([write_run(tmp_path / "r", content)], tmp_path)).text)
    assert "whereas the paper uses" not in text
    assert "The paper’s tables 9 to 16" in text


def test_each_dataset_has_its_own_section(run, tmp_path):
    content = results(methods=("full",), seeds=(5,))
    content["data"] = {"name": "photos", "n_classes": 3}
    other = write_run(tmp_path / "other", content)
    page = page_of(write_report([run, other], tmp_path / "out"))
    assert {"s1", "s2"} <= {attrs.get("id") for attrs in page.all("h2")}
    assert (tmp_path / "out" / "figures" / "2-costs.png").is_file()


def page_with(text, folder):
    """Return the page for a run in which every text is `text`."""
    content = results(methods=("full",))
    content["runs"][0] |= {"method": text, "gallery": text, "last_layer": text}
    content["command"] = content["data"]["name"] = content["features"]["source"] = text
    content["config"] |= {"model": text, "weights": text, text: text}
    content["hardware"] = {"gpu": text}
    return page_of(write_report([write_run(folder / "run", content)], folder / "out"))


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>&\"'", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"]
)
def test_user_text_adds_no_markup(tmp_path, text):
    harmless, page = page_with("harmless", tmp_path / "0"), page_with(text, tmp_path / "1")
    assert [(tag, list(attrs)) for tag, attrs in page.tags] == [
        (tag, list(attrs)) for tag, attrs in harmless.tags
    ]
    assert " ".join(page.text).count(text) > 10


def test_unreadable_files_are_listed(tmp_path):
    content = results(methods=("random",), seeds=(0, 1, 2))
    for run, name in zip(
        content["runs"], ("../x.npz", "gallery/none.npz", "bad.npz"), strict=False
    ):
        run["gallery"] = name
    folder = write_run(tmp_path / "run", content)
    (folder / "bad.npz").write_bytes(b"bad")
    np.savez(tmp_path / "x.npz", a=np.ones(1))
    text = " ".join(page_of(write_report([folder], tmp_path / "out")).text)
    assert "../x.npz is outside the run" in text
    assert "gallery/none.npz is missing" in text
    assert "bad.npz is damaged" in text


def test_shows_the_first_readable_batches(tmp_path):
    content = results(methods=("random",), seeds=(0, 1))
    folder = tmp_path / "run"
    content["runs"][0]["gallery"], content["runs"][1]["gallery"] = "none.npz", "one.npz"
    write_run(folder, content)
    np.savez(
        folder / "one.npz",
        images_0=np.zeros((4, 8, 8, 3), np.uint8),
        kept_0=np.arange(4) < 1,
        labels_0=np.zeros(4, int),
        indices_0=np.arange(4),
    )
    text = " ".join(page_of(write_report([folder], tmp_path / "out")).text)
    assert "random, seed 1, batch 0 of the first epoch: 1 of 4 kept" in text


def test_accepts_missing_values(tmp_path):
    content = results(methods=("fiedler", "jest"), epochs=3, seeds=(0, 1))
    for run in content["runs"]:
        run["final"]["test"] = {"accuracy": None, "loss": None}
        for epoch in run["history"]:
            epoch["loss"] = None
            epoch["val"] = {"count": 0, "accuracy": None, "loss": None}
        run["history"][1]["test"] = {"count": 0, "accuracy": None, "loss": None}
    content["runs"][1]["history"].pop()
    content["features"]["seconds"] = content["reference"] = None
    page_of(write_report([write_run(tmp_path / "run", content)], tmp_path / "out"))


def test_names_interrupted_runs(tmp_path):
    content = results(methods=("full",), epochs=1, status="interrupted")
    text = " ".join(page_of(write_report([write_run(tmp_path / "r", content)], tmp_path)).text)
    assert "incomplete; their status is “interrupted”" in text
    assert "interrupted after 1 epochs" in text


def test_equal_results_give_equal_pages(run, tmp_path):
    first = write_report([run], tmp_path / "out").read_bytes()
    assert write_report([run], tmp_path / "out").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("runs"), "lacks runs"),
        (lambda content: content.update(runs={}), "has {} for runs; expected a list"),
        (
            lambda content: content["runs"][0]["history"][1].pop("seconds"),
            r"lacks runs\[0\].history",
        ),
        (
            lambda content: content["runs"][0]["final"].update(val=3),
            r"has 3 for runs\[0\].final.val",
        ),
        (lambda content: content["runs"][0].update(seed=True), "expected an integer"),
        (
            lambda content: content["features"].update(seconds="long"),
            "expected a finite number or null",
        ),
        (lambda content: content["runs"][0]["history"][0].update(loss=1e300), "has 1e[+]300 for"),
        (
            lambda content: content["runs"][0]["history"][0].update(steps=float("nan")),
            "has nan for",
        ),
    ],
)
def test_rejects_damaged_results_before_writing(tmp_path, change, message):
    content = results()
    change(content)
    with pytest.raises(ValueError, match=message):
        write_report([write_run(tmp_path / "run", content)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command_writes_into_the_run_folder(run, capsys):
    assert main(["report", str(run)]) == 0
    assert (run / "report" / "report.html").is_file()
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "{run}"], "results.json twice"),
        (["nowhere"], "nowhere does not exist; expected a run's folder"),
        (["."], ". contains no results.json; expected a run's folder"),
        (["{run.parent}"], "did you mean {run}?"),
        (["{run}", "--out", "{run}/results.json"], "is a file; expected a folder"),
        ([], "required: RUN"),
    ],
)
def test_command_reports_mistakes_in_one_line(
    run, capsys, arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(a.format(run=run) for a in arguments)]) == 2
    err = capsys.readouterr().err
    assert message.format(run=run) in err
    assert err.count("\n") == 1


def test_command_rejects_runs_without_an_epoch(tmp_path, capsys):
    folder = write_run(tmp_path / "run", results(epochs=0, status="failed"))
    assert main(["report", str(folder)]) == 2
    assert "no epoch is complete" in capsys.readouterr().err


def test_reads_every_filter_ratio_of_a_sweep(tmp_path):
    for ratio in (0.5, 0.8):
        content = results(methods=("full",))
        content["config"]["filter_ratio"] = ratio
        (tmp_path / f"results-f{ratio:g}.json").write_text(json.dumps(content))
    for runs in ([tmp_path], sorted(tmp_path.glob("results-f*.json"))):
        page = page_of(write_report(runs, tmp_path / "out"))
        assert {"s1", "s2"} <= {attrs.get("id") for attrs in page.all("h2")}


def test_rows_of_features_have_no_pictures(tmp_path):
    content = results(methods=("random",))
    content["data"] |= {"unit": "rows", "count": {"train": 9}}
    text = " ".join(
        page_of(write_report([write_run(tmp_path / "run", content)], tmp_path / "out")).text
    )
    assert " training rows, " in text
    assert "Selected samples" not in text
    assert "selected samples" not in text
