"""The library's draws, under the name that methods use."""

from spectral_select._draw import draw_by_weight, gumbel_top_k, top_k

__all__ = ["draw_by_weight", "gumbel_top_k", "top_k"]
