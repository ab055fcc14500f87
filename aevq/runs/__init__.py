"""The run folder: its layout, its small files, and a finished run read from it.

What fills the folder is elsewhere: `training` writes checkpoints, `report` draws the images, `sweeps` starts the jobs.
"""
