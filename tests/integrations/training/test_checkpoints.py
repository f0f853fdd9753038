import json
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch

from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.training.checkpoints import Checkpoints, identity

RESULTS = {
    "status": "running",
    "runs": [],
    "methods": ["full", "random"],
    "seeds": [0, 1],
    "config": {"lr": 0.1, "device": "cuda:0", "prefetch": 2, "augmentation": {"flip": 0.5}},
    "data": {"name": "a/photos", "fingerprint": {"train": "abc"}},
    "versions": {"spectral_select": "1", "torch": "2", "pillow": "3"},
    "features": {"source": "pixels", "seconds": 3.0},
    "reference": None,
    "models": None,
}


@pytest.fixture
def begun(tmp_path):
    """New checkpoints in the test's folder; closed after the test."""
    with ExitStack() as stack:

        def begin(wanted, **options):
            checkpoints = Checkpoints(tmp_path, **options)
            stack.callback(checkpoints.close)
            checkpoints.begin(wanted)
            return checkpoints

        yield begin


def results(path=(), value=None):
    """Return results in which one value is changed, given by its path of keys."""
    content = json.loads(json.dumps(RESULTS))
    if path:
        inner = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    return Results.from_json(content)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["seeds"], [0, 2], "seeds was 0 1, is now 0 2"),
        (["methods"], ["full"], "methods was full random, is now full"),
        (["config", "lr"], 0.2, "config.lr was 0.1, is now 0.2"),
        (["config", "device"], "cpu", "config.device was cuda, is now cpu"),
        (["config", "augmentation"], None, "config.augmentation.flip was 0.5, is now missing"),
        (["data", "fingerprint", "train"], "abd", "data.fingerprint.train was abc, is now abd"),
        (["versions", "torch"], "3", "versions.torch was 2, is now 3"),
        (["features", "source"], "embeddings", "features.source was pixels, is now embeddings"),
        (["models"], "models", "models was None, is now models"),
    ],
)
def test_error_names_what_differs(path, value, message):
    assert message in identity(results()).diff(identity(results(path, value)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["config", "device"], "cuda:1"),
        (["config", "prefetch"], 0),
        (["data", "name"], "b/photos"),
        (["versions", "pillow"], "4"),
        (["features", "seconds"], 9.0),
    ],
)
def test_options_for_speed_and_location_do_not_matter(path, value):
    assert identity(results()).diff(identity(results(path, value))) == []


def fake(place=0):
    return SimpleNamespace(method=SimpleNamespace(spec="random"), seed=3, global_step=place)


def test_due_after_an_epoch_or_a_number_of_steps(tmp_path):
    each_epoch, every = Checkpoints(tmp_path), Checkpoints(tmp_path, every=4)
    assert not each_epoch.due(fake(50))
    assert each_epoch.due(fake(50), epoch_is_over=True)
    assert [every.due(fake(place)) for place in range(6)] == [False] * 4 + [True] * 2
    assert every.stale(fake(1))
    assert not every.stale(fake(0))


def test_starts_resumes_and_ends(tmp_path, begun):
    wanted = identity(results())
    assert not Checkpoints(tmp_path).exist
    first = begun(wanted)
    assert first.exist
    with pytest.raises(ValueError, match="another process is writing"):
        Checkpoints(tmp_path).resume(wanted)
    first.close()
    again = Checkpoints(tmp_path)
    begun, resumed = again.resume(wanted)
    assert begun <= resumed[0]
    again.finish()
    assert list(tmp_path.iterdir()) == []


def test_rejects_another_comparison(begun):
    checkpoints = begun(identity(results()))
    with pytest.raises(ValueError, match=r"cannot continue it: config\.lr was 0\.1, is now 0\.2"):
        checkpoints.check(identity(results(["config", "lr"], 0.2)))


def test_earlier_checkpoints_are_kept_aside(tmp_path, begun):
    for number in range(3):
        begun(Manifest({"number": number})).close()
    found = json.loads((tmp_path / "checkpoints.previous" / "run.json").read_text())
    assert found["identity"] == {"number": 1}


def test_keeps_checkpoints_if_requested(begun):
    checkpoints = begun(Manifest({}), keep=True)
    checkpoints.finish()
    assert checkpoints.exist


@pytest.mark.parametrize("content", [b"", b"rubbish", "other"])
def test_names_a_damaged_file(begun, content):
    checkpoints = begun(Manifest({}))
    path = checkpoints.folder / "random-seed3.pt"
    if content == "other":
        torch.save({"weights": torch.ones(2)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"random-seed3\.pt is damaged"):
        checkpoints.load("random", 3)
    assert checkpoints.load("random", 4) is None


def test_rejects_pickled_code(tmp_path, begun):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("pwned").touch, ())

    checkpoints = begun(Manifest({}))
    torch.save({"run": {"history": []}, "trainer": Evil()}, checkpoints.folder / "random-seed3.pt")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.load("random", 3)
    assert not (tmp_path / "pwned").exists()


def test_rejects_a_folder_of_another_format(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "run.json").write_text('{"format": "something"}')
    with pytest.raises(ValueError, match="has format 'something'; expected"):
        Checkpoints(tmp_path).check(Manifest({}))
