"""The training driver under torchrun: uninterrupted, and stopped mid-epoch and resumed."""

import os
import sys
from pathlib import Path

from frameworks.job_tools import write_record
from torch import distributed
from train_helpers import data_set, features_of, settings

from spectral_select._utils.manifest import Manifest
from spectral_select.integrations.methods import get_method
from spectral_select.integrations.models.backbones import hash_weights
from spectral_select.integrations.runtime.distributed import current_ranks
from spectral_select.integrations.training.checkpoints import Checkpoints
from spectral_select.integrations.training.comparison import compare

METHODS = ("full", "fiedler", "guided", "infobatch", "repb", "top-loss")
SIZE = int(os.environ.get("WORLD_SIZE", "1"))
STOP_AFTER = 5  # steps; an epoch has three


class StopError(Exception):
    """Ends a training run in the middle of a step."""


class Recorder:
    """Records the samples and weights of each run, and may stop the training."""

    def __init__(self, stop_after):
        self.stop_after, self.steps, self.seen, self.weights = stop_after, 0, {}, {}

    def on_step(self, trainer, n, loss, right):
        self.steps += 1
        if self.steps == self.stop_after:
            raise StopError

    def on_complete(self, trainer, run):
        self.weights[run.method] = hash_weights(trainer.model)
        self.seen[run.method] = [kept.tolist() for kept in trainer.first_kept]


def train(folder, stop_after=None):
    """Compare the methods and return the record, or None if training was stopped."""
    # The network has batch normalization, whose statistics differ between ranks.
    config = settings(
        model="shufflenet_v2_x0_5", image_size=32, filter_ratio=0.5, n_ranks=SIZE, prefetch=1
    )
    data, recorder, ranks = data_set(), Recorder(stop_after), current_ranks()
    folder.mkdir(exist_ok=True)
    checkpoints = Checkpoints(folder, every=2, keep=True, ranks=ranks)
    # All ranks must check before the first rank creates the checkpoints.
    if not ranks.any(checkpoints.exist):
        checkpoints.begin(Manifest({}))
    try:
        runs = compare(
            config,
            data,
            [get_method(name) for name in METHODS],
            features=features_of(data),
            on_step=recorder.on_step,
            on_complete=recorder.on_complete,
            checkpoints=checkpoints,
        )
    except StopError:
        return None
    results = [
        {"method": run.method, "final": run.final.to_json(), "final_weights": run.final_weights}
        | {"samples": [epoch.samples for epoch in run.history]}
        | {"steps": [epoch.steps for epoch in run.history]}
        | {"losses": [epoch.loss for epoch in run.history]}
        for run in runs
    ]
    return {"results": results, "weights": recorder.weights, "seen": recorder.seen}


def main():
    """Compare methods and record each rank's samples; then repeat the comparison with two stops."""
    if SIZE > 1:
        distributed.init_process_group("gloo")
    out = Path(sys.argv[1])
    record = {"whole": train(out / "whole")}
    assert train(out / "stopped", STOP_AFTER) is None
    assert train(out / "stopped", 2 * STOP_AFTER) is None
    record["resumed"] = train(out / "stopped")
    write_record(record)


if __name__ == "__main__":
    main()
