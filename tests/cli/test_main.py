"""The command line as users see it: output, one-line errors, exit status."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectral_select import FiedlerBatchSelector, __version__, save_embeddings
from spectral_select._cli.main import _COMMANDS, main
from spectral_select._features.readers import read_features
from spectral_select._fiedler.fiedler_vector import AFFINITIES, LAPLACIANS
from spectral_select._selectors.rules import RULES

X = np.random.default_rng(0).random((50, 8)).astype(np.float32)
CHOSEN = FiedlerBatchSelector().fit(X).sample_indices_


@pytest.fixture
def features(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return str(tmp_path / "x.npy")


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


class TestHelp:
    def test_version(self, run):
        assert run("--version") == (0, f"spectral-select {__version__}\n", "")

    @pytest.mark.parametrize("command", ["extract", "select"])
    def test_every_command_has_examples_that_parse(self, run, command):
        from spectral_select._cli.main import _parser

        status, out, err = run(command, "--help")
        assert (status, err) == (0, "")
        text = re.sub(r"\\\n\s*", "", out)
        examples = [
            line.split("#")[0].split()
            for line in text.splitlines()
            if line.startswith("  spectral-select")
        ]
        assert len(examples) >= 4
        for words in examples:
            assert _parser(command).parse_args(words[1:]).command == command

    @pytest.mark.parametrize("command", [[], *([name] for name in _COMMANDS)], ids=str)
    def test_lines_fit_on_the_page(self, run, monkeypatch, command):
        monkeypatch.setenv("COLUMNS", "79")
        _, out, _ = run(*command, "--help")
        assert max(map(len, out.splitlines())) <= 100

    def test_top_level(self, run):
        status, out, err = run("--help")
        assert (status, err) == (0, "")
        assert all(name in out for name in ("extract", "select", "train", "typical use"))

    def test_without_arguments_prints_help(self, run):
        status, out, err = run()
        assert (status, out) == (2, "")
        assert "typical use" in err

    def test_help_loads_neither_torch_nor_sklearn(self):
        code = (
            "import sys; from spectral_select._cli.main import main\n"
            "for words in (['--help'], ['extract', '--help'], ['select', '--help']): main(words)\n"
            "sys.exit(any(name in sys.modules for name in ('torch', 'sklearn')))"
        )
        assert python("-c", code).returncode == 0

    def test_choices_are_the_selectors(self):
        from spectral_select._cli.main import _parser

        command = _parser("select")._subparsers._group_actions[0].choices["select"]
        choices = {action.dest: action.choices for action in command._actions}
        assert set(choices["rule"]) == set(RULES)
        assert set(choices["laplacian"]) == set(LAPLACIANS)
        assert set(choices["affinity"]) == set(AFFINITIES)


class TestSelect:
    def test_prints_the_indices(self, run, features):
        status, out, err = run("select", features)
        assert (status, err) == (0, "")
        assert [int(line) for line in out.splitlines()] == CHOSEN.tolist()

    @pytest.mark.parametrize("suffix", [".npy", ".txt", ".csv", ".json"])
    def test_writes_the_indices(self, run, features, tmp_path, suffix):
        path = tmp_path / f"keep{suffix}"
        status, out, err = run("select", features, "--out", path)
        assert (status, out) == (0, "")
        assert err.startswith("kept 10 of 50 rows of 8 features")
        if suffix == ".npy":
            found = np.load(path)
            assert found.dtype == np.int64
        elif suffix == ".txt":
            found = np.loadtxt(path, dtype=int)
        elif suffix == ".csv":
            table = pd.read_csv(path)
            found = table["index"]
            np.testing.assert_allclose(
                table["score"], FiedlerBatchSelector().fit(X).scores_[CHOSEN], rtol=1e-5
            )
        else:
            content = json.loads(path.read_text())
            found = content["indices"]
            assert content["n_samples"] == 50
            assert content["filter_ratio"] == 0.8
        np.testing.assert_array_equal(found, CHOSEN)
        assert {p.name for p in tmp_path.iterdir()} == {"x.npy", path.name}

    def test_options_reach_the_selector(self, run, features):
        words = "--filter-ratio 0.5 --candidate-size 20 --rule stratified --laplacian symmetric"
        _, out, _ = run("select", features, *words.split(), "--seed", 3)
        selector = FiedlerBatchSelector(
            0.5, candidate_size=20, rule="stratified", laplacian="symmetric", random_state=3
        )
        assert [*map(int, out.split())] == selector.fit(X).sample_indices_.tolist()

    def test_shuffle_changes_the_batches(self, run, features):
        words = ("select", features, "--candidate-size", 25, "--shuffle")
        order = np.random.default_rng(7).permutation(50)
        selector = FiedlerBatchSelector(candidate_size=25, random_state=7).fit(X[order])
        _, out, _ = run(*words, "--seed", 7)
        assert [*map(int, out.split())] == sorted(order[selector.sample_indices_])
        assert run(*words, "--seed", 8)[1] != out

    def test_precomputed(self, run, tmp_path):
        np.save(tmp_path / "s.npy", X @ X.T)
        _, out, _ = run("select", tmp_path / "s.npy", "--affinity", "precomputed")
        expected = FiedlerBatchSelector(affinity="precomputed").fit(X @ X.T).sample_indices_
        assert [*map(int, out.split())] == expected.tolist()

    def test_warnings_are_one_line(self, tmp_path):
        np.save(tmp_path / "same.npy", np.ones((20, 3)))
        code = "import sys; from spectral_select._cli.main import main; sys.exit(main())"
        done = python("-c", code, "select", str(tmp_path / "same.npy"))
        assert done.returncode == 0
        assert re.fullmatch(r"spectral-select: warning: .*\n", done.stderr)

    def test_works_without_torch(self, features):
        code = (
            "import sys\n"
            "class Absent:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name in ('torch', 'torchvision', 'PIL', 'tqdm', 'safetensors'):\n"
            "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
            "sys.meta_path.insert(0, Absent())\n"
            "from spectral_select._cli.main import main\n"
            "sys.exit(main())"
        )
        done = python("-c", code, "select", features)
        assert [*map(int, done.stdout.split())] == CHOSEN.tolist(), done.stderr
        store = str(Path(features).parent / "store")
        save_embeddings(store, X)
        done = python("-c", code, "select", store)
        assert [*map(int, done.stdout.split())] == CHOSEN.tolist(), done.stderr
        done = python("-c", code, "extract", "digits", "--out", "never")
        assert done.returncode == 2
        assert "needs the package" in done.stderr
        assert "pip install 'spectral_select[torch]'" in done.stderr
        assert done.stderr.count("\n") == 1


class TestFeatureFiles:
    def parquet(self, file, **columns):
        pd.DataFrame(columns).to_parquet(file)
        return file

    @pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
    def test_npy(self, tmp_path, dtype):
        np.save(tmp_path / "x.npy", (X * 100).astype(dtype))
        found = read_features(tmp_path / "x.npy")
        assert isinstance(found, np.memmap)
        np.testing.assert_array_equal(found, (X * 100).astype(dtype))

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_npz(self, tmp_path, save):
        save(tmp_path / "x.npz", a=X, X=X + 1, y=np.arange(50))
        np.testing.assert_array_equal(read_features(tmp_path / "x.npz"), X + 1)
        np.testing.assert_array_equal(read_features(tmp_path / "x.npz", key="a"), X)
        save(tmp_path / "one.npz", emb=X, y=np.arange(50))
        np.testing.assert_array_equal(read_features(tmp_path / "one.npz"), X)

    def test_parquet_of_numbers(self, tmp_path):
        table = {name: X[:, k] for k, name in enumerate("abcdefgh")}
        path = self.parquet(tmp_path / "x.parquet", **table)
        np.testing.assert_array_equal(read_features(path), X)
        np.testing.assert_array_equal(read_features(path, columns=["c", "a"]), X[:, [2, 0]])

    def test_parquet_of_a_filtered_frame(self, tmp_path):
        frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1]})
        frame[frame.a > 0.5].to_parquet(tmp_path / "x.parquet")
        np.testing.assert_array_equal(
            read_features(tmp_path / "x.parquet"), X[X[:, 0] > 0.5][:, :2]
        )

    @pytest.mark.parametrize("kind", ["list", "large", "fixed"])
    def test_parquet_of_lists(self, tmp_path, kind):
        if kind == "fixed":
            column = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 8)
        else:
            types = {"list": pa.list_, "large": pa.large_list}
            column = pa.array(X.tolist(), types[kind](pa.float32()))
        table = pa.table({"path": ["p"] * 50, "emb": column, "label": np.arange(50)})
        pq.write_table(table.slice(5), tmp_path / "x.pq", row_group_size=7)
        np.testing.assert_array_equal(read_features(tmp_path / "x.pq"), X[5:])

    def test_store(self, tmp_path):
        save_embeddings(tmp_path / "store", X)
        np.testing.assert_array_equal(read_features(tmp_path / "store"), X)

    def test_rejects_invalid_npz(self, tmp_path, fails):
        path = tmp_path / "x.npz"
        np.savez(path, a=X, b=X)
        assert "2 two-dimensional arrays; expected one, or the key of an array" in fails(
            "select", path
        )
        assert "no array 'c'; it has 'a' of shape (50, 8)" in fails("select", path, "--key", "c")
        path.write_bytes(path.read_bytes()[:600])
        assert "x.npz is not a NumPy .npz file, or it is truncated" in fails("select", path)
        np.savez(path, X=np.array([[{}]], dtype=object))
        assert "pickled objects, which are not supported" in fails("select", path)
        np.savez_compressed(path, X=X)
        content = bytearray(path.read_bytes())
        content[400] ^= 255
        path.write_bytes(content)
        assert "x.npz cannot be read" in fails("select", path)

    def test_rejects_invalid_npy(self, tmp_path, fails):
        path = tmp_path / "x.npy"
        for content in (b"", b"1 2 3\n", b"PK\x03\x04"):
            path.write_bytes(content)
            assert "x.npy is not a NumPy .npy file" in fails("select", path)
        np.save(path, X)
        for end in (-1, 60):
            path.write_bytes(path.read_bytes()[:end])
            assert "x.npy cannot be read" in fails("select", path)
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        assert "pickled objects, which are not supported" in fails("select", path)
        for array in (X[0], X[None], X.astype(complex), X.astype(str)):
            np.save(path, array)
            assert f"shape {array.shape} and type {array.dtype}" in fails("select", path)
        np.save(path, X[:0])
        assert "x.npy is empty: it holds an array of shape (0, 8)" in fails("select", path)
        bad = X.copy()
        bad[7, 2] = np.nan
        np.save(path, bad)
        assert "x.npy must be finite; row 7 holds" in fails("select", path)
        assert "x.npy must be finite; row 7 holds" in fails("select", path, "--shuffle")

    def test_rejects_invalid_parquet(self, tmp_path, fails):
        path = tmp_path / "x.parquet"
        self.parquet(path, path=["a", "b"])
        assert re.search(r"column 'path' of .*x\.parquet holds \w*string", fails("select", path))
        self.parquet(path, a=[[1.0, 2.0], [3.0]])
        assert "different lengths: 2 in row 0, 1 in row 1" in fails("select", path)
        self.parquet(path, a=[[1.0, 2.0], None, [3.0, 4.0]])
        assert "column 'a'" in (err := fails("select", path))
        assert "has no value in row 1" in err
        self.parquet(path, a=[[1.0, 2.0], [3.0, None]])
        assert "lacks a value in row 1" in fails("select", path)
        self.parquet(path, a=pd.array([1, None, 2], dtype="Int64"))
        assert "has no value in row 1" in fails("select", path)
        self.parquet(path, a=[[1.0]], b=[[2.0]])
        assert "several columns of lists; name one: 'a', 'b'" in fails("select", path)
        assert "has no column 'c'; it has 'a', 'b'" in fails("select", path, "--columns", "c")
        path.write_text("no Parquet")
        assert "cannot be read: Parquet magic bytes" in fails("select", path)

    def test_without_pyarrow(self, tmp_path, fails, monkeypatch):
        self.parquet(tmp_path / "x.parquet", a=[1.0, 2.0])
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        err = fails("select", tmp_path / "x.parquet")
        assert "needs the package pyarrow, which is not installed: pip install pyarrow" in err

    def test_rejects_invalid_store(self, tmp_path, fails):
        (tmp_path / "folder").mkdir()
        assert "folder is not a complete embedding store" in fails("select", tmp_path / "folder")
        save_embeddings(tmp_path / "store", X)
        path = tmp_path / "store" / "embeddings.npy"
        path.write_bytes(path.read_bytes()[:-8])
        assert "is damaged or truncated" in fails("select", tmp_path / "store")


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["nope"], r"invalid choice: 'nope'"),
            (["--nope"], r"unrecognized arguments: --nope|no command given"),
            (["select"], r"required: FEATURES \(see spectral-select select --help\)"),
            (
                ["select", "none.npy"],
                r"there is no file none\.npy; expected a \.npy, \.npz, \.parquet or",
            ),
            (["select", "X", "--filter-ratio", "1"], r"--filter-ratio must be in \[0, 1\).*1\.0"),
            (["select", "X", "--filter-ratio", "a"], r"argument --filter-ratio: invalid float"),
            (["select", "X", "--candidate-size", "0"], r"candidate_size.*0"),
            (["select", "X", "--n-neighbors", "0"], r"n_neighbors.*0"),
            (["select", "X", "--rule", "best"], r"argument --rule: invalid choice: 'best'"),
            (["select", "X", "--affinity", "precomputed"], r"square"),
            (
                ["select", "X", "--affinity", "precomputed", "--shuffle"],
                r"--shuffle needs features",
            ),
            (["select", "X", "--seed", "-1"], r"--seed must be between 0 and"),
            (
                ["select", "X", "--out", "keep.xlsx"],
                r"--out must end in one of \.npy, .*'keep\.xlsx'",
            ),
            (
                ["select", "X", "--out", "no/keep.txt"],
                r"no/keep\.txt: the folder .* does not exist",
            ),
            (["select", "X", "--key", "a"], r"key is for \.npz files"),
            (["select", "X", "--columns", "a"], r"columns is for \.parquet and \.csv files"),
            (["select", "X", "--filter", "0.5"], r"unrecognized arguments: --filter"),
            (["extract", "digits"], r"required: --out"),
            (["extract", "nope", "--out", "s"], r"no dataset 'nope'"),
            (["extract", "X", "--out", "s"], r"is a file; expected a folder with one sub-folder"),
            (["extract", "digits", "--out", "X"], r"--out .* is a file; expected a folder"),
            (["extract", "digits", "--out", "s", "--backbone", "resnet51"], r"called 'resnet51'"),
            (["extract", "digits", "--out", "s", "--weights", "w.pt"], r"no weights 'w\.pt'"),
            (["extract", "digits", "--out", "s", "--device", "tpu9"], r"device must be"),
            (["extract", "digits", "--out", "s", "--val-fraction", "2"], r"val_fraction"),
            (["extract", "cifar10", "--out", "s", "--no-download"], r"cifar-10-batches-py"),
        ],
    )
    def test_error_takes_one_line(self, fails, features, tmp_path, monkeypatch, words, message):
        monkeypatch.chdir(tmp_path)
        assert re.search(message, fails(*(features if word == "X" else word for word in words)))
        assert {p.name for p in tmp_path.iterdir()} == {"x.npy"}

    @pytest.mark.parametrize("arguments", [["--debug"], ["--debug", "nope"], ["select", "--debug"]])
    def test_usage_errors_take_one_line_with_debug(self, arguments, capsys):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("spectral-select: error: ")

    def test_debug_shows_the_traceback(self, features):
        with pytest.raises(ValueError, match="key is for"):
            main(["select", features, "--key", "a", "--debug"])
        with pytest.raises(ValueError, match="key is for"):
            main(["--debug", "select", features, "--key", "a"])

    def test_bugs_show_a_traceback(self, features, monkeypatch):
        def fail(args):
            raise RuntimeError("a defect")

        monkeypatch.setattr("spectral_select._cli.select.run", fail)
        with pytest.raises(RuntimeError, match="a defect"):
            main(["select", features])

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (PermissionError(13, "Permission denied", "/secret"), "/secret: Permission denied"),
            (MemoryError(), "out of memory"),
            (ValueError(), "ValueError"),
            (ValueError("two\nlines"), "two lines"),
            (
                ValueError("Caught ValueError in worker 0.\nTraceback\nValueError: a.jpg is bad\n"),
                "error: a.jpg is bad",
            ),
        ],
    )
    def test_other_errors_take_one_line(self, fails, features, monkeypatch, error, message):
        def fail(args):
            raise error

        monkeypatch.setattr("spectral_select._cli.select.run", fail)
        assert fails("select", features).endswith(message + "\n")

    def test_interrupted(self, features, monkeypatch, run):
        def stop(args):
            raise KeyboardInterrupt

        monkeypatch.setattr("spectral_select._cli.select.run", stop)
        assert run("select", features) == (130, "", "")


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no pipes of this kind")
def test_closed_pipe_is_not_an_error(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40_000, 2)))
    code = "import sys; from spectral_select._cli.main import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        code,
        "select",
        str(tmp_path / "x.npy"),
        "--candidate-size",
        "100",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
