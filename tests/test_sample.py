"""The command `python -m aevq.sample` and `Run.sample`: options, names of files, and what is refused."""

import pytest

import aevq
from aevq.errors import UserError
from aevq.sample import main as sample_main
from aevq.train import main as train_main
from helpers.small_runs import SMALL_VQVAE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished VQ-VAE with an unconditional prior and a conditional PixelCNN, which never saw class 3."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = ["prior=[marginals,pixelcnn]", "prior.pixelcnn.conditional=true", "data.leave_out=3"]
        patch.setattr("sys.argv", ["aevq", *SMALL_VQVAE, *options])
        train_main()
    return aevq.load((folder / "runs" / "latest").resolve())


def test_options_change_the_samples(trained):
    plain, seven = trained.sample(20), trained.sample(20, label=7)
    assert not plain.equal(seven)
    assert trained.sample(20, label=7).equal(seven)
    assert not trained.sample(20, label=7, temperature=0.1).equal(seven)


def test_options_are_part_of_the_name_of_a_file(trained, command):
    code, out, err = command(sample_main, f"run={trained.path}", "n=4", "label=7", "temperature=0.9", "seed=2")
    assert code == 0, err
    path = trained.images / "samples_pixelcnn_label7_temperature0.9_n4_seed2.png"
    assert out.strip() == str(path)
    assert path.is_file()
    assert command(sample_main, f"run={trained.path}", "n=4", "prior=marginals")[0] == 0
    assert (trained.images / "samples_marginals_n4_seed0.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["prior=marginals", "temperature=0.9"],
            "temperature: the prior marginals has no temperature; it has no options",
        ),
        (
            ["prior=marginals", "label=7"],
            "label: the prior marginals has no label; it has no options (label is for a con",
        ),
        (["label=10"], "label: expected a class below 10, got 10"),
        (["label=-1"], "label: should be greater than or equal to 0, got -1"),
        (["label=3"], "label: class 3 was left out of the training of this run (data.leave_out)"),
        (["temperature=0"], "temperature: should be greater than 0, got 0"),
        (["top_p=2"], "top_p: should be less than or equal to 1, got 2"),
        (["temprature=0.9"], "temprature: unknown option; did you mean 'temperature'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_sampled_is_one_line(arguments, message, trained, command):
    before = sorted(trained.images.iterdir())
    code, _, err = command(sample_main, f"run={trained.path}", "n=4", *arguments)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(trained.images.iterdir()) == before


def test_the_same_from_python(trained):
    assert trained.sample(4, label=7, temperature=0.9).shape == (4, 1, 28, 28)
    with pytest.raises(UserError, match=r"^label: class 3 was left out"):
        trained.sample(4, label=3)
    with pytest.raises(UserError, match=r"^n: expected an integer ≥ 1, got 0"):
        trained.sample(0, label=3)
