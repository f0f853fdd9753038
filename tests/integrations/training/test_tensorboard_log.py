import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from spectral_select.integrations.records.run_records import RunRecord
from spectral_select.integrations.training.tensorboard_log import Scalars


def record(epoch, accuracy):
    part = {"accuracy": accuracy, "loss": None}
    seconds = {"total": 2.0, "selection": 0.5, "waiting": 0.5, "loading": 0.1, "training": 1.0}
    return {
        **{
            "epoch": epoch,
            "steps": 1,
            "lr": 0.1,
            "filter_ratio": 0.8,
            "samples": 10,
            "seconds": seconds,
        },
        **{"accuracy": accuracy, "loss": 1.0, "val": part, "test": part},
    }


def run(*accuracies):
    history = [record(epoch, accuracy) for epoch, accuracy in enumerate(accuracies)]
    content = {"method": "random", "seed": 2, "needs": [], "status": "running", "history": history}
    return RunRecord.from_json(content)


def read(folder, tag):
    events = EventAccumulator(str(folder / "random-seed2")).Reload()
    return {event.step: event.value for event in events.Scalars(tag)}


def test_each_epoch_is_written_once(tmp_path):
    with Scalars(tmp_path) as scalars:
        scalars.write([run(0.5)])
        scalars.write([run(0.5, 0.75)])
    assert read(tmp_path, "accuracy/val") == {0: 0.5, 1: 0.75}
    assert read(tmp_path, "images per second") == {0: 5.0, 1: 5.0}
    assert read(tmp_path, "share of time in selection") == {0: 0.25, 1: 0.25}


def test_unmeasured_values_are_omitted(tmp_path):
    with Scalars(tmp_path) as scalars:
        scalars.write([run(0.5)])
    with pytest.raises(KeyError):
        read(tmp_path, "loss/val")


def test_epochs_that_a_resumed_run_repeats_replace_what_was_there(tmp_path):
    with Scalars(tmp_path) as scalars:
        scalars.write([run(0.25, 0.5)])
    with Scalars(tmp_path, [run(0.25)]) as scalars:
        scalars.write([run(0.25, 0.75, 1.0)])
    assert read(tmp_path, "accuracy/test") == {0: 0.25, 1: 0.75, 2: 1.0}
