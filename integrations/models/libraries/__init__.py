"""Libraries of pretrained networks, one module each, behind the interface in `interface`.

A name ``PREFIX:MODEL`` is built by the function ``build`` in the module ``PREFIX_backbone``.
"""
