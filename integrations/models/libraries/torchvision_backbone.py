"""Classification networks from torchvision, without their last layer."""

from torch import nn

from spectral_select.integrations.models.libraries.interface import (
    Backbone,
    Transform,
    finish,
)
from spectral_select.integrations.models.libraries.request import BackboneRequest
from spectral_select.integrations.models.pretrained_weights import resolve_weights
from spectral_select.integrations.models.resized_center_crop import ResizedCenterCrop
from spectral_select.integrations.models.torchvision_networks import (
    check_name,
    construct,
    last_layer,
    preset,
)
from spectral_select.integrations.runtime.seeding import seeded

__all__ = ["build"]


def build(request: BackboneRequest) -> tuple[Backbone, Transform]:
    """Build a torchvision network; the transform returns uint8, and the backbone normalizes."""
    name, size = request.name, request.image_size
    check_name(name)
    request.reject_revision("torchvision's weights have names instead")
    request.reject_remote_code("torchvision runs no code from a hub")
    resolved = resolve_weights(name, request.weights)
    with seeded(request.seed):
        network = construct(name, resolved)
    head = last_layer(network)
    resolved.load_into(network, name, except_layer=head)
    network.set_submodule(head, nn.Identity())
    prepared = preset(name, resolved)
    resize = size or int(prepared.resize_size[0])
    return finish(
        network,
        ResizedCenterCrop(resize, size or int(prepared.crop_size[0]), prepared.interpolation),
        request,
        name=name,
        weights=resolved.label,
        library="torchvision",
        mean=tuple(prepared.mean),
        std=tuple(prepared.std),
    )
