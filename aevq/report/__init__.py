"""The comparison of finished runs: from their folders to tables, charts and one HTML file.

Reads the small files of run folders (result.json, evaluation.json, config.yaml, metrics.csv, pictures), never models or
data: its floor lies below theirs.
"""
