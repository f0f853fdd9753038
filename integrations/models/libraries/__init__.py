"""Libraries of pretrained networks, one module each, behind the interface in `interface`.

The function ``build`` in the module ``PREFIX_backbone`` builds the network ``PREFIX:MODEL``.
"""
