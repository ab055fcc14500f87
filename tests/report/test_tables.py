from aevq.metrics.catalogue import Metric
from aevq.report.statistics import Estimate
from aevq.report.tables import Cell, Row, cells, csv_text, make_table, markdown

MSE = Metric("reconstruction/mse", "MSE", "squared error", "lower")
PSNR = Metric("reconstruction/psnr", "PSNR", "signal to noise", "higher", "dB")
RATE = Metric("rate/kl_bits", "rate", "bits of a latent", "lower")


def one(value, std=None):
    return Estimate(value, std, 1 if std is None else 3)


def test_markdown_marks_the_best_and_leaves_out_empty_columns_and_references():
    rows = [
        Row(("AE",), (Cell(one(1.0, 0.3), "mixture"), *cells([one(2.0), None]))),
        Row(("VAE",), cells([one(1.25, 0.4), one(3.0), None])),
        Row(("VQ-VAE",), cells([None, None, None])),
    ]
    table = make_table(("model",), (MSE, PSNR, RATE), rows, [Row(("real data",), cells([one(0.0), None, None]))])
    assert markdown(table).splitlines() == [
        "| model | MSE ↓ | PSNR, dB ↑ |",
        "| --- | --- | --- |",
        "| AE | **1.0 ± 0.3** (mixture) | 2 |",
        "| VAE | *1.2 ± 0.4* | **3** |",
        "| VQ-VAE | – | – |",
        "| real data | 0 | – |",
    ]


def test_a_table_without_values_is_empty():
    assert not make_table(("model",), (MSE,), [Row(("AE",), cells([None]))])


def test_names_from_outside_open_no_column_line_or_tag_in_markdown():
    name = "a|b\n<img src=x> & [c](d)"
    text = markdown(make_table(("model",), (MSE,), [Row((name,), (Cell(one(1.0), name),))]))
    assert (
        text.splitlines()[2]
        == "| "
        + " | ".join(["a\\|b &lt;img src=x&gt; &amp; [c](d)", "1 (a\\|b &lt;img src=x&gt; &amp; [c](d))"])
        + " |"
    )


def test_the_csv_holds_exact_values():
    text = csv_text([("AE", "m", one(0.1, 0.2)), ("VAE", "m", one(1 / 3))])
    assert text.splitlines() == ["group,metric,mean,std,n", "AE,m,0.1,0.2,3", f"VAE,m,{1 / 3!r},,1"]
