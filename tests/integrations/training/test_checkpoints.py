import json
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch

from spectral_select.integrations.training.checkpoints import Checkpoints, differences, identity

RESULTS = {
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
    """Checkpoints in the test's folder, just begun; they are let go of afterwards."""
    with ExitStack() as stack:

        def begin(wanted, **options):
            checkpoints = Checkpoints(tmp_path, **options)
            stack.callback(checkpoints.close)
            checkpoints.begin(wanted)
            return checkpoints

        yield begin


def changed(path, value):
    """Return RESULTS with one value changed, by the path of keys to it."""
    results = json.loads(json.dumps(RESULTS))
    inner = results
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return results


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["seeds"], [0, 2], "seeds was 0 1, is 0 2"),
        (["methods"], ["full"], "methods was full random, is full"),
        (["config", "lr"], 0.2, "config.lr was 0.1, is 0.2"),
        (["config", "device"], "cpu", "config.device was cuda, is cpu"),
        (["config", "augmentation"], None, "config.augmentation.flip was 0.5, is None"),
        (["data", "fingerprint", "train"], "abd", "data.fingerprint.train was abc, is abd"),
        (["versions", "torch"], "3", "versions.torch was 2, is 3"),
        (["features", "source"], "embeddings", "features.source was pixels, is embeddings"),
        (["models"], "models", "models was None, is models"),
    ],
)
def test_says_what_differs(path, value, message):
    found = differences(identity(RESULTS), identity(changed(path, value)))
    assert message in found


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
def test_what_changes_nothing_but_speed_and_place_does_not_count(path, value):
    assert differences(identity(RESULTS), identity(changed(path, value))) == []


def test_a_part_is_compared_with_what_it_has():
    part = {"seeds": [0, 1]}
    assert differences(identity(RESULTS), part) == []
    assert differences(identity(RESULTS), {"seeds": [1]}) == ["seeds was 0 1, is 1"]


def fake(place=0):
    return SimpleNamespace(method=SimpleNamespace(spec="random"), seed=3, place=place)


def test_a_checkpoint_is_due_after_so_many_steps_or_after_an_epoch(tmp_path):
    each_epoch, every = Checkpoints(tmp_path), Checkpoints(tmp_path, every=4)
    assert not each_epoch.due(fake(50))
    assert each_epoch.due(fake(50), epoch_is_over=True)
    assert [every.due(fake(place)) for place in range(6)] == [False] * 4 + [True] * 2
    assert every.stale(fake(1))
    assert not every.stale(fake(0))


def test_begins_resumes_and_ends(tmp_path, begun):
    wanted = identity(RESULTS)
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


def test_another_comparison_is_refused(begun):
    checkpoints = begun(identity(RESULTS))
    with pytest.raises(ValueError, match=r"cannot continue: config\.lr was 0\.1, is 0\.2"):
        checkpoints.check(identity(changed(["config", "lr"], 0.2)))


def test_those_of_a_run_before_are_put_aside(tmp_path, begun):
    for number in range(3):
        begun({"number": number}).close()
    found = json.loads((tmp_path / "checkpoints.previous" / "run.json").read_text())
    assert found["identity"] == {"number": 1}


def test_those_that_are_kept_stay(begun):
    checkpoints = begun({}, keep=True)
    checkpoints.finish()
    assert checkpoints.exist


@pytest.mark.parametrize("content", [b"", b"rubbish", "other"])
def test_a_damaged_file_is_named(begun, content):
    checkpoints = begun({})
    path = checkpoints.folder / "random-seed3.pt"
    if content == "other":
        torch.save({"weights": torch.ones(2)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"random-seed3\.pt is damaged"):
        checkpoints.load("random", 3)
    assert checkpoints.load("random", 4) is None


def test_nothing_in_a_file_is_run(tmp_path, begun):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("pwned").touch, ())

    checkpoints = begun({})
    torch.save({"run": {"history": []}, "trainer": Evil()}, checkpoints.folder / "random-seed3.pt")
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.load("random", 3)
    assert not (tmp_path / "pwned").exists()


def test_a_folder_of_another_format_is_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "run.json").write_text('{"format": "something"}')
    with pytest.raises(ValueError, match="has format 'something'; expected"):
        Checkpoints(tmp_path).check({})
