"""Image datasets: loading, splitting, decoding and augmentation."""
