"""`spectral-select select --method guided`: labels from a store, an array, a column or a file."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spectral_select import GuidedBatchSelector, save_embeddings
from spectral_select._cli.main import main
from spectral_select._cli.select import _DEFAULTS

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 90)
X = (RNG.random((3, 6))[Y] + 0.1 * RNG.random((90, 6))).astype(np.float32)
KEPT = GuidedBatchSelector().fit(X, Y).sample_indices_.tolist()


def sources(folder):
    """Return, for each kind of source, the arguments of the command."""
    save_embeddings(folder / "store", X, Y)
    save_embeddings(folder / "bare", X)
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", Y)
    np.savez(folder / "both.npz", X=X, y=Y)
    table = {"embedding": list(X), "label": [f"class {y}" for y in Y]}
    pq.write_table(pa.table(table), folder / "t.parquet")
    return {
        "store": ["store"],
        "store, labels from a file": ["bare", "--labels", str(folder / "y.npy")],
        "npy": ["x.npy", "--labels", str(folder / "y.npy")],
        "npz": ["both.npz", "--labels", "y"],
        "parquet": ["t.parquet", "--columns", "embedding", "--labels", "label"],
    }


def run(folder, features, *options):
    return main(["select", str(folder / features), "--method", "guided", *options])


@pytest.mark.parametrize("kind", ["store", "store, labels from a file", "npy", "npz", "parquet"])
def test_selects_the_rows_of_the_estimator(kind, tmp_path, capsys):
    features, *options = sources(tmp_path)[kind]
    assert run(tmp_path, features, *options) == 0
    assert [*map(int, capsys.readouterr().out.split())] == KEPT


def test_options_are_those_of_the_estimator_and_the_score_is_the_weight(tmp_path, capsys):
    sources(tmp_path)
    options = ["--candidate-size=30", "--hardness-power=0", "--trust-power=2", "--seed=4"]
    expected = GuidedBatchSelector(
        candidate_size=30, hardness_power=0, trust_power=2, random_state=4
    ).fit(X, Y)
    out = tmp_path / "kept.csv"
    assert run(tmp_path, "store", *options, "--out", str(out)) == 0
    rows = np.loadtxt(out, delimiter=",", skiprows=1)
    assert rows[:, 0].tolist() == expected.sample_indices_.tolist()
    np.testing.assert_allclose(rows[:, 1], expected.weights_[expected.sample_indices_])
    assert run(tmp_path, "store", *options, "--out", str(tmp_path / "kept.json")) == 0
    record = json.loads((tmp_path / "kept.json").read_text())
    assert (record["method"], record["trust_power"], record["seed"]) == ("guided", 2.0, 4)


def test_default_powers_are_those_of_the_estimator():
    powers = {k: v for k, v in GuidedBatchSelector().get_params().items() if k.endswith("_power")}
    del powers["loss_power"]  # the command has no losses
    assert powers.items() <= _DEFAULTS.items()


def test_shuffle_keeps_rows_and_labels_together(tmp_path, capsys):
    sources(tmp_path)
    assert run(tmp_path, "store", "--shuffle", "--seed=1", "--candidate-size=30") == 0
    order = np.random.default_rng(1).permutation(90)
    fitted = GuidedBatchSelector(candidate_size=30, random_state=1).fit(X[order], Y[order])
    expected = sorted(order[fitted.sample_indices_].tolist())
    assert [*map(int, capsys.readouterr().out.split())] == expected


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (
            "bare",
            [],
            "bare has no default labels; name an array, a column or a .npy file (--lab",
        ),
        ("x.npy", ["--labels", "y"], "must be in a .npy file; got 'y'"),
        ("x.npy", ["--labels", "absent.npy"], "there is no file absent.npy"),
        ("both.npz", ["--labels", "z"], "has no array 'z'"),
        ("t.parquet", ["--columns", "embedding", "--labels", "z"], "has no column 'z'"),
        ("store", ["--rule", "extreme"], "--rule needs --method fiedler; got --method guided"),
        ("store", ["--trust-power", "-1"], "'trust_power' parameter"),
    ],
)
def test_errors_take_one_line(features, options, message, tmp_path, capsys):
    sources(tmp_path)
    assert run(tmp_path, features, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_rejects_labels_of_another_length_and_names_their_source(tmp_path, capsys):
    sources(tmp_path)
    np.save(tmp_path / "y.npy", Y[:-1])
    assert run(tmp_path, "x.npy", "--labels", str(tmp_path / "y.npy")) == 2
    assert "--labels of" in capsys.readouterr().err


def test_guided_options_require_the_method(tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    assert main(["select", str(tmp_path / "x.npy"), "--labels", "y"]) == 2
    assert "--labels needs --method guided" in capsys.readouterr().err
