"""Finished runs, and small disks."""

from helpers.broken_runs import figures, small_disk, whole

__all__ = ["figures", "small_disk", "whole"]
