"""Hydra finds launchers in this namespace package only."""
