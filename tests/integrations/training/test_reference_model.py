import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from kill_helpers import killed_while_writing
from safetensors.torch import load_file
from torch.nn import functional
from train_helpers import Recorded, data_set, settings

from spectral_select._cli.main import main
from spectral_select._utils.folders import StoreError
from spectral_select._utils.locks import FolderLock
from spectral_select.integrations.data.augmentation import normalize
from spectral_select.integrations.data.decoding import DecodedImages
from spectral_select.integrations.models.backbones import build_classifier
from spectral_select.integrations.training import reference_training
from spectral_select.integrations.training.model_outputs import model_outputs
from spectral_select.integrations.training.reference_model import Reference
from spectral_select.integrations.training.reference_training import train_reference

N = 33  # halves of 17 and 16, both smaller than a candidate batch
FILES = ["logits.npy", "model-0.safetensors", "model-1.safetensors", "reference.json"]


def data(n=N, **changes):
    found = data_set(n=n)
    found.train.fingerprint = "a" * 64
    for key, value in changes.items():
        setattr(found.train, key, value)
    return found


def trained(folder, found=None, **options):
    config = options.pop("config", settings(epochs=1))
    return train_reference(config, found or data(), folder, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An existing reference; tests that change its folder use a copy."""
    folder = tmp_path_factory.mktemp("reference") / "whole"
    trained(folder)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in whole.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def parts(monkeypatch):
    """The indices that each network is trained on, in the order of training."""
    seen, make = [], reference_training.Trainer

    def recording(config, part, method, model, **options):
        seen.append(part.indices.tolist())
        return make(config, part, method, model, **options)

    monkeypatch.setattr(reference_training, "Trainer", recording)
    return seen


def outputs_of_network(folder, number, found, indices):
    network = build_classifier("squeezenet1_1", 3)
    network.load_state_dict(load_file(folder / f"model-{number}.safetensors"))
    images = DecodedImages(found.train, 24, cache_bytes=0)
    pixels = normalize(images.take(indices).to(torch.float32).div_(255))
    return model_outputs(network.eval(), pixels, torch.as_tensor(found.train.labels[indices]))


def test_each_network_scores_the_half_that_it_has_not_seen(tmp_path, parts):
    found = data()
    reference = trained(tmp_path, found)
    assert sorted(parts[0] + parts[1]) == list(range(N))
    for number in (0, 1):
        counts = np.bincount(found.train.labels[parts[number]], minlength=3)
        assert counts.max() - counts.min() <= 1
        held = np.array(parts[1 - number])
        expected = outputs_of_network(tmp_path, number, found, held)
        for name in ("logits", "cosines", "loss"):
            stored = getattr(reference.outputs, name)[held]
            np.testing.assert_allclose(stored, getattr(expected, name), rtol=1e-4, atol=1e-5)


def test_never_reads_validation_or_test_data(tmp_path):
    found = data()
    trained(tmp_path, found)
    assert found.val.loaded == found.test.loaded == []
    assert set(found.train.loaded) == set(range(N))


def test_stored_outputs_are_read_back(whole):
    found = data()
    reference = Reference.open(whole, found.train)
    outputs = reference.outputs
    assert outputs.logits.shape == outputs.cosines.shape == (N, 3)
    assert outputs.logits.dtype == outputs.cosines.dtype == outputs.loss.dtype == np.float32
    assert outputs.embeddings is None
    labels = torch.as_tensor(found.train.labels)
    losses = functional.cross_entropy(torch.tensor(outputs.logits), labels, reduction="none")
    np.testing.assert_allclose(outputs.loss, losses.numpy(), rtol=1e-5, atol=1e-6)
    right = (outputs.logits.argmax(axis=1) == found.train.labels).mean()
    assert reference.describe().extra["accuracy"] == pytest.approx(right)
    assert reference.describe().extra["loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
    meta = reference.meta
    assert 0 < meta.training_seconds < meta.seconds
    assert meta.seconds == meta.training_seconds + meta.scoring_seconds
    json.dumps(reference.describe().to_json(), allow_nan=False)


def test_reproducible_in_any_folder(whole, tmp_path):
    again = trained(tmp_path / "another" / "place")
    expected = Reference.open(whole, data().train)
    assert np.array_equal(again.outputs.logits, expected.outputs.logits)
    assert np.array_equal(again.outputs.cosines, expected.outputs.cosines)
    other = trained(tmp_path / "seeded", seed=1)
    assert not np.array_equal(other.outputs.logits, expected.outputs.logits)


def test_second_call_only_opens_it(whole, parts):
    before = {name: (whole / name).stat().st_mtime_ns for name in FILES}
    # A reference does not depend on the filter ratio, or on options for speed and device.
    config = settings(epochs=1, filter_ratio=0.5, prefetch=2, n_threads=2, channels_last=True)
    found = trained(whole, config=config)
    assert parts == []
    assert {name: (whole / name).stat().st_mtime_ns for name in FILES} == before
    assert found.meta == Reference.open(whole, data().train).meta


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"epochs": 2},
            r"contains a different reference model \(config.epochs was 1, is now 2\); to use",
        ),
        ({"config": settings(epochs=1, lr=0.5)}, r"config.lr was 0.01, is now 0.5"),
        (
            {"config": settings(epochs=1, augmentation=None)},
            r"config.augmentation.flip was 0.5, is now missing",
        ),
        ({"seed": 3}, r"\(seed was 0, is now 3\)"),
        ({"found": data(fingerprint="b" * 64)}, "belongs to other data: its fingerprint is aaaa"),
        ({"found": data(n=N - 3)}, "contains a reference for 33 samples, but .* has 30"),
    ],
)
def test_rejects_reference_of_another_setting(whole, parts, options, message):
    with pytest.raises(StoreError, match=message):
        trained(whole, **options)
    assert parts == []


def test_rejects_reference_with_changed_initial_weights(tmp_path):
    file = tmp_path / "start.pt"
    for seed in (1, 2):
        torch.save(build_classifier("squeezenet1_1", 3, seed=seed).state_dict(), file)
        if seed == 1:
            trained(tmp_path / "r", config=settings(epochs=1, weights=str(file)))
    with pytest.raises(StoreError, match=r"\(initial_weights was"):
        trained(tmp_path / "r", config=settings(epochs=1, weights=str(file)))


def test_opens_for_a_dataset_without_fingerprint(whole):
    assert Reference.open(whole, data().train).outputs.loss.shape == (N,)
    unknown = Recorded(N)  # a dataset without a fingerprint, of the same size
    assert Reference.open(whole, unknown).outputs.loss.shape == (N,)


def test_rejects_other_classes(whole):
    with pytest.raises(StoreError, match="a reference for 3 classes, but the training data has 4"):
        Reference.open(whole, Recorded(N, n_classes=4))


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("name", "n_trained"),
    [
        ("model-0.safetensors", 2),
        ("model-1.safetensors", 1),
        ("logits.npy", 0),
        ("cosines.npy", 0),
        ("reference.json", 0),
    ],
)
def test_killed_before_writing_a_file_resumes_from_existing_files(
    whole, tmp_path, monkeypatch, parts, name, n_trained
):
    def dying(write):
        def kill_or_write(path, content):
            if Path(path).name == name:
                raise Killed
            write(path, content)

        return kill_or_write

    with monkeypatch.context() as patched:
        for function in ("write_atomically", "write_json_atomically"):
            original = getattr(reference_training, function)
            patched.setattr(reference_training, function, dying(original))
        with pytest.raises(Killed):
            trained(tmp_path)
    with pytest.raises(StoreError, match=r"no complete reference model.*run the same command"):
        Reference.open(tmp_path, data().train)
    parts.clear()
    reference = trained(tmp_path)
    assert len(parts) == n_trained
    expected = Reference.open(whole, data().train)
    assert np.array_equal(reference.outputs.logits, expected.outputs.logits)
    assert np.array_equal(reference.outputs.cosines, expected.outputs.cosines)
    assert reference.meta.weights == expected.meta.weights
    assert reference.meta.training_seconds > 0  # includes networks trained by an earlier call


@pytest.mark.parametrize("n_updates", [0, 2])
def test_killed_mid_epoch_restarts_that_network(whole, tmp_path, monkeypatch, parts, n_updates):
    class Dying:
        def __init__(self, *args, **options):
            self.left = n_updates

        def __enter__(self):
            return self

        def __exit__(self, *exc_info):
            pass

        def set_postfix(self, **values):
            pass

        def update(self, n):
            if not self.left:
                raise Killed
            self.left -= 1

    with monkeypatch.context() as patched:
        patched.setattr(reference_training, "progress_bar", Dying)
        with pytest.raises(Killed):
            trained(tmp_path)
    assert len(parts) == (2 if n_updates else 1)
    assert not (tmp_path / "reference.json").exists()
    reference = trained(tmp_path)
    assert len(parts) == 3
    expected = Reference.open(whole, data().train)
    assert np.array_equal(reference.outputs.logits, expected.outputs.logits)


def test_damaged_or_unrelated_networks_are_ignored(whole, copy, parts):
    (copy / "reference.json").unlink()
    (copy / "model-1.safetensors").write_bytes((copy / "model-0.safetensors").read_bytes())
    (copy / "model-0.safetensors").write_bytes(b"no such file")
    killed_while_writing(copy / "logits.npy")
    reference = trained(copy)
    assert len(parts) == 2
    expected = Reference.open(whole, data().train)
    assert np.array_equal(reference.outputs.logits, expected.outputs.logits)
    assert not list(copy.glob("*.tmp"))
    assert not list(copy.glob(".*.tmp"))


def _pickled(path):
    np.save(path, np.array([{}]), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("logits.npy", lambda path: path.unlink(), "logits.npy is missing"),
        ("logits.npy", lambda path: path.write_bytes(path.read_bytes()[:-9]), "truncated"),
        ("cosines.npy", _pickled, "cosines.npy .* damaged"),
        ("cosines.npy", lambda p: np.save(p, np.zeros((N, 3), np.float32)), "does not match"),
        ("logits.npy", lambda p: np.save(p, np.zeros((N, 4), np.float32)), "expected float32"),
        ("reference.json", lambda path: path.write_text("{"), "is not JSON"),
        ("reference.json", lambda path: path.write_text("[]"), "expected a JSON object"),
        ("reference.json", lambda path: path.write_text('{"format": "1"}'), "has format '1'"),
    ],
)
def test_rejects_a_damaged_reference(copy, parts, name, spoil, message):
    spoil(copy / name)
    with pytest.raises(StoreError, match=message):
        Reference.open(copy, data().train)
    with pytest.raises(StoreError, match=message):
        trained(copy)
    assert parts == []


@pytest.mark.parametrize("key", ["count", "n_classes", "hashes", "identity", "seconds", "accuracy"])
def test_rejects_missing_metadata(copy, key):
    meta = json.loads((copy / "reference.json").read_text())
    del meta[key]
    (copy / "reference.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match=f"is damaged: it lacks {key}$"):
        Reference.open(copy, data().train)


def test_rejects_link_out_of_the_folder(copy, tmp_path):
    (tmp_path / "elsewhere.npy").write_bytes((copy / "logits.npy").read_bytes())
    (copy / "logits.npy").unlink()
    (copy / "logits.npy").symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(StoreError, match="leads out"):
        Reference.open(copy, data().train)


def test_diverged_network_raises_an_error(tmp_path):
    config = settings(model="resnet18", image_size=32, lr=1e30, lr_schedule="constant", epochs=2)
    with pytest.raises(ValueError, match=r"the reference model diverged.*lower the learning rate"):
        trained(tmp_path, config=config)
    assert not (tmp_path / "reference.json").exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"found": data(n=3)}, ValueError, "needs at least 4 training samples; got 3"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"epochs": 1.5}, TypeError, "epochs must be"),
    ],
)
def test_rejects_what_cannot_be_trained(tmp_path, parts, options, error, message):
    with pytest.raises(error, match=message):
        trained(tmp_path / "r", **options)
    assert parts == []
    assert not (tmp_path / "r").exists()


def test_rejects_file_instead_of_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file; expected a folder"):
        trained(tmp_path / "file")


def test_accepts_class_of_one_sample(tmp_path):
    found = data()
    found.train.labels = np.array([0] * (N - 1) + [2])
    assert trained(tmp_path, found).outputs.loss.shape == (N,)


def test_waits_for_another_process_that_trains_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from spectral_select._utils.locks import FolderLock; "
        "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another process is writing"):
            FolderLock(tmp_path)
        got = threading.Event()

        def take():
            FolderLock(tmp_path, wait=True).close()
            got.set()

        waiting = threading.Thread(target=take)
        waiting.start()
        assert not got.wait(0.3)
        other.stdin.close()
        assert got.wait(60)
        waiting.join()


QUICK = [
    "--model=squeezenet1_1",
    "--image-size=24",
    "--candidate-size=50",
    "--epochs=1",
    "--train-size=100",
    "--val-fraction=0.02",
    "--test-fraction=0.02",
    "--no-progress",
]


def train(out, *more):
    return main(["train", "digits", "--out", str(out), *QUICK, *more])


def results(out):
    return json.loads((out / "results.json").read_text())


def test_command_trains_it_once_and_reuses_it(tmp_path, capsys, parts):
    methods = ["--methods", "random", "jest", "jest-sigmoid:n_chunks=3"]
    assert train(tmp_path / "run", *methods, "--reference-epochs=2") == 0
    assert len(parts) == 2
    found = results(tmp_path / "run")
    known = found["reference"]
    assert known["epochs"] == 2
    assert known["seconds"] > 0
    assert known["source"] == "squeezenet1_1 cross-fitted on two halves, 2 epochs"
    assert [run["needs"] for run in found["runs"]] == [[], *[["fresh", "reference"]] * 2]
    assert {run["status"] for run in found["runs"]} == {"complete"}
    assert {epoch["samples"] for run in found["runs"] for epoch in run["history"]} == {20}
    assert "reference model: squeezenet1_1 cross-fitted" in capsys.readouterr().out

    assert train(tmp_path / "run", *methods, "--reference-epochs=2") == 0  # the reference exists
    assert train(tmp_path / "run", *methods, "--reference-epochs=3") == 2
    err = capsys.readouterr().err
    assert "epochs was 2, is now 3); to use it as it is, pass it as --ref" in err
    given = ["--reference", str(tmp_path / "run" / "reference")]
    assert train(tmp_path / "other", "--methods", "jest", "--lr=0.1", *given) == 0
    assert len(parts) == 2
    assert results(tmp_path / "other")["reference"] == known
    assert not (tmp_path / "other" / "reference").exists()


def test_is_not_trained_if_no_method_needs_it(tmp_path, parts):
    assert train(tmp_path / "run", "--methods", "random", "--reference", "nowhere") == 0
    assert results(tmp_path / "run")["reference"] is None
    assert parts == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--reference", "nowhere"], "the reference model's folder nowhere does not exist"),
        (["--reference-epochs=0"], "--reference-epochs must be"),
        (["--reference-epochs=a"], "invalid int value: 'a'"),
    ],
)
def test_mistakes_are_reported_in_one_line_before_any_work(tmp_path, capsys, parts, more, message):
    assert train(tmp_path / "run", "--methods", "jest", *more) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert parts == []


def test_rejects_reference_on_other_images(whole, tmp_path, capsys):
    assert train(tmp_path / "run", "--methods", "jest", "--reference", str(whole)) == 2
    assert "contains a reference for 33 samples" in capsys.readouterr().err
