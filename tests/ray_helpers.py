"""A small Ray cluster on this machine, and datasets on it."""

import contextlib

import numpy as np
import pyarrow as pa
import ray


@contextlib.contextmanager
def cluster(n_cpus=2):
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    ray.shutdown()  # commands of other tests stay connected until their process ends
    ray.init("local", num_cpus=n_cpus, object_store_memory=2 * 10**8, **options)
    try:
        yield
    finally:
        ray.shutdown()


def dataset(tables):
    """Return a dataset with one block for each table."""
    return ray.data.from_arrow(list(tables))


def sorted_columns(found):
    """Return the columns of a table or of a Ray dataset as arrays, in the order of the ids."""
    if isinstance(found, ray.data.Dataset):
        found = pa.concat_tables(ray.get(found.to_arrow_refs()))
    found = found.sort_by("id")
    return {name: np.array(found[name].to_pylist()) for name in found.column_names}
