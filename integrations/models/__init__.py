"""Networks: backbones, pretrained weights and embedding extraction."""
