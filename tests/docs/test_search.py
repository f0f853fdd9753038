"""What people type into the search box leads to the right page."""

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
def test_search_index_leads_to_the_page(query, page):
    index = json.loads(INDEX.read_text("utf-8").removeprefix("Search.setIndex(").rstrip(")"))
    stem = SearchEnglish({}).stem
    number = index["docnames"].index(page)
    for word in words(query):
        found = [index[part].get(stem(word), []) for part in ("terms", "titleterms")]
        pages = {n for hits in found for n in ([hits] if isinstance(hits, int) else hits)}
        assert number in pages, word
