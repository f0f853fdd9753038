"""Datasets of images, texts and features: loading, splitting, decoding and augmentation."""
