from io import StringIO

from rich.console import Console

from aevq.report.console import metrics_table


def lines(metrics):
    console = Console(file=StringIO(), width=80)
    console.print(metrics_table(metrics, "on 500 test images"))
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_priors_and_their_samples_are_matrices_with_a_column_for_each_prior():
    metrics = {
        "reconstruction/mse": 0.25,
        "prior/a/nats": 20.5,
        "prior/b/nats": 22.5,
        "prior/b/seconds": 3.0,
        "samples/a/fd": 2.0,
        "samples/a/milliseconds": 0.5,
        "real/fd": 0.125,
        "latent/kl/0": 1.0,
    }
    table = lines(metrics)
    assert ["reconstruction/mse", "0.25"] in table
    assert ["priors", "a", "b"] in table
    assert ["nats", "20.5", "22.5"] in table
    assert ["seconds", "3"] in table
    assert ["samples", "a", "real"] in table
    assert ["fd", "2", "0.125"] in table
    assert not [line for line in table if "latent/kl/0" in line or "prior/a/nats" in line]


def test_without_priors_there_is_one_table():
    assert [line[-1] for line in lines({"reconstruction/mse": 0.25, "real/fd": 0.125})][2:] == ["0.25"]
