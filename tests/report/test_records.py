import pytest

from aevq.report.records import COLUMNS, comparison_rows
from aevq.runs.result import Result


def rows(metrics, priors, train=None):
    model = {"name": "VAE", "target": "aevq.models.VAE", "parameters": 7}
    data = {"name": "mnist", "fingerprint": {}, "sizes": {}}
    result = Result("a", "finished", model, data, 3, "", "", metrics=metrics, train=train or {})
    return [dict(zip(COLUMNS, row, strict=True)) for row in comparison_rows(result, priors)]


def test_a_row_for_each_prior_with_its_own_figures():
    metrics = {"reconstruction/mse": 0.1, "samples/standard_normal/fd": 5.0, "samples/mixture/fd": 4.0}
    first, second = rows(metrics, ["standard_normal", "mixture"], {"seconds": 9.0})
    assert (first["prior"], first["samples/fd"]) == ("standard_normal", 5.0)
    assert (second["prior"], second["samples/fd"]) == ("mixture", 4.0)
    assert {row["reconstruction/mse"] for row in (first, second)} == {0.1}
    assert (first["model"], first["data"], first["seed"]) == ("VAE", "mnist", 3)
    assert (first["parameters"], first["seconds"]) == (7, 9.0)


def test_what_a_run_lacks_is_none():
    (row,) = rows({}, [])
    known = {"model", "data", "seed", "parameters"}
    assert {name for name, cell in row.items() if cell is not None} == known


@pytest.mark.parametrize(
    ("prior", "rate"), [("standard_normal", 30.0), ("mixture", None), ("uniform", 196.0), ("pixelcnn", 90.0)]
)
def test_the_rate_is_by_the_prior_of_the_row(prior, rate):
    """KL(q(z|x) ‖ N(0, I)) is the rate by N(0, I) and by no other prior."""
    metrics = {"rate/kl_bits": 30.0, "rate/uniform_bits": 196.0, "rate/pixelcnn_bits": 90.0, "rate/grid_bits": 196.0}
    (row,) = rows(metrics, [prior])
    assert row["rate_bits"] == rate
