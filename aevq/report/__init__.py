"""What is shown of finished runs: plots, tables, the HTML report that compares runs, and the W&B workspace.

Apart from `plots`, which draws from a model, it reads only the small files of run folders. It measures nothing.
"""
