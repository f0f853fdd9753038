"""Train the same network with several selection methods under equal conditions.

For each seed, all methods start from the same weights. Methods that select from candidate batches
use the same batches in the same order. All methods except "full-short" take the same number of
optimizer steps at the same learning rates. A given image in a given epoch is augmented in the
same way for all methods. The methods alternate after every epoch, so that other load on the
machine slows all of them equally.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from torch import Tensor, nn

from spectral_select.integrations.methods import DYNAMICS, Method, Outputs
from spectral_select.integrations.models.pretrained_weights import hash_weights
from spectral_select.integrations.records.run_records import FinalRecord, Measurement, RunRecord
from spectral_select.integrations.runtime.interrupts import Interrupt
from spectral_select.integrations.training.checkpoints import Checkpoints
from spectral_select.integrations.training.clean_set import clean_set
from spectral_select.integrations.training.config import TrainConfig
from spectral_select.integrations.training.dynamics import Dynamics, record_dynamics
from spectral_select.integrations.training.evaluation import evaluate
from spectral_select.integrations.training.inputs import Inputs, build_network, open_inputs
from spectral_select.integrations.training.trainer import Trainer

__all__ = ["compare"]


def compare(
    config: TrainConfig,
    data: Any,
    methods: Sequence[Method],
    *,
    features: Any = None,
    reference: Outputs | None = None,
    seeds: Sequence[int] = (0,),
    on_step: Callable[[Trainer, int, Tensor, Tensor], object] | None = None,
    on_epoch: Callable[[list[RunRecord]], object] | None = None,
    on_complete: Callable[[Trainer, RunRecord], object] | None = None,
    checkpoints: Checkpoints | None = None,
    interrupt: Interrupt | None = None,
) -> list[RunRecord]:
    """Train a network with each method and each seed, under equal conditions.

    Parameters
    ----------
    config : TrainConfig
        The configuration that the methods share.
    data : LabeledDataset
        The dataset, with ``train``, ``val``, ``test`` and ``classes``.
    methods : sequence of Method
        The methods to compare.
    features : array of shape (n, d), optional
        Features of ``data.train``; required if a method needs them.
    reference : Outputs, optional
        Outputs of a reference model on ``data.train``; required if a method needs them.
    seeds : sequence of int, default=(0,)
        Seeds; every method is trained once per seed.
    on_step : callable, optional
        Called after each step with the trainer, the number of samples, their mean loss and
        the number of correct predictions.
    on_epoch : callable, optional
        Called with all runs so far each time all methods have completed an epoch.
    on_complete : callable, optional
        Called with the trainer and its run when a run is complete.
    checkpoints : Checkpoints, optional
        Checkpoints to resume runs from, and to save their progress to.
    interrupt : Interrupt, optional
        Checked after each step and before each evaluation. If a stop is requested, a last
        checkpoint is written and KeyboardInterrupt is raised.

    Returns
    -------
    list of RunRecord
        One run per method and seed.

    Raises
    ------
    ValueError
        If an input that a method needs is missing, or the initial weights differ from those of
        a run in a checkpoint.

    Examples
    --------
    >>> from spectral_select.integrations.data.datasets import load_dataset
    >>> from spectral_select.integrations.methods import check_methods
    >>> data = load_dataset("digits", train_size=128)
    >>> config = TrainConfig(epochs=1, candidate_size=64)
    >>> runs = compare(config, data, check_methods(["full", "random"]))
    >>> [(run.method, run.history[0].samples) for run in runs]
    [('full', 128), ('random', 24)]
    """
    robin = _RoundRobin(config, data, on_step, on_complete, checkpoints, interrupt)
    runs: list[RunRecord] = []
    with ExitStack() as pools:
        for inputs in robin.parts.values():
            pools.callback(inputs.close)
        for seed in seeds:
            saved = [
                None if checkpoints is None else checkpoints.load(method.spec, seed)
                for method in methods
            ]
            new = [
                _new_run(method, seed) if state is None else state.run
                for method, state in zip(methods, saved, strict=True)
            ]
            runs += new
            if all(run.status == "complete" for run in new):
                continue
            initial = build_network(config, data, seed=seed)
            make_trainer = partial(
                Trainer,
                config,
                data.train,
                features=features,
                reference=reference,
                clean=clean_set(data.val, len(data.train)),
                seed=seed,
            )
            with ExitStack() as stack:
                robin.pairs = []
                for method, state, run in zip(methods, saved, new, strict=True):
                    if run.status == "complete":
                        continue
                    dynamics = robin.record_dynamics(method, copy.deepcopy(initial), seed)
                    probabilities = None if dynamics is None else dynamics.probabilities
                    trainer = make_trainer(method, copy.deepcopy(initial), dynamics=probabilities)
                    stack.callback(trainer.close)
                    _record_start(run, trainer, hash_weights(initial), dynamics)
                    trainer.warm_up()
                    if checkpoints is not None and state is not None:
                        checkpoints.restore(trainer, state)
                    robin.pairs.append((trainer, run))
                for epoch in range(config.epochs):
                    if robin.train_epoch(epoch) and on_epoch is not None:
                        on_epoch(runs)
    return runs


def _new_run(method: Method, seed: int) -> RunRecord:
    return RunRecord(
        method=method.spec, seed=seed, needs=sorted(method.needs), status="running", history=[]
    )


def _record_start(
    run: RunRecord, trainer: Trainer, weights: str, dynamics: Dynamics | None
) -> None:
    """Record the initial weights of a run, or check that they match if the run is resumed."""
    if run.initial_weights is None:
        run.initial_weights = weights
        run.precompute_seconds = trainer.precompute_seconds
        if dynamics is not None:
            run.precompute_seconds += dynamics.seconds
    elif run.initial_weights != weights:
        raise ValueError(
            f"the checkpoint of {run.method}, seed {run.seed}, started from different initial "
            f"weights than {trainer.config.weights!r} now provides"
        )


@dataclass
class _RoundRobin:
    """Trains the methods for one seed in turn, one epoch at a time."""

    config: TrainConfig
    data: Any
    on_step: Any
    on_complete: Any
    checkpoints: Checkpoints | None
    interrupt: Interrupt | None

    def __post_init__(self) -> None:
        self.parts = {
            name: open_inputs(getattr(self.data, name), self.config)
            for name in ("train", "val", "test")
        }
        self.pairs: list[tuple[Trainer, RunRecord]] = []

    def record_dynamics(self, method: Method, model: nn.Module, seed: int) -> Dynamics | None:
        """Run or resume preliminary training for a method that needs it."""
        if DYNAMICS not in method.needs:
            return None
        file = None
        if self.checkpoints is not None:
            file = self.checkpoints.dynamics_file(method.spec, seed)
        return record_dynamics(
            self.config,
            self.data.train,
            model,
            method.n_dynamics,
            seed=seed,
            file=file,
            on_step=lambda *_: self._stop_if_asked(),
        )

    def train_epoch(self, epoch: int) -> bool:
        """Train each method for an epoch; return whether any method was trained."""
        # Skip methods whose budget is spent, and methods already ahead in a resumed run.
        turns = [
            (trainer, run)
            for trainer, run in self.pairs
            if epoch < trainer.budget.n_epochs and epoch == len(run.history)
        ]
        for trainer, run in turns:
            self._train_method(trainer, run, epoch)
        return bool(turns)

    def _train_method(self, trainer: Trainer, run: RunRecord, epoch: int) -> None:
        """Train one method for an epoch, evaluate it, and record the results."""

        def on_step(n: int, loss: Tensor, right: Tensor) -> None:
            if self.on_step is not None:
                self.on_step(trainer, n, loss, right)
            self._stop_if_asked()
            if self.checkpoints is not None and self.checkpoints.due(trainer):
                self.checkpoints.save(trainer, run)

        record = trainer.train_epoch(epoch, on_step)
        begin = perf_counter()
        last = epoch == trainer.budget.n_epochs - 1
        measured: dict[str, Measurement] = {}
        if last or (epoch + 1) % self.config.evaluate_every == 0:
            for name in ("val", "test", *["train"] * last):
                self._stop_if_asked(every_call=True)
                labels = getattr(self.data, name).labels
                measured[name] = self._evaluate(trainer, self.parts[name], labels)
            record.val, record.test = measured["val"], measured["test"]
        record.seconds.evaluation = perf_counter() - begin
        run.history.append(record)
        if last:
            run.final = FinalRecord(**measured)
            run.final_weights = hash_weights(trainer.model)
            run.status = "complete"
            if self.on_complete is not None:
                self.on_complete(trainer, run)
        if self.checkpoints is not None and (
            last or self.checkpoints.due(trainer, epoch_is_over=True)
        ):
            self.checkpoints.save(trainer, run)

    def _evaluate(self, trainer: Trainer, inputs: Inputs, labels: Any) -> Measurement:
        return evaluate(trainer.model, inputs, labels, self.config, trainer.ranks)

    def _stop_if_asked(self, *, every_call: bool = False) -> None:
        if self.interrupt is None or not self.interrupt.asked(every_call=every_call):
            return
        if self.checkpoints is not None:
            for trainer, run in self.pairs:
                if self.checkpoints.stale(trainer):
                    self.checkpoints.save(trainer, run)
        raise KeyboardInterrupt
