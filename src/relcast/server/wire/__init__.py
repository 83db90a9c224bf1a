"""Translation between the public SDK's wire types (``kumoapi``) and ours; no rules of their own.

One module per noun. Nothing outside ``relcast.server`` imports ``kumoapi``.
"""
