import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_select._utils.manifest import Manifest

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers())
CONTENTS = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    VALUES | st.dictionaries(st.text("xyz", min_size=1, max_size=1), VALUES, min_size=1),
)


@given(CONTENTS)
def test_no_difference_after_a_round_trip(content):
    assert Manifest(content).diff(Manifest(json.loads(json.dumps(content)))) == []


@given(CONTENTS, st.integers())
def test_names_the_entry_that_differs(content, number):
    first, second = content | {"key": {"inner": number}}, content | {"key": {"inner": number + 1}}
    expected = [f"key.inner was {number}, is now {number + 1}"]
    assert Manifest(first).diff(Manifest(second)) == expected


@pytest.mark.parametrize(
    ("saved", "wanted", "text"),
    [
        ({"seeds": [0, 1]}, {"seeds": [0, 2]}, "seeds was 0 1, is now 0 2"),
        ({"seeds": []}, {"seeds": [0]}, "seeds was empty, is now 0"),
        ({}, {"lr": 1}, "lr was missing, is now 1"),
        ({"hash": "a" * 64}, {"hash": "b" * 64}, f"hash was {'a' * 12}…, is now {'b' * 12}…"),
    ],
)
def test_shows_values_briefly(saved, wanted, text):
    assert Manifest(saved).diff(Manifest(wanted)) == [text]


def test_names_replace_keys():
    names = {"dim": "length of an embedding"}
    assert Manifest({"dim": 6}, names).diff(Manifest({"dim": 7})) == [
        "length of an embedding was 6, is now 7"
    ]


def test_part_is_compared_by_the_keys_that_both_have():
    whole, part = Manifest({"seeds": [0, 1], "lr": 1}), Manifest({"seeds": [0, 1]})
    assert whole.diff(part, shared_only=True) == []
    assert whole.diff(part) == ["lr was 1, is now missing"]
    assert whole.diff(Manifest({"seeds": [1]}), shared_only=True) == ["seeds was 0 1, is now 1"]
