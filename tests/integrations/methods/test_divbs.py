import numpy as np
import pytest
import torch
from method_helpers import candidates
from torch.nn import functional

from spectral_select.integrations.methods import Candidates, Outputs, get_method


def batch(n=16, n_classes=5, d=4, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    logits = (scale * rng.normal(size=(n, n_classes))).astype(np.float32)
    embeddings = rng.normal(size=(n, d)).astype(np.float32)
    return logits, embeddings, rng.integers(0, n_classes, n)


def choose(logits, embeddings, labels, k, *, spec="divbs", seed=0):
    n = len(labels)
    made = Outputs(np.zeros(n), logits, np.zeros_like(logits), embeddings)
    rng = np.random.default_rng(seed)
    return get_method(spec).choose(Candidates(np.arange(n), labels, k, rng, fresh=lambda: made))


def gradients(logits, embeddings, labels):
    """Return each sample's gradient with respect to the last layer's weights, by autograd."""
    found = []
    for z, h, y in zip(*map(torch.from_numpy, (logits, embeddings, labels)), strict=True):
        W = torch.zeros(len(z), len(h), dtype=torch.float64, requires_grad=True)
        loss = functional.cross_entropy(W @ h.double() + z.double(), y)
        found.append(torch.autograd.grad(loss, W)[0].numpy().ravel())
    return np.array(found)


def naive(G, k, rng=None):
    """Return the choice computed from the definition: Gram-Schmidt on the gradients themselves."""
    residual, basis, taken = G.mean(0), [], []
    for _ in range(k):
        weights = abs(G @ residual)
        weights[taken] = 0
        best = weights.argmax() if rng is None else rng.choice(len(G), p=weights / weights.sum())
        direction = G[best].copy()
        for e in basis:
            direction -= (e @ direction) * e
        direction /= np.linalg.norm(direction)
        residual = residual - (direction @ residual) * direction
        basis.append(direction)
        taken.append(int(best))
    return taken


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [1, 5, 11])
def test_equals_the_definition_on_materialized_gradients(seed, k):
    made = batch(seed=seed)
    G = gradients(*made)
    greedy = choose(*made, k, spec="divbs:draw=false").positions.tolist()
    assert greedy == naive(G, k)
    drawn = choose(*made, k, seed=seed).positions.tolist()
    assert drawn == naive(G, k, np.random.default_rng(seed))


def missed(G, subset):
    """Return how much of the mean lies outside the span of some gradients."""
    mean, chosen = G.mean(0), G[subset].T
    return np.linalg.norm(mean - chosen @ np.linalg.lstsq(chosen, mean)[0])


def test_chosen_gradients_span_the_mean_better_than_random_ones():
    made = batch(60, 10, 8)
    G = gradients(*made)
    left = [missed(G, choose(*made, k, spec="divbs:draw=false").positions) for k in (5, 20, 40, 59)]
    assert left == sorted(left, reverse=True)
    rng = np.random.default_rng(0)
    assert left[1] < min(missed(G, rng.permutation(60)[:20]) for _ in range(50))


def test_copies_are_selected_last():
    logits, embeddings, labels = (np.repeat(part, 6, axis=0) for part in batch(5))
    for seed in range(20):
        for draw in ("true", "false"):
            found = choose(logits, embeddings, labels, 5, spec=f"divbs:draw={draw}", seed=seed)
            assert {p // 6 for p in found.positions.tolist()} == set(range(5))


@pytest.mark.parametrize("k", [1, 7, 16])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0, 1e4])
def test_exact_number_is_selected_for_any_loss(k, scale):
    for size in (0.0, 1e-20, 1.0, 1e20):
        logits, embeddings, labels = batch(scale=scale)
        positions = choose(logits, embeddings * np.float32(size), labels, k).positions
        assert len(set(positions.tolist())) == len(positions) == k


def test_rest_is_random_if_no_gradient_is_left():
    logits, embeddings, labels = batch(8, 3)
    right = np.where(np.eye(3)[labels] > 0, 1e4, 0).astype(np.float32)
    right[2] = logits[2]  # the only sample with a gradient
    rests = set()
    for seed in range(40):
        positions = choose(right, embeddings, labels, 2, seed=seed).positions.tolist()
        assert positions[0] == 2
        rests.add(positions[1])
    assert rests == set(range(8)) - {2}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_outputs_come_last(bad):
    logits, embeddings, labels = batch(8)
    logits[[0, 3]], embeddings[5, 0] = bad, bad
    for seed in range(10):
        assert not {0, 3, 5} & set(choose(logits, embeddings, labels, 5, seed=seed).positions)
        assert len(set(choose(logits, embeddings, labels, 7, seed=seed).positions)) == 7
    logits[:] = bad
    assert len(set(choose(logits, embeddings, labels, 4).positions)) == 4


def test_names_missing_parts():
    with pytest.raises(ValueError, match=r"requires candidates\.fresh; got None"):
        get_method("divbs").choose(candidates(4, 2))
    logits, _, labels = batch()
    with pytest.raises(ValueError, match="needs embeddings in the model's outputs; got None"):
        choose(logits, None, labels, 2)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("divbs:draw=perhaps", "option 'draw' of 'divbs:draw=perhaps' must be true or false"),
        ("divbs:greedy=true", "has no option 'greedy'; options of divbs: draw"),
    ],
)
def test_rejects_invalid_options(spec, message):
    with pytest.raises(ValueError, match=message):
        get_method(spec)
