"""Configuration: types and checks, instantiation from yaml, and the shell of the command line."""
