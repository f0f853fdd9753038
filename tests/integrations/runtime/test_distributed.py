import pytest
import torch

from spectral_select.integrations.runtime.distributed import ONE, current_ranks, process_group


def test_one_process_returns_its_own_values():
    assert ONE.first
    assert ONE.sum([1.5, 2.0]) == [1.5, 2.0]
    assert ONE.any(True)
    assert ONE.gather({"a": 1}) == [{"a": 1}]
    table = torch.arange(3.0)
    ONE.merge(table, torch.tensor([True, False, False]))
    assert table.tolist() == [0, 1, 2]
    with ONE.one_after_another():
        pass


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1", "LOCAL_RANK": "0"}])
def test_single_process_joins_no_process_group(monkeypatch, environment):
    for name in ("WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with process_group(torch.device("cpu")) as ranks:
        assert ranks == ONE
        assert not torch.distributed.is_initialized()
    assert current_ranks() == ONE
