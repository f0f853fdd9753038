"""The training driver under torchrun: uninterrupted, and stopped in mid-epoch and resumed."""

import os
import sys
from pathlib import Path

from frameworks.job_tools import write_record
from train_helpers import data_set, features_of, settings

METHODS = ("full", "fiedler", "infobatch", "top-loss")
STOP_AFTER = 5  # steps; three to an epoch


class StopError(Exception):
    """Ends a training in the middle of a step."""


def main():
    """Compare methods and record the samples of each rank; then repeat it with two stops."""
    from torch import distributed

    from spectral_select.integrations.methods import get_method
    from spectral_select.integrations.models.backbones import hash_weights
    from spectral_select.integrations.runtime.distributed import current_ranks
    from spectral_select.integrations.training.checkpoints import Checkpoints
    from spectral_select.integrations.training.comparison import compare

    size = int(os.environ["WORLD_SIZE"])
    if size > 1:
        distributed.init_process_group("gloo")
    # A network with batch normalization: its statistics differ between ranks.
    config = settings(
        model="shufflenet_v2_x0_5", image_size=32, filter_ratio=0.5, n_ranks=size, prefetch=1
    )
    data = data_set()
    methods = [get_method(name) for name in METHODS]
    out = Path(sys.argv[1])

    def train(folder, stop_after=None):
        seen, steps, weights = {}, 0, {}

        def on_step(trainer, n, loss, right):
            nonlocal steps
            steps += 1
            if steps == stop_after:
                raise StopError

        def on_complete(trainer, run):
            weights[run["method"]] = hash_weights(trainer.model)
            seen[run["method"]] = [kept.tolist() for kept in trainer.first_kept]

        (out / folder).mkdir(exist_ok=True)
        ranks = current_ranks()
        checkpoints = Checkpoints(out / folder, every=2, keep=True, ranks=ranks)
        # All ranks must check before the first rank creates the checkpoints.
        if not ranks.any(checkpoints.exist):
            checkpoints.begin({})
        try:
            runs = compare(
                config,
                data,
                methods,
                features=features_of(data),
                on_step=on_step,
                on_complete=on_complete,
                checkpoints=checkpoints,
            )
        except StopError:
            return None
        results = [
            {key: run[key] for key in ("method", "final", "final_weights")}
            | {"samples": [epoch["samples"] for epoch in run["history"]]}
            | {"steps": [epoch["steps"] for epoch in run["history"]]}
            | {"losses": [epoch["loss"] for epoch in run["history"]]}
            for run in runs
        ]
        return {"results": results, "weights": weights, "seen": seen}

    record = {"whole": train("whole")}
    assert train("stopped", STOP_AFTER) is None
    assert train("stopped", 2 * STOP_AFTER) is None
    record["resumed"] = train("stopped")
    write_record(record)


if __name__ == "__main__":
    main()
