"""The catalogue by itself; `tests/report/test_workspace.py` compares it with what runs log and record."""

from aevq.metrics.catalogue import METRICS, SECTIONS, entry, find


def test_every_name_has_one_entry_and_every_entry_a_section():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert {metric.section for metric in METRICS} <= set(SECTIONS)


def test_an_exact_name_comes_before_a_pattern():
    assert find("rate/kl_bits") == entry("rate/kl_bits")
    assert find("train/seconds").unit == "s"
    assert find("train/surprise").unit == "nats per image"
    assert find("samples/a/b/fd") is None
    assert find("nothing/like/it") is None


def test_words_are_filled_in():
    metric = find("likelihood/pixelcnn_nll_bound")
    assert (metric.name, metric.title) == ("likelihood/pixelcnn_nll_bound", "NLL bound by pixelcnn")
    assert entry("likelihood/<prior>_nll_bound").name_for(prior="pixelcnn") == metric.name
