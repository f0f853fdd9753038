"""Texts from files: contents of splits, fingerprints, and error messages."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from text_helpers import write_texts

from spectral_select.integrations.data.labeled_dataset import SplitOptions
from spectral_select.integrations.data.text_files import TextColumns, read_texts
from spectral_select.integrations.data.texts import holds_texts, load_texts

TOPIC = TextColumns(label="topic")


def write_lines(path, *lines):
    path.write_bytes(b"".join(x if isinstance(x, bytes) else f"{x}\n".encode() for x in lines))
    return path


class TestReadTexts:
    def test_formats_agree(self, tmp_path):
        rows = [{"text": 'a "cat",\nfat', "label": 1, "n": 0}, {"text": "ein Hund, ä", "label": 0}]
        jsonl = write_lines(tmp_path / "a.jsonl", *map(json.dumps, rows))
        csv = tmp_path / "a.csv"
        csv.write_text('label,text\n1,"a ""cat"",\nfat"\n0,"ein Hund, ä"\n', encoding="utf-8")
        parquet = tmp_path / "a.parquet"
        pq.write_table(pa.table({key: [row[key] for row in rows] for key in rows[1]}), parquet)
        found = [read_texts(path, TextColumns()) for path in (jsonl, csv, parquet)]
        assert [x.texts for x in found] == 3 * [[row["text"] for row in rows]]
        assert [[str(y) for y in x.labels] for x in found] == 3 * [["1", "0"]]
        assert [x.ids for x in found] == [
            ["a.jsonl:1", "a.jsonl:2"],
            ["a.csv:2", "a.csv:4"],  # the first row takes two lines
            ["a.parquet[0]", "a.parquet[1]"],
        ]

    def test_byte_order_mark_and_blank_lines(self, tmp_path):
        path = write_lines(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"text": "x"}\n\n', '{"text": "y"}')
        found = read_texts(path, TextColumns())
        assert (found.texts, found.ids) == (["x", "y"], ["a.jsonl:1", "a.jsonl:3"])
        path = write_lines(tmp_path / "a.csv", b"\xef\xbb\xbftext,label\n", "x,1", "", "y,2")
        found = read_texts(path, TextColumns())
        assert (found.texts, found.ids) == (["x", "y"], ["a.csv:2", "a.csv:4"])

    def test_long_csv_fields(self, tmp_path):
        path = write_lines(tmp_path / "a.csv", "text", "x" * 200_000)
        assert len(read_texts(path, TextColumns()).texts[0]) == 200_000

    def test_labels_are_optional(self, tmp_path):
        path = write_lines(tmp_path / "a.jsonl", '{"text": "x", "kind": "a"}')
        assert read_texts(path, TextColumns()).labels is None
        assert read_texts(path, TextColumns(label="kind")).labels == ["a"]

    def test_identifiers_from_a_column(self, tmp_path):
        lines = ('{"text": "x", "id": 7}', '{"text": "y", "id": "b"}')
        path = write_lines(tmp_path / "a.jsonl", *lines)
        assert read_texts(path, TextColumns(id="id")).ids == ["7", "b"]
        write_lines(path, *lines, lines[0])
        with pytest.raises(ValueError, match=r"a.jsonl:3: 'id' is '7', as in .*a.jsonl:1"):
            read_texts(path, TextColumns(id="id"))

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (['{"text": "x"}', '{"text": "y"'], r"a.jsonl:2 is not JSON: .* \(column 13\)"),
            (['{"text": "x"}', "[1, 2]"], "a.jsonl:2 must hold an object.*; got list"),
            (['{"text": "x"}', b'{"text": "\xff"}\n'], "a.jsonl:2 is not UTF-8"),
            (['{"text": "x"}', '{"body": "x"}'], "a.jsonl:2 has no 'text'; it has 'body'"),
            (['{"text": 4}'], "a.jsonl:1: 'text' must be a string; got int 4"),
            (['{"text": "x"}', '{"text": " "}'], "a.jsonl:2: 'text' is empty; remove such rows"),
            (['{"text": ""}', '{"text": null}'], r"jsonl:1: 'text' is empty \(and 1 more texts"),
            (['{"text": "x", "label": 1}', '{"text": "y"}'], "a.jsonl:2 has no 'label'"),
            (["[" * 100_000], "a.jsonl:1 is (nested too deeply|not JSON)"),
            ([], r"a.jsonl has no rows; expected texts in a column 'text'"),
        ],
    )
    def test_damaged_jsonl(self, tmp_path, lines, message):
        with pytest.raises(ValueError, match=message):
            read_texts(write_lines(tmp_path / "a.jsonl", *lines), TextColumns())

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["text,label", "x,1", "y"], "a.csv:3 has 1 fields, but the header has 2"),
            (["text,label", '"x,1'], "a.csv:2 is not CSV: unexpected end of data"),
            (["title,body", "x,1"], "a.csv:2 has no 'text'; it has 'title', 'body'"),
            (["text,text", "x,1"], "a.csv has several columns 'text'"),
            (["text,label", "x,1", ",2"], "a.csv:3: 'text' is empty"),
            (["text", b"\xff\n"], "a.csv is not UTF-8"),
        ],
    )
    def test_damaged_csv(self, tmp_path, lines, message):
        with pytest.raises(ValueError, match=message):
            read_texts(write_lines(tmp_path / "a.csv", *lines), TextColumns())

    def test_damaged_parquet(self, tmp_path):
        path = write_lines(tmp_path / "a.parquet", "no table")
        with pytest.raises(ValueError, match=r"a.parquet cannot be read"):
            read_texts(path, TextColumns())
        pq.write_table(pa.table({"text": ["x", None]}), path)
        with pytest.raises(ValueError, match=r"a.parquet\[1\]: 'text' is empty"):
            read_texts(path, TextColumns())
        with pytest.raises(ValueError, match="has no column 'body'; it has text"):
            read_texts(path, TextColumns(text="body"))

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*a.jsonl"):
            read_texts(tmp_path / "a.jsonl", TextColumns())


class TestLoadTexts:
    def test_splits_are_stratified_and_repeatable(self, tmp_path):
        path = write_texts(tmp_path / "a.jsonl")
        data = load_texts(path, TOPIC)
        assert data.classes == ("animals", "food", "physics")
        assert [
            np.bincount(part.labels).tolist() for part in (data.train, data.val, data.test)
        ] == [
            [14, 14, 15],
            [2, 2, 1],
            [4, 4, 4],
        ]
        text, label = data.test[0]
        assert text.startswith("The ")
        line = int(data.test.paths[0].removeprefix("a.jsonl:"))
        assert json.loads(path.read_text().splitlines()[line - 1])["topic"] == data.classes[label]
        again = load_texts(path, TOPIC)
        assert again.test.paths == data.test.paths
        other = load_texts(path, TOPIC, SplitOptions(seed=1))
        assert other.test.paths != data.test.paths
        assert len(load_texts(path, TOPIC, SplitOptions(train_size=6)).train) == 6

    def test_unlabeled_texts_are_divided_too(self, tmp_path):
        data = load_texts(write_texts(tmp_path / "a.jsonl"))
        assert data.train.labels is None
        assert (data.classes, len(data.train), len(data.test)) == ((), 43, 12)
        assert isinstance(data.train[0], str)
        assert len(data.train.fingerprint) == 64

    def test_a_file_for_each_split(self, tmp_path):
        for seed, name in enumerate(("train", "test")):
            write_texts(tmp_path / "a" / f"{name}.jsonl", n_per_class=6 - 3 * seed, seed=seed)
        assert holds_texts(tmp_path / "a")
        data = load_texts(tmp_path / "a", TOPIC, SplitOptions(val_fraction=0))
        assert (len(data.train), len(data.val), len(data.test)) == (18, 0, 9)
        assert data.test.paths[0] == "test.jsonl:1"
        assert data.split("all").paths == data.train.paths + data.test.paths
        assert data.record["layout"] == "files test.jsonl as test, train.jsonl as train"

    def test_classes_of_the_parts(self, tmp_path):
        (tmp_path / "train.csv").write_text("text,label\nx,10\ny,9\n")
        (tmp_path / "test.csv").write_text("text,label\nx,9\ny,11\n")
        with pytest.raises(ValueError, match=r"test.csv:3: 'label' is '11', a class that the"):
            load_texts(tmp_path)
        (tmp_path / "test.csv").write_text("text\nx\n")
        with pytest.raises(ValueError, match=r"test.csv has no column 'label', but"):
            load_texts(tmp_path)
        (tmp_path / "test.csv").write_text("text,label\nx,9\n")
        assert load_texts(tmp_path).classes == ("9", "10")
        (tmp_path / "test.jsonl").write_text("")
        with pytest.raises(ValueError, match="has two files for the test split"):
            load_texts(tmp_path)

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            ("null", r"a.jsonl:2: 'label' is missing; every sample"),
            ('""', r"a.jsonl:2: 'label' is missing"),
            ("NaN", r"a.jsonl:2: 'label' is missing"),
            ("[1]", r"a.jsonl:2: 'label' must be an integer or a string; got \[1\]"),
            ("1.5", r"a.jsonl:2: 'label' must be an integer or a string; got 1.5"),
        ],
    )
    def test_rejects_invalid_labels(self, tmp_path, label, message):
        lines = ('{"text": "x", "label": 1.0}', f'{{"text": "y", "label": {label}}}')
        with pytest.raises(ValueError, match=message):
            load_texts(write_lines(tmp_path / "a.jsonl", *lines))

    def test_fingerprint_covers_texts_labels_and_names(self, tmp_path):
        prints = set()
        for lines in (
            ['{"text": "x", "label": "a"}', '{"text": "y", "label": "b"}'],
            ['{"text": "x", "label": "b"}', '{"text": "y", "label": "a"}'],
            ['{"text": "xy", "label": "a"}', '{"text": "y", "label": "b"}'],
            ["", '{"text": "x", "label": "a"}', '{"text": "y", "label": "b"}'],
        ):
            data = load_texts(write_lines(tmp_path / "a.jsonl", *lines))
            prints.add(data.split("all").fingerprint)
        assert len(prints) == 4
