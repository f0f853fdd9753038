import copy
import io
import json
import os
import random
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sampler_helpers import Calls, TopSum, blocks_of, table
from torch.utils.data import DistributedSampler, RandomSampler, WeightedRandomSampler

from spectral_select import CosineSchedule, SpectralBatchSampler, n_candidates


def build(n=200, batch_size=8, *, selector=None, sampler=None, features=None, **options):
    selector = TopSum(0.5) if selector is None else selector
    features = table(n) if features is None else features
    return SpectralBatchSampler(
        sampler, batch_size, selector=selector, features=features, **options
    )


def through_json(state):
    return json.loads(json.dumps(state))


def through_torch(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


INNER = {
    "none": lambda n: None,
    "range": range,
    "random": lambda n: RandomSampler(range(n)),
    "generator": lambda n: RandomSampler(range(n), generator=torch.Generator().manual_seed(4)),
    "weighted": lambda n: WeightedRandomSampler(np.arange(1.0, n + 1), n),
    "weighted, generator": lambda n: WeightedRandomSampler(
        np.arange(1.0, n + 1), n, generator=torch.Generator().manual_seed(4)
    ),
    "distributed": lambda n: DistributedSampler(range(n), 2, 1, seed=3),
}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("stop", [0, 1, 5, -1])
@pytest.mark.parametrize("save", [through_json, through_torch])
def test_resumes_in_a_new_process_twice_in_a_row(inner, stop, save):
    def fresh():
        return build(sampler=INNER[inner](200), schedule=CosineSchedule(0.2, 0.7, 4))

    def epochs(sampler, first):
        for epoch in range(first, 4):
            sampler.set_epoch(epoch)
            yield from sampler

    whole = list(epochs(fresh(), 0))
    got, sampler, first = [], fresh(), 0
    for epoch in (1, 2):  # stop in epoch 1, and again in epoch 2
        for e in range(first, epoch + 1):
            sampler.set_epoch(e)
            iterator = iter(sampler)
            n = len(sampler) if e < epoch else stop % (len(sampler) + 1)
            done = sampler.state_dict()["batches_yielded"] if e == first else 0
            got += [next(iterator) for _ in range(n - done)]
        state = save(sampler.state_dict())
        assert (state["epoch"], state["batches_yielded"]) == (epoch, n)
        first = epoch
        sampler = fresh()
        sampler.load_state_dict(state)
    got += list(epochs(sampler, first))
    assert got == whole


def test_yielded_batches_are_not_selected_again():
    calls = Calls()
    sampler = build(400)
    iterator = iter(sampler)
    for _ in range(20):
        next(iterator)
    again = build(400, selector=TopSum(0.5, calls=calls))
    state = sampler.state_dict()
    again.load_state_dict(state)
    rest = list(again)
    assert len(rest) == 5
    assert sum(len(X) for _, X in calls) == 5 * 16


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("inner", sorted({*INNER} - {"distributed"}))  # which needs set_epoch
def test_epoch_advances_after_loading_a_state_without_set_epoch(inner, finished):
    whole, part = build(sampler=INNER[inner](200)), build(sampler=INNER[inner](200))
    batches = [list(whole) for _ in range(3)]
    iterator = iter(part)
    n = len(part) if finished else 4
    assert [next(iterator) for _ in range(n)] == batches[0][:n]
    again = build(sampler=INNER[inner](200))
    again.load_state_dict(part.state_dict())
    if not finished:
        assert list(again) == batches[0][n:]
    assert list(again) == batches[1]
    assert list(again) == batches[2]


def test_complete_epoch_is_empty_if_set_again():
    sampler, again = build(), build()
    list(sampler)
    again.load_state_dict(sampler.state_dict())
    again.set_epoch(0)
    assert list(again) == []
    again.set_epoch(1)
    sampler.set_epoch(1)
    assert list(again) == list(sampler)


def test_setting_another_epoch_starts_at_its_beginning():
    sampler, again = build(), build()
    next(iter(sampler))
    again.load_state_dict(sampler.state_dict())
    again.set_epoch(5)
    sampler.set_epoch(5)
    assert list(again) == list(sampler)


def test_state_before_the_first_batch_starts_at_the_beginning():
    sampler, again = build(), build()
    again.load_state_dict(sampler.state_dict())
    assert list(again) == list(sampler)
    # Loading and saving a state again does not change it.
    iterator = iter(sampler)
    next(iterator)
    state = sampler.state_dict()
    again.load_state_dict(state)
    assert again.state_dict() == state
    third = build()
    third.load_state_dict(again.state_dict())
    assert list(third) == list(iterator)


def test_batches_yielded_sets_the_position_to_resume():
    sampler = build()
    iterator = iter(sampler)
    batches = [next(iterator) for _ in range(8)]
    again = build()
    again.load_state_dict(sampler.state_dict(batches_yielded=5))
    resumed = iter(again)
    assert [next(resumed) for _ in range(3)] == batches[5:]
    with pytest.raises(ValueError, match=r"batches_yielded must be at most 8.*in epoch 0; got 9"):
        sampler.state_dict(batches_yielded=9)
    with pytest.raises(ValueError, match="batches_yielded must be an integer of at least 0"):
        sampler.state_dict(batches_yielded=-1)


def test_state_is_a_copy():
    sampler = build()
    iterator = iter(sampler)
    next(iterator)
    state = sampler.state_dict()
    kept = copy.deepcopy(state)
    next(iterator)
    sampler.state_dict()["configuration"]["batch_size"] = 0
    assert state == kept
    again = build()
    again.load_state_dict(state)
    list(again)
    assert state == kept


def test_state_of_one_rank_resumes_all_ranks():
    options = {"num_replicas": 3, "n": 480}
    whole = [list(build(rank=r, **options)) for r in range(3)]
    first = build(rank=0, **options)
    iterator = iter(first)
    for _ in range(4):
        next(iterator)
    for rank in range(3):
        again = build(rank=rank, **options)
        again.load_state_dict(first.state_dict())
        assert list(again) == whole[rank][4:]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"batch_size": 4},
            "different configuration: .*batch_size=8, .* has batch_size=4",
        ),
        ({"schedule": 0.6}, "different configuration: .*candidate_size=16, .*=20"),
        ({"schedule": 0.49}, "different configuration: .*filter_ratio=0.5, .*=0.49"),
        ({"schedule": lambda epoch: 0.5}, "different configuration: .*schedule='Constant"),
        ({"drop_last": True}, "different configuration: .*drop_last=False"),
        ({"num_replicas": 2, "rank": 0}, "different configuration: .*num_replicas=1"),
        ({"seed": 9}, "different configuration: .*seed=None"),
        ({"selector": TopSum(0.5, random_state=1)}, "different configuration: .*selector='TopSum"),
        ({"features": table(200, seed=1)}, "different dataset: .*features='200x3-"),
        ({"n": 201}, "different dataset: .*features='200x3-"),
    ],
)
def test_rejects_state_of_another_configuration(other, message):
    sampler = build()
    next(iter(sampler))
    with pytest.raises(ValueError, match=message):
        build(**other).load_state_dict(sampler.state_dict())


