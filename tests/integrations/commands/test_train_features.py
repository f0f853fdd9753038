"""The command train on embeddings and tables."""

import numpy as np
import pytest
from hub_helpers import hub_images
from image_helpers import write_images
from safetensors.numpy import load_file
from sklearn.datasets import load_wine
from text_helpers import write_texts
from train_helpers import read_results_json

from spectral_select.integrations.commands.train import run_comparison
from spectral_select.integrations.methods import method_names


@pytest.fixture
def wine(tmp_path):
    X, y = load_wine(return_X_y=True)
    np.savez(tmp_path / "wine.npz", X=X, kind=y)
    return tmp_path / "wine.npz"


def table(wine, out, *more):
    options = ("--labels", "kind", "--candidate-size", "64", "--methods", "full", "random")
    return ("train", wine, *options, "--out", out, *more)


def test_from_texts_to_results(run, tmp_path):
    texts = write_texts(tmp_path / "texts.jsonl", n_per_class=40)
    for split in ("train", "test"):
        words = ("extract", texts, "--label-column", "topic", "--dim", 8, "--val-fraction", 0)
        assert run(*words, "--split", split, "--out", tmp_path / split)[0] == 0
    status, out, err = run(
        *("train", tmp_path / "train", "--test", tmp_path / "test", "--candidate-size", "32"),
        *("--methods", "random", "guided", "full", "--out", tmp_path / "out"),
    )
    assert (status, err) == (0, "")
    assert f"head on {tmp_path}/train: 86 rows to train on, 10 to validate, 24 to test, 3" in out
    assert "accuracy on the validation rows" in out
    results = read_results_json(tmp_path / "out")
    assert results["config"]["model"] == "head"
    assert results["config"]["image_size"] is None
    assert results["data"]["unit"] == "rows"
    accuracy = {r["method"]: r["final"]["test"]["accuracy"] for r in results["runs"]}
    assert min(accuracy.values()) > 0.9


def test_table(run, wine, tmp_path):
    for model in ("head", "head-mlp"):
        status, out, err = run(*table(wine, tmp_path / model, "--model", model, "--save-models"))
        assert (status, err) == (0, "")
        assert f"{model} on {wine}: 128 rows to train on, 14 to validate, 36 to test" in out
        results = read_results_json(tmp_path / model)
        assert results["runs"][0]["final"]["test"]["accuracy"] > 0.9
        assert results["features"]["source"] is None  # random and full need none
        saved = load_file(tmp_path / model / "models" / "full-seed0.safetensors")
        assert {"mean", "scale", "output.weight"} <= set(saved)


def test_every_method_trains_a_head(wine, tmp_path):
    results = run_comparison(
        wine,
        labels="kind",
        methods=method_names(),
        candidate_size=40,
        filter_ratio=0.5,
        epochs=3,
        val_fraction=0.2,
        out=tmp_path / "out",
        progress=False,
    )
    assert {run.status for run in results.runs} == {"complete"}
    assert len({run.initial_weights for run in results.runs}) == 1
    assert all(run.gallery is None for run in results.runs)
    assert results.features.source == "the network's inputs"


def test_runs_are_repeatable_and_resumable(run, wine, tmp_path):
    for name in ("a", "b"):
        run(*table(wine, tmp_path / name, "--epochs", "3"))
    first, second = (read_results_json(tmp_path / name) for name in ("a", "b"))
    weights = [[r["final_weights"] for r in results["runs"]] for results in (first, second)]
    assert weights[0] == weights[1]
    status, out, _ = run(*table(wine, tmp_path / "a", "--epochs", "3", "--resume"))
    assert status == 0
    assert "is complete: there is nothing to resume" in out


def test_changed_rows_start_another_comparison(run, fails, wine, tmp_path):
    run(*table(wine, tmp_path / "a", "--epochs", "1", "--keep-checkpoints"))
    X, y = load_wine(return_X_y=True)
    np.savez(wine, X=X + 1, kind=y)
    err = fails(*table(wine, tmp_path / "a", "--epochs", "1", "--resume"))
    assert "fingerprint" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "resnet18"), "--model resnet18 is for images, but"),
        (("--image-size", "32"), "image_size must be None for model 'head', which takes features"),
        (("--weights", "default"), "weights must be 'random' for model 'head'"),
        (("--small-input",), "small_input must be False for model 'head'"),
        (("--features", "x"), "--features is for images; methods select by the features in"),
        (("--labels", "nothing"), "has no array 'nothing'"),
        (("--candidate-size", "300"), "--candidate-size must be at most 128, the number of traini"),
        (("--test", "missing.npz"), "there is no file missing.npz"),
    ],
)
def test_errors_of_tables(fails, wine, tmp_path, options, message):
    assert message in fails(*table(wine, tmp_path / "out", *options))
    assert not (tmp_path / "out" / "results.json").exists()


def test_errors_of_other_datasets(fails, tmp_path):
    photos = write_images(tmp_path / "photos", ("cat", "dog"), 5)
    assert "--model head takes features, but" in fails("train", photos, "--model", "head")
    assert "--labels is for stores and tables" in fails("train", photos, "--labels", "x")
    texts = write_texts(tmp_path / "texts.jsonl")
    assert "texts.jsonl holds texts; extract their embeddings first" in fails("train", texts)
    hub_images(8).remove_columns("label").save_to_disk(tmp_path / "pets")
    assert "has no labels to train on" in fails("train", f"hf-dataset:{tmp_path / 'pets'}")
