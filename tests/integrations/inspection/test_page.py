"""The inspection page: its lists, thumbnails, hostile names, and no external content."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from spectral_select import inspect_dataset
from spectral_select.integrations.inspection.content import collect
from spectral_select.integrations.inspection.page import write_page
from spectral_select.integrations.inspection.thumbnails import Thumbnails

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


class DigitImages:
    """The digits with one damaged image; records which images are loaded."""

    def __init__(self, damaged=-1):
        self.loaded, self.damaged = [], damaged

    def load(self, i):
        self.loaded.append(i)
        if i == self.damaged:
            raise ValueError("damaged")
        return Image.fromarray((X[i].reshape(8, 8) * 15).astype(np.uint8)).convert("RGB")


@pytest.fixture(scope="module")
def found():
    A, y = X.copy(), Y.copy()
    y[100:120] = (y[100:120] + 1) % 10
    A[20] = A[10]  # both are zeros
    A[31] = A[30]  # the labels differ
    A[[40, 41]] = np.random.default_rng(0).permuted(A[[40, 41]], axis=1)
    return inspect_dataset(A, y, other=A[[5, 6]])


def test_lists_come_from_the_inspection(found):
    content = collect(found, Thumbnails(None), Thumbnails(None))
    assert content.n == len(X)
    assert content.n_suspects == len(found.label_issues_) == len(content.suspects)
    first = content.suspects[0]
    i = found.label_issues_[0]
    assert (first.sample.name, first.sample.label) == (f"row {i}", str(found.labels[i]))
    assert first.suggested == str(found.wrong_labels.suggested[i])
    assert [one.trust for one in content.suspects] == sorted(one.trust for one in content.suspects)
    assert content.n_groups == len(found.near_duplicates_)
    assert content.n_crossing == len(content.crossing) == len(found.crossing_duplicates_)
    assert {c.name for c in content.classes} == {str(c) for c in range(10)}
    assert sum(c.n for c in content.classes) == len(X)
    assert sum(c.flagged for c in content.classes) == content.n_suspects
    rates = [c.noise_rate for c in content.classes]
    assert rates == sorted(rates, reverse=True)


def test_groups_with_contradicting_labels_come_first(found):
    content = collect(found, Thumbnails(None), Thumbnails(None))
    names = [{sample.name for sample in group.samples} for group in content.groups]
    assert content.n_conflicts >= 1
    conflicts = [len(group.labels) > 1 for group in content.groups]
    assert conflicts == sorted(conflicts, reverse=True)
    assert {"row 30", "row 31"} in names[: content.n_conflicts]
    assert {"row 10", "row 20"} in names[content.n_conflicts :]
    assert all(group.exact for group in content.groups if {"row 10"} <= {group.samples[0].name})


def test_typical_samples_have_confirmed_labels(found):
    content = collect(found, Thumbnails(None), Thumbnails(None))
    for one in content.suspects:
        assert len(one.typical_given) == len(one.typical_suggested) == 3
        for sample in one.typical_given:
            i = int(sample.name.removeprefix("row "))
            assert str(found.labels[i]) == one.sample.label
            assert found.wrong_labels.suggested[i] == found.labels[i]


def test_confusion_counts_flagged_labels(found):
    confusion = collect(found, Thumbnails(None), Thumbnails(None)).confusion
    assert confusion.counts.sum() + confusion.left_out == len(found.label_issues_)
    assert (np.diag(confusion.counts) == 0).all()
    row = confusion.classes.index(str(found.labels[found.label_issues_[0]]))
    suggested = str(found.wrong_labels.suggested[found.label_issues_[0]])
    assert confusion.counts[row, confusion.classes.index(suggested)] >= 1


def test_long_lists_are_truncated_with_a_note(tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(Y)) < 0.4, rng.integers(0, 10, len(Y)), Y)
    found = inspect_dataset(X, noisy)
    write_page(tmp_path / "p.html", found)
    page = (tmp_path / "p.html").read_text()
    assert len(found.label_issues_) > 200
    assert page.count('<li class="suspect"') == 200
    assert f"Showing 200 of {len(found.label_issues_)} labels" in page


def written(tmp_path, found, **options):
    write_page(tmp_path / "page.html", found, **options)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_each_image_is_embedded_once(found, tmp_path):
    images = DigitImages()
    page = written(tmp_path, found, images=images, other_images=images)
    assert len(images.loaded) - len(set(images.loaded)) <= 2  # thumbnails of the other dataset
    assert page.count("data:image/jpeg;base64,") == len(images.loaded)
    used = set(re.findall(r'class="thumb (\w+)"', page))
    assert used == set(re.findall(r"^\.(\w+)\{background-image", page, re.MULTILINE))


def test_images_that_cannot_be_read_are_counted(found, tmp_path):
    i = int(found.label_issues_[0])
    page = written(tmp_path, found, images=DigitImages(damaged=i))
    assert "1 images could not be read" in page
    assert f"row {i}" in page


def test_the_page_loads_nothing_and_runs_only_its_script(found, tmp_path):
    page = written(tmp_path, found, images=DigitImages())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]
    assert not re.search(r'(src|href)="(?!#)', page)
    assert page.count("<script") == 1


def test_names_and_details_are_text(found, tmp_path):
    evil = '</style><script>alert("x")</script>\udcff'
    named = replace(found, paths=tuple([evil] * len(X)))
    page = written(
        tmp_path, named, title=evil, label_name=lambda _: evil, details={evil: [evil] * len(X)}
    )
    assert page.count("<script") == 1
    assert "alert(" in unescape(page)


def test_without_labels_or_findings(tmp_path):
    rng = np.random.default_rng(0)
    page = written(tmp_path, inspect_dataset(rng.random((50, 30))))
    assert 'id="labels"' not in page
    assert "No two samples have a similarity" in page
    page = written(
        tmp_path,
        inspect_dataset(
            np.vstack([X[Y == 0], X[Y == 1]]), np.repeat([0, 1], [(Y == 0).sum(), (Y == 1).sum()])
        ),
    )
    assert "Label noise by class" in page


def test_details_are_shown(found, tmp_path):
    texts = [f"text number {i}" for i in range(len(X))]
    page = written(tmp_path, found, details={"text": texts})
    assert texts[found.label_issues_[0]] in page


def test_failed_write_leaves_no_page(found, tmp_path):
    with pytest.raises(FileNotFoundError):
        write_page(tmp_path / "none" / "page.html", found)
    assert not list(tmp_path.iterdir())
