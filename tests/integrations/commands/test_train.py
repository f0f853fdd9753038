import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from kill_helpers import killed_while_writing
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from train_helpers import read_results_json

from spectral_select import EmbeddingStore, save_embeddings
from spectral_select._cli.main import main
from spectral_select.integrations.commands import train_session as train_run
from spectral_select.integrations.commands.train import run_comparison
from spectral_select.integrations.data.datasets import load_dataset
from spectral_select.integrations.models.backbones import build_classifier, hash_weights
from spectral_select.integrations.runtime.provenance import describe_command

QUICK = [
    "--model=squeezenet1_1",
    "--image-size=24",
    "--candidate-size=50",
    "--epochs=2",
    "--train-size=100",
    "--val-fraction=0.02",
    "--test-fraction=0.02",
    "--no-progress",
]


def train(out, *more, data="digits"):
    return main(["train", str(data), "--out", str(out), *QUICK, *more])


@pytest.fixture
def photos(tmp_path):
    """A folder of images with two classes, and with train and test splits."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("test", 6)):
        for label, name in enumerate(("dark", "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 100, (30, 36, 3)) + 150 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i:02}.png")
    return tmp_path / "photos"


def test_ends_with_table_json_and_picture(tmp_path, capsys):
    assert train(tmp_path / "run") == 0
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [
        "curves.png",
        "gallery",
        "last_layer",
        "results.json",
    ]
    found = read_results_json(tmp_path / "run")
    assert found["status"] == "complete"
    assert found["methods"] == ["full", "random", "fiedler"]
    assert {run["status"] for run in found["runs"]} == {"complete"}
    assert {len(run["history"]) for run in found["runs"]} == {2}
    assert found["versions"]["torch"]
    assert found["hardware"]["cores"] >= 1
    assert found["config"]["lr_schedule"] == "cosine"
    assert found["config"]["augmentation"]["flip"] == 0  # a mirrored digit is no longer that digit
    assert found["data"]["count"]["train"] == 100
    assert found["data"]["fingerprint"]["train"]
    assert found["features"]["dim"] == 64
    assert found["seeds"] == [0]
    assert found["command"]
    assert found["finished"] >= found["started"]
    out = capsys.readouterr().out
    for method in found["methods"]:
        assert sum(line.startswith(f"{method} ") for line in out.splitlines()) == 1
    assert "epoch  2/2" in out
    assert "samples per step, of 50 candidates: full 50, random 10, fiedler 10" in out


def test_second_run_keeps_the_results_of_the_first(tmp_path):
    train(tmp_path, "--methods", "random", "--epochs=1")
    first = (tmp_path / "results.json").read_text()
    train(tmp_path, "--methods", "full", "--epochs=1")
    assert (tmp_path / "results.previous.json").read_text() == first
    assert read_results_json(tmp_path)["methods"] == ["full"]


def test_several_seeds_and_another_method(tmp_path, capsys):
    assert train(tmp_path, "--methods", "stratified", "--seeds", "4", "2", "--epochs=1") == 0
    found = read_results_json(tmp_path)
    assert [(run["method"], run["seed"]) for run in found["runs"]] == [
        ("stratified", 4),
        ("stratified", 2),
    ]
    assert "seed 2, epoch  1/1" in capsys.readouterr().out


def test_folder_of_images_with_features_from_a_store(tmp_path, photos, capsys):
    split = load_dataset(photos, val_fraction=0.02, train_size=60).train
    table = np.random.default_rng(0).random((60, 5))
    save_embeddings(
        tmp_path / "store", table, split.labels, fingerprint=split.fingerprint, backbone="mine"
    )
    more = ["--train-size=60", "--features", str(tmp_path / "store"), "--methods", "fiedler"]
    assert train(tmp_path / "run", *more, "--epochs=1", data=photos) == 0
    found = read_results_json(tmp_path / "run")
    assert found["features"]["dim"] == 5
    assert found["features"]["seconds"] is None
    assert "embeddings by mine" in capsys.readouterr().out
    assert found["config"]["augmentation"]["flip"] == 0.5


def test_folder_of_images_whose_features_are_extracted_first(tmp_path, photos):
    more = ["--backbone=squeezenet1_1", "--backbone-weights=random", "--backbone-size=24"]
    more += ["--train-size=60", "--methods", "random", "fiedler", "--epochs=1"]
    assert train(tmp_path / "run", *more, data=photos) == 0
    seconds = read_results_json(tmp_path / "run")["features"]["seconds"]
    assert seconds > 0
    assert len(EmbeddingStore.open(tmp_path / "run" / "features")) == 60
    assert train(tmp_path / "run", *more, data=photos) == 0  # the features exist
    assert read_results_json(tmp_path / "run")["features"]["seconds"] == seconds


def test_features_are_required_only_if_a_method_needs_them(tmp_path, photos):
    more = ["--train-size=60", "--methods", "full", "random", "--epochs=1"]
    assert train(tmp_path / "run", *more, "--features", str(tmp_path / "none"), data=photos) == 0
    assert not (tmp_path / "run" / "features").exists()


def weights_of(out):
    return [(run["method"], run["final_weights"]) for run in read_results_json(out)["runs"]]


def test_ctrl_c_writes_a_checkpoint_to_resume_from(tmp_path, monkeypatch, capsys):
    options = ["--methods", "random", "fiedler", "--train-size=200", "--checkpoint-every=100"]
    assert train(tmp_path / "whole", *options) == 0
    original, steps = train_run.Comparison._on_step, []

    def press(self, *args):
        original(self, *args)
        steps.append(args)
        if len(steps) == 6:  # the second method's second step
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(train_run.Comparison, "_on_step", press)
        assert train(tmp_path / "run", *options) == 130
    assert len(steps) == 6
    assert "add --resume to the command" in capsys.readouterr().out
    assert len(list((tmp_path / "run" / "checkpoints").glob("*.pt"))) == 2
    found = read_results_json(tmp_path / "run")
    assert found["status"] == "interrupted"
    left = killed_while_writing(tmp_path / "run" / "results.json")
    assert train(tmp_path / "run", *options, "--resume", "--prefetch=2", "--cache-mb=0") == 0
    assert not left.exists()
    assert "resuming: 1 epochs are done" in capsys.readouterr().out
    assert weights_of(tmp_path / "run") == weights_of(tmp_path / "whole")
    assert len(read_results_json(tmp_path / "run")["resumed"]) == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


def interrupted(out, monkeypatch, *more):
    """Run until the first epoch is complete."""

    def stop(self, runs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_run.Comparison, "_on_epoch", stop)
        assert train(out, "--methods", "random", *more) == 130


def test_another_configuration_is_not_resumed(tmp_path, monkeypatch, capsys):
    interrupted(tmp_path, monkeypatch)
    for change, message in (
        (["--lr=0.5"], "config.lr was 0.02, is now 0.5"),
        (["--seeds", "0", "1"], "seeds was 0, is now 0 1"),
        (["--split-seed=3"], "data.split_seed was 0, is now 3"),
        (["--save-models"], "models was None, is now models"),
        (["--methods", "full"], "methods was random, is now full"),
    ):
        assert train(tmp_path, "--methods", "random", "--resume", *change) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert message in error
    assert main(["train", "digits", "--resume", str(tmp_path), *QUICK, "--methods", "random"]) == 0
    assert "epoch  2/2" in capsys.readouterr().out


def test_complete_runs_are_skipped(tmp_path, capsys):
    assert train(tmp_path, "--methods", "random") == 0
    before = (tmp_path / "results.json").read_bytes()
    assert train(tmp_path, "--methods", "random", "--resume") == 0
    assert "there is nothing to resume" in capsys.readouterr().out
    assert (tmp_path / "results.json").read_bytes() == before
    assert train(tmp_path, "--methods", "full", "--resume") == 2
    assert "methods was random, is now full" in capsys.readouterr().err


def test_resume_without_checkpoint_starts_training(tmp_path, capsys):
    assert train(tmp_path / "new", "--methods", "random", "--epochs=1", "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().out


def test_run_that_is_not_resumed_is_kept_aside(tmp_path, monkeypatch, capsys):
    interrupted(tmp_path, monkeypatch)
    assert train(tmp_path, "--methods", "random") == 0
    assert "--resume would have continued it" in capsys.readouterr().out
    assert (tmp_path / "checkpoints.previous" / "run.json").exists()
    assert (tmp_path / "results.previous.json").exists()


def test_models_checkpoints_and_scalars_are_kept_if_requested(tmp_path):
    more = ["--methods", "random", "--save-models", "--keep-checkpoints", "--tensorboard"]
    assert train(tmp_path, *more) == 0
    run = read_results_json(tmp_path)["runs"][0]
    model = build_classifier("squeezenet1_1", 10)
    model.load_state_dict(load_file(tmp_path / "models" / "random-seed0.safetensors"))
    assert hash_weights(model) == run["final_weights"]
    assert (tmp_path / "checkpoints" / "random-seed0.pt").exists()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "random-seed0")).Reload()
    found = [(e.step, e.value) for e in events.Scalars("accuracy/test")]
    expected = [(epoch["epoch"], epoch["test"]["accuracy"]) for epoch in run["history"]]
    assert dict(found) == pytest.approx(dict(expected))
    assert {"loss/train", "images per second", "share of time in selection"} <= set(
        events.Tags()["scalars"]
    )


def test_without_tensorboard_error_names_the_extra(tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert train(tmp_path / "run", "--tensorboard") == 2
    assert "pip install 'spectral_select[report]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_comparison_in_this_process(tmp_path, capsys):
    options = {"out": tmp_path, "methods": ["random"], "epochs": 1, "train_size": 100}
    options |= {"model": "squeezenet1_1", "image_size": 24, "candidate_size": 50}
    found = run_comparison("digits", **options, progress=False)
    assert found.to_json() == read_results_json(tmp_path)
    with pytest.raises(TypeError, match="train has no option 'epoch'"):
        run_comparison("digits", epoch=1)
    assert run_comparison("digits", **options, resume=True).runs == found.runs


def test_command_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "spectral_select", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("spectral-select ")


def test_ctrl_c_leaves_complete_results(tmp_path, monkeypatch, capsys):
    original = train_run.Comparison._on_epoch

    def interrupt(self, runs):
        original(self, runs)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_run.Comparison, "_on_epoch", interrupt)
    assert train(tmp_path, "--methods", "random") == 130
    found = read_results_json(tmp_path)
    assert found["status"] == "interrupted"
    assert len(found["runs"][0]["history"]) == 1
    assert "This comparison is interrupted" in capsys.readouterr().out
    assert (tmp_path / "curves.png").exists()


def test_ctrl_c_before_the_end_of_the_first_epoch(tmp_path, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_run.Comparison, "_on_step", interrupt)
    assert train(tmp_path, "--methods", "random") == 130
    assert json.loads((tmp_path / "results.json").read_text())["status"] == "interrupted"
    assert "no epoch is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--methods", "magic"], "method must be one of full, "),
        (["--methods", "full", "full"], "methods must not contain duplicates"),
        (["--seeds", "1", "1"], "--seeds must be distinct"),
        (["--filter-ratio", "1"], "filter_ratio must be in [0, 1)"),
        (["--candidate-size", "5"], "keeps one sample, but batch"),
        (["--candidate-size", "101"], "--candidate-size must be at most 100"),
        (["--lr", "-1"], "lr must be a number in (0, inf)"),
        (["--lr-schedule", "linear"], "invalid choice: 'linear'"),
        (["--epochs", "0"], "epochs must be"),
        (["--model", "resnet19"], "torchvision has no classification model called 'resnet19'"),
        (["--small-input"], "small_input is for ResNets"),
        (["--image-size", "8"], "does not accept 8 px images"),
        (["--weights", "nowhere.pt"], "nowhere.pt"),
        (["--device", "abacus"], "device must be"),
        (["--cache-mb", "-1"], "cache_bytes must be"),
        (["--features", "nowhere"], "there is no embedding store nowhere"),
        (["--checkpoint-every", "0"], "--checkpoint-every must be an integer of at least 1"),
        (["--resume", "nowhere"], "must be the same folder"),
        (["--methods", "alignprune", "--val-fraction", "0"], "needs validation images"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_user_errors_are_reported_in_one_line_and_write_no_results(tmp_path, capsys, more, message):
    assert train(tmp_path / "run", *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--resume", "nowhere"], "--resume nowhere: the folder does not exist"),
        (["--resume"], "--resume FOLDER, or --out FOLDER"),
    ],
)
def test_folder_to_resume_must_exist(more, message, capsys):
    assert main(["train", "digits", *more]) == 2
    assert message in capsys.readouterr().err


def test_rejects_features_of_other_data(tmp_path, capsys):
    save_embeddings(tmp_path / "store", np.ones((100, 3)), fingerprint="another")
    assert train(tmp_path / "run", "--features", str(tmp_path / "store")) == 2
    assert "belongs to other data" in capsys.readouterr().err


def test_rejects_missing_data_and_a_file_as_out(tmp_path, capsys):
    assert train(tmp_path / "run", data=tmp_path / "nowhere") == 2
    assert "no dataset" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file") == 2
    assert "expected a folder for the results" in capsys.readouterr().err


def test_help_lists_the_methods_without_loading_torch():
    code = (
        "import sys; from spectral_select._cli.main import main; main(['train', '--help']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"fiedler +the largest \|v\| of the Fiedler vector \(SALN\)", done.stdout)


@pytest.mark.parametrize("program", ["/bin/spectral-select", "/lib/spectral_select/__main__.py"])
def test_command_is_recorded_by_the_name_of_the_program(program, monkeypatch):
    monkeypatch.setattr("sys.argv", [program, "train", "my photos"])
    assert describe_command() == "spectral-select train 'my photos'"
