"""Embeddings of texts by TF-IDF and truncated SVD, without pretrained weights."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from spectral_select._utils.validation import check_positive_int

__all__ = ["TFIDF", "TfidfEncoder"]

#: Name of the encoder on the command line.
TFIDF = "tfidf"

_DIM = 256
_VECTORIZER: dict[str, Any] = {"sublinear_tf": True, "max_features": 200_000}


class TfidfEncoder:
    """Map texts to their coordinates along the leading singular vectors of a TF-IDF matrix.

    This is latent semantic analysis with scikit-learn's ``TfidfVectorizer`` (words, with
    logarithmic term frequencies) and ``TruncatedSVD``. The words, their weights and the singular
    vectors come from the texts that the encoder is fitted on.

    Parameters
    ----------
    texts : sequence of str
        The texts to fit on, usually the training split.
    dim : int, optional
        Length of an embedding, at most the number of texts, and at most the number of different
        words. The default is 256, or less if there are fewer texts or words.
    seed : int, default 0
        Seed for the randomized SVD.

    Attributes
    ----------
    name : str
        "tfidf".
    dim : int
        Length of an embedding.
    weights : str
        Description of the texts that the encoder was fitted on; recorded with results.
    weights_hash : str
        SHA-256 of the texts, options and scikit-learn version, which determine the encoder.
    library, library_version : str
        scikit-learn and its version.
    explained_variance : float
        Share of the TF-IDF matrix's variance that the embeddings keep.

    Raises
    ------
    ValueError
        If `dim` is too large, or the texts contain no words.

    Examples
    --------
    >>> encoder = TfidfEncoder(["a small cat", "a large dog", "a small dog"], dim=2)
    >>> encoder.encode(["small dog", "horse"]).round(1) + 0.0
    array([[0.9, 0. ],
           [0. , 0. ]], dtype=float32)
    """

    name = TFIDF
    library = "scikit-learn"
    library_version: str = sklearn.__version__

    def __init__(self, texts: Sequence[str], *, dim: int | None = None, seed: int = 0) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(**_VECTORIZER, dtype=np.float32)
        try:
            counts = self._vectorizer.fit_transform(texts)
        except ValueError as error:
            raise ValueError(
                f"tfidf found no words of two or more letters in {len(texts)} texts"
            ) from error
        most = min(counts.shape)
        if dim is None:
            dim = min(_DIM, most)
        elif check_positive_int(dim, "dim") > most:
            raise ValueError(
                f"dim must be at most {most}: there are {counts.shape[0]} texts with "
                f"{counts.shape[1]} different words; got {dim}"
            )
        self.dim = dim
        self._svd = TruncatedSVD(dim, random_state=seed).fit(counts)
        self.explained_variance = float(self._svd.explained_variance_ratio_.sum())
        self.weights = f"fitted on {len(texts)} texts"
        options = {"vectorizer": _VECTORIZER, "dim": dim, "seed": seed}
        options |= {"scikit-learn": self.library_version}
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
        for text in texts:
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little") + data)
        self.weights_hash = digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of texts, with zeros for texts without any known word.

        Parameters
        ----------
        texts : sequence of str
            The texts.

        Returns
        -------
        ndarray of shape (n, dim), float32
        """
        rows = self._svd.transform(self._vectorizer.transform(texts))
        return np.asarray(rows, dtype=np.float32)
