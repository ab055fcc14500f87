"""Configuration: types and checks of arguments, instantiation from yaml, and what all commands share.

Which keys a run has is in `aevq.training.parts`; each part checks its own arguments where it is defined.
"""
