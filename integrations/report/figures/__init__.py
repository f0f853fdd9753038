"""Figures of a comparison, drawn with matplotlib and Pillow."""