def test_rejects_state_of_another_order():
    sampler = build(sampler=range(200))
    next(iter(sampler))
    again = build(sampler=range(199, -1, -1))
    again.load_state_dict(sampler.state_dict())
    with pytest.raises(ValueError, match=r"different order of the data: .* in epoch 0"):
        next(iter(again))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: None, TypeError, "state_dict must be a mapping; got NoneType"),
        (
            lambda s: {},
            ValueError,
            "a result of SpectralBatchSampler.state_dict.*version None",
        ),
        (lambda s: s | {"version": 99}, ValueError, "got version 99"),
        (lambda s: s | {"epoch": -1}, ValueError, r"state_dict\['epoch'\] must be an integer"),
        (lambda s: s | {"epoch": "0"}, TypeError, r"state_dict\['epoch'\] must be an integer"),
        (
            lambda s: s | {"batches_yielded": 99},
            ValueError,
            r"at most state_dict\[.n_batches.\]; got 99",
        ),
        (lambda s: s | {"order": "x"}, TypeError, r"state_dict\['order'\] must be an integer"),
        (lambda s: s | {"generator": "%"}, ValueError, "must be None or base64 text"),
        (lambda s: s | {"generator": 5}, ValueError, "must be None or base64 text"),
        (lambda s: s | {"configuration": []}, TypeError, "must be a mapping; got list"),
        (lambda s: s | {"configuration": {}}, ValueError, "saved with batch_size=None"),
    ],
)
def test_rejects_invalid_state_and_stays_unchanged(change, error, message):
    sampler, same = build(), build()
    iterator = iter(sampler)
    next(iterator)
    state = sampler.state_dict()
    with pytest.raises(error, match=message):
        sampler.load_state_dict(change(state))
    assert sampler.state_dict() == state
    assert list(iterator) == list(same)[1:]


def test_state_does_not_depend_on_the_type_of_the_features():
    sampler = build(features=table(200))
    next(iter(sampler))
    again = build(features=torch.from_numpy(table(200)))
    again.load_state_dict(sampler.state_dict())
    assert list(again) == list(build())[1:]


