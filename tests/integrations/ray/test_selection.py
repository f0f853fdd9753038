"""Selection from Ray datasets: the same rows as from files."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from parquet_helpers import arguments, scores, write
from ray_helpers import cluster, dataset, sorted_columns
from sklearn.datasets import load_digits

from spectral_select import FiedlerBatchSelector
from spectral_select._cli.main import main
from spectral_select.integrations.ray import select

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

COLUMNS = {"id_column": "id", "embedding_column": "embedding"}


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    with cluster(1):
        yield


@pytest.mark.parametrize("rule", ["extreme", "stratified"])
def test_selected_ids_equal_those_of_files(tmp_path, rule):
    X, y = load_digits(return_X_y=True)
    folder = write(tmp_path / "in", (X[:900].astype(np.float16), y[:900]))
    options = ["--candidate-size", "64", "--filter-ratio", "0.5", "--rule", rule]
    assert main(["select", *arguments(folder, tmp_path / "out", *options)]) == 0
    tables = [pq.read_table(p, partitioning=None) for p in sorted(folder.rglob("*.parquet"))]
    selector = FiedlerBatchSelector(0.5, candidate_size=64, rule=rule)
    found = sorted_columns(select(dataset(tables), selector=selector, **COLUMNS))
    expected = sorted_columns(scores(tmp_path / "out"))
    np.testing.assert_array_equal(found["id"], expected["id"])
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-5)
    assert not hasattr(selector, "scores_")


def test_rejects_bad_arguments():
    ds = dataset([])
    with pytest.raises(ValueError, match="must have a candidate_size; got None"):
        select(ds, selector=FiedlerBatchSelector(), **COLUMNS)
