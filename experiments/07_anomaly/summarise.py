"""Writes results.csv and prints the table of this study.

python experiments/07_anomaly/summarise.py runs/sweep/<time>/*_s*
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from aevq.results import read_result

HERE = Path(__file__).parent


def main() -> None:
    """One row a model and score, one column a digit left out."""
    auroc: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for folder in sys.argv[1:]:
        result = read_result(Path(folder) / "result.json")
        for name, value in result.metrics.items() if result.status == "finished" else ():
            if name.startswith("anomaly/"):
                auroc[result.model["name"], name.split("/")[1]][result.data["left_out"]] = value
    digits = sorted({digit for row in auroc.values() for digit in row})
    with (HERE / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "score", "left_out", "auroc"])
        writer.writerows([*key, digit, value] for key, row in auroc.items() for digit, value in row.items())
    print("| | " + " | ".join(map(str, digits)) + " | mean |\n" + "|---" * (len(digits) + 2) + "|")
    for (model, score), row in auroc.items():
        cells = (f"{row[digit]:.3f}" if digit in row else "–" for digit in digits)
        print(
            f"| {model}, {score.replace('_', ' ')} | " + " | ".join(cells) + f" | {statistics.mean(row.values()):.3f} |"
        )


if __name__ == "__main__":
    main()