class StopAndResume(RuleBasedStateMachine):
    """A run stopped and resumed anywhere yields the batches of an uninterrupted run."""

    @initialize(
        n=st.integers(30, 150),
        size=st.integers(1, 7),
        ratios=st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 0.8])] * 3),
        papers_form=st.booleans(),
        drop_last=st.booleans(),
        n_ranks=st.integers(1, 3),
        inner=st.sampled_from(sorted(set(INNER) - {"distributed"})),
        random_state=st.sampled_from([None, 5]),
        explicit=st.booleans(),
        data=st.data(),
    )
    def start(
        self, n, size, ratios, papers_form, drop_last, n_ranks, inner, random_state, explicit, data
    ):
        rank = data.draw(st.integers(0, n_ranks - 1))
        self.explicit = explicit

        def fresh(prefetch):
            return build(
                n,
                None if papers_form else size,
                sampler=INNER[inner](n),
                selector=TopSum(random_state=random_state),
                candidate_size=2 * size if papers_form else None,
                schedule=lambda epoch: ratios[epoch % 3],
                drop_last=drop_last,
                num_replicas=n_ranks,
                rank=rank,
                prefetch=prefetch,
            )

        self.fresh = fresh
        self.blocks = ExitStack()
        self.stops = 0
        sizes = [2 * size if papers_form else n_candidates(size, ratio) for ratio in ratios]
        assume(n // n_ranks >= max(sizes))  # every epoch has a batch
        self.whole, self.sampler = fresh(0), fresh(0)
        self.epoch = -1
        self.next_epoch()

    def next_epoch(self):
        self.epoch += 1
        if self.explicit:
            self.whole.set_epoch(self.epoch)
            self.sampler.set_epoch(self.epoch)
        self.expected = list(self.whole)
        self.iterator = iter(self.sampler)
        self.done = 0

    @rule(n=st.integers(1, 12))
    def train(self, n):
        for _ in range(n):
            batch = next(self.iterator, None)
            if batch is None:
                assert self.done == len(self.expected)
                self.next_epoch()
                return
            assert batch == self.expected[self.done]
            self.done += 1

    @rule(block_size=st.integers(1, 5), prefetch=st.integers(0, 2), ahead=st.integers(0, 3))
    def stop_and_resume(self, block_size, prefetch, ahead):
        # A loader may read ahead of training.
        read = sum(next(self.iterator, None) is not None for _ in range(ahead))
        state = through_json(self.sampler.state_dict(self.done if self.done or read else None))
        self.iterator.close()
        self.blocks.close()
        self.blocks.enter_context(blocks_of(block_size))
        self.sampler = self.fresh(prefetch)
        self.sampler.load_state_dict(state)
        if self.explicit:
            self.sampler.set_epoch(self.epoch)
        elif self.done == len(self.expected):
            # At the end of an epoch, the next epoch begins.
            self.epoch += 1
            self.expected, self.done = list(self.whole), 0
        self.iterator = iter(self.sampler)
        self.stops += 1

    @invariant()
    def length_is_what_is_yielded(self):
        if hasattr(self, "iterator") and 0 < self.done < len(self.expected):
            assert len(self.sampler) == len(self.expected)

    def teardown(self):
        StopAndResume.total += getattr(self, "stops", 0)
        if hasattr(self, "blocks"):
            self.blocks.close()
        if hasattr(self, "iterator"):
            self.iterator.close()

    total = 0


TestStopAndResume = StopAndResume.TestCase
TestStopAndResume.settings = settings(
    max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_ten_thousand_random_stops():
    from hypothesis.stateful import run_state_machine_as_test

    StopAndResume.total = 0
    wanted = int(os.environ.get("RESUME_POINTS", "10000"))
    while StopAndResume.total < wanted:
        run_state_machine_as_test(
            StopAndResume,
            settings=settings(
                max_examples=200,
                stateful_step_count=40,
                derandomize=False,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    print(f"{StopAndResume.total} stops")


def test_random_stops_with_the_real_selector():
    stream = random.Random(0)
    features = table(300, 8)

    def fresh():
        return SpectralBatchSampler(None, 6, features=features)

    whole, sampler = fresh(), fresh()
    expected = [batch for _ in range(3) for batch in whole]
    got = []
    while len(got) < len(expected):
        iterator = iter(sampler)
        with blocks_of(stream.randint(1, 9)):
            for batch in iterator:
                got.append(batch)
                if stream.random() < 0.3:
                    break
        state = sampler.state_dict()
        sampler = fresh()
        sampler.load_state_dict(state)
    assert got == expected
