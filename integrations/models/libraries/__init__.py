"""Libraries of pretrained networks, one module each, with the interface in `interface`.

The function ``build`` in the module ``PREFIX_backbone`` builds the network ``PREFIX:MODEL``.
"""
