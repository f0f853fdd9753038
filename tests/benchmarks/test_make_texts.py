import json

import make_texts
import pytest


@pytest.fixture
def few_packages(monkeypatch, tmp_path):
    """Two small packages in place of scikit-learn and SciPy."""
    for package in ("scipy", "sklearn"):
        for part in ("first", "second", "rare"):
            folder = tmp_path / package / part
            (folder / "tests").mkdir(parents=True)
            n = 3 if part == "rare" else 9
            lines = [f'def f{i}():\n    """{part} {i}\n    {"word " * 40}"""' for i in range(n)]
            (folder / "code.py").write_text("\n".join([*lines, 'def g():\n    """Short."""']))
            (folder / "tests" / "test_code.py").write_text('"""' + "a test " * 40 + '"""')
        monkeypatch.setattr(getattr(make_texts, package), "__file__", f"{tmp_path}/{package}/x.py")
    monkeypatch.setattr(make_texts, "FEWEST", 5)


def test_writes_long_docstrings_of_large_subpackages(few_packages, tmp_path):
    assert make_texts.main([str(tmp_path / "texts")]) == 0
    rows = {
        name: [json.loads(line) for line in (tmp_path / "texts" / name).read_text().splitlines()]
        for name in ("train.jsonl", "test.jsonl")
    }
    assert {name: len(part) for name, part in rows.items()} == {"train.jsonl": 24, "test.jsonl": 12}
    both = [(row["topic"], row["text"]) for part in rows.values() for row in part]
    assert len(set(both)) == 36
    topics = {
        f"{package}.{part}" for package in ("scipy", "sklearn") for part in ("first", "second")
    }
    assert {topic for topic, _ in both} == topics
    for topic, text in both:
        assert text.startswith(topic.partition(".")[2])
        assert "\n" not in text
        assert 120 <= len(text) <= 800


def test_existing_folder_is_not_changed(few_packages, tmp_path, capsys):
    assert make_texts.main([str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
