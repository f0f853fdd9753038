"""A network's outputs on a batch: losses, logits, embeddings, and cosines to class weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from spectral_select.integrations.methods import Outputs
from spectral_select.integrations.models.backbones import last_layer

__all__ = ["model_outputs"]


def model_outputs(model: nn.Module, inputs: Tensor, labels: Tensor) -> Outputs:
    """Run a forward pass in the model's current mode, and return the outputs that methods use.

    Parameters
    ----------
    model : Module
        A classifier whose last layer is linear, or a convolution averaged over positions.
    inputs : Tensor of shape (n, 3, height, width) or (n, d)
        Images or rows of features, on the model's device.
    labels : Tensor of shape (n,), int64
        Class label of each sample, on the same device.

    Returns
    -------
    Outputs
        On the host, in float32. For a convolution, embeddings are averaged over positions.

    Examples
    --------
    >>> import torch
    >>> from spectral_select.integrations.models.backbones import build_classifier
    >>> model = build_classifier("resnet18", 3).eval()
    >>> found = model_outputs(model, torch.zeros(2, 3, 32, 32), torch.tensor([0, 2]))
    >>> found.loss.shape, found.cosines.shape, found.embeddings.shape
    ((2,), (2, 3), (2, 512))
    """
    name, seen = last_layer(model), list[Tensor]()
    head = model.get_submodule(name)
    handle = head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        with torch.no_grad():
            logits = model(inputs).float()
    finally:
        handle.remove()
    embeddings = seen[0].float()
    if embeddings.ndim > 2:
        embeddings = embeddings.flatten(2).mean(2)
    rows = head.weight.detach().float().flatten(1)  # type: ignore[operator]
    with torch.autocast(inputs.device.type, enabled=False):
        cosines = functional.normalize(embeddings) @ functional.normalize(rows).T
        losses = functional.cross_entropy(logits, labels, reduction="none")
    host = [tensor.cpu().numpy() for tensor in (losses, logits, cosines, embeddings)]
    return Outputs(*host)
