"""Metadata that the extract command adds to a store, and its report to the user."""

import argparse
from typing import TYPE_CHECKING, Any

from spectral_select.integrations.commands.dataset_arguments import given_columns

if TYPE_CHECKING:
    from spectral_select import EmbeddingStore
    from spectral_select.integrations.data.labeled_dataset import LabeledDataset

__all__ = ["described", "report"]


def described(args: argparse.Namespace, data: "LabeledDataset") -> dict[str, Any]:
    """Return metadata about the dataset, other than the keys that identify the store's rows."""
    return {
        "n_samples": data.n_samples,
        "split_named": args.split is not None,
        "columns": given_columns(args),
    }


def report(store: "EmbeddingStore", out: str, seconds: float) -> None:
    """Print what a store contains, and how fast it was written.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    out : str
        Its folder, as given by the user.
    seconds : float
        Duration of the call that wrote it.
    """
    what = f"{store.extent}: embeddings of length {store.meta['dim']} in {out}"
    if store.n_written:
        rate = store.n_written / seconds
        earlier = len(store) - store.n_written
        resumed = f", {earlier} of them from an earlier run" if earlier else ""
        unit = store.meta.get("unit", "images")
        print(f"{what}{resumed} ({seconds:.1f} s, {rate:.0f} {unit}/s)")
    else:
        print(f"{what} already exist, nothing to do")
