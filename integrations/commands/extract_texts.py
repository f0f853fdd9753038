"""The part of the extract command that embeds texts."""

import argparse
import time
from typing import TYPE_CHECKING

from spectral_select.integrations.commands.extracted import described, report

if TYPE_CHECKING:
    from spectral_select.integrations.data.texts import TextDataset
    from spectral_select.integrations.models.text_extraction import TextEncoder

__all__ = ["extract_texts"]


def extract_texts(args: argparse.Namespace, data: "TextDataset") -> int:
    """Run ``spectral-select extract`` on a dataset of texts."""
    from spectral_select.integrations.models.text_extraction import extract_text_embeddings

    _refuse_image_options(args)
    split = data.split(args.split or "train")
    encoder = _encoder(args, data)
    start = time.perf_counter()
    store = extract_text_embeddings(
        split,
        encoder,
        args.out,
        overwrite=args.overwrite,
        progress=args.progress,
        meta=described(args, data),
    )
    report(store, args.out, time.perf_counter() - start)
    return 0


def _encoder(args: argparse.Namespace, data: "TextDataset") -> "TextEncoder":
    from spectral_select.integrations.models.sentence_encoder import PREFIX, SentenceEncoder
    from spectral_select.integrations.models.tfidf import TFIDF, TfidfEncoder

    name = args.backbone or TFIDF
    if name == TFIDF:
        # Unless all samples are requested, the encoder is fitted on the training split, so that
        # the other splits do not affect it.
        fitted_on = data.split("all" if args.split == "all" else "train")
        texts = [fitted_on.samples.load(int(i)) for i in fitted_on.indices]
        return TfidfEncoder(texts, dim=args.dim, seed=args.seed)
    if name.startswith(PREFIX):
        if args.dim is not None:
            raise ValueError(f"--dim is for {TFIDF}; got --backbone {name} and --dim {args.dim}")
        return SentenceEncoder(
            name.removeprefix(PREFIX),
            device=args.device,
            precision=args.precision,
            batch_size=args.batch_size,
            download=not args.no_download,
        )
    raise ValueError(
        f"--backbone {name} is for images; for texts, expected {TFIDF} or st:NAME_OR_FOLDER"
    )


def _refuse_image_options(args: argparse.Namespace) -> None:
    for option, value in (("--weights", args.weights), ("--image-size", args.image_size)):
        if value is not None:
            raise ValueError(f"{option} is for images; got texts and {option} {value}")
