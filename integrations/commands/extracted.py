"""What the extract command reports about a store."""

from spectral_select import EmbeddingStore

__all__ = ["report"]


def report(store: EmbeddingStore, out: str, seconds: float) -> None:
    """Print what a store contains, and how fast it was written.

    Parameters
    ----------
    store : EmbeddingStore
        The store.
    out : str
        Its folder, as the user wrote it.
    seconds : float
        Time that the call took which wrote it.
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
