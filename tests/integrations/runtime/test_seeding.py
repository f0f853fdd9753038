from contextlib import contextmanager, nullcontext

import torch

from spectral_select.integrations.runtime.seeding import seeded


def test_restores_the_random_state():
    before = torch.get_rng_state()
    draws = []
    for seed in (3, 3, 4):
        with seeded(seed, torch.device("cpu")):
            draws.append(torch.rand(5).tolist())
    assert draws[0] == draws[1] != draws[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_the_requested_gpu(monkeypatch):
    current, calls = [torch.device("cuda:0")], []

    @contextmanager
    def on(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(
        torch.random, "fork_rng", lambda devices: calls.append(devices) or nullcontext()
    )
    monkeypatch.setattr(torch.cuda, "device", on)
    monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: calls.append((current[-1], seed)))
    state = torch.get_rng_state()
    with seeded(7, torch.device("cuda:1")):
        pass
    torch.set_rng_state(state)
    assert calls == [[torch.device("cuda:1")], (torch.device("cuda:1"), 7)]
