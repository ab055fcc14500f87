"""Helpers of the tests: small models, small runs, processes that die."""
