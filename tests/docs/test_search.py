"""Common search queries lead to the right page."""

import json
import re

import pytest
from docs_helpers import DOCS
from sphinx.search.en import SearchEnglish

INDEX = DOCS / "_build" / "html" / "searchindex.js"
WANTED = {
    "mislabelled": "howto/wrong_labels",
    "noisy labels": "howto/wrong_labels",
    "deduplicate": "howto/inspect",
    "coreset": "guide/choosing",
    "curriculum": "guide/schedules",
    "speed up training": "evidence/cost",
}


def keywords(page):
    """Return the keywords of a page; Sphinx indexes each as one word."""
    text = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
    (found,) = re.findall(r"^\.\. meta::\n   :keywords: (.*(?:\n {6}.*)*)", text, re.M)
    return [word.strip() for word in found.split(",")]


def words(query):
    return [word for word in query.split() if word not in SearchEnglish.stopwords]


@pytest.mark.parametrize(("query", "page"), WANTED.items())
def test_page_has_the_keywords(query, page):
    assert {*words(query)} - {"labels", "up"} <= {*keywords(page)}
    assert all(" " not in word for word in keywords(page))


@pytest.mark.skipif(not INDEX.exists(), reason="the site is not built (make docs)")
@pytest.mark.parametrize(("query", "page"), WANTED.items())
def test_search_lists_the_page_first(query, page):
    index = json.loads(INDEX.read_text("utf-8").removeprefix("Search.setIndex(").rstrip(")"))
    stem = SearchEnglish({}).stem
    scores = []  # for each word, the score of each page that has it
    for word in words(query):
        score = {}
        for part, value in (("terms", 5), ("titleterms", 15)):
            hits = index[part].get(stem(word), [])
            score |= dict.fromkeys([hits] if isinstance(hits, int) else hits, value)
        scores.append(score)
    total = {
        (-max(score[n] for score in scores) - bonus(index["docnames"][n]), index["titles"][n]): n
        for n in set.intersection(*map(set, scores))
    }
    assert index["docnames"][total[min(total)]] == page


def bonus(page):
    """Return what the site's scorer adds to the score of a page."""
    part = page.split("/")[0]
    found = re.search(
        rf'"{part}/"\) \? (\d)', (DOCS / "_static/search_scorer.js").read_text("utf-8")
    )
    return int(found[1]) if found else 0
