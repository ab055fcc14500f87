import pytest
import torch

from aevq.errors import UserError
from aevq.models import AE, VAE, LatentModel
from aevq.runs.run import Run
from helpers.run_folders import make_run


def test_a_checkpoint_without_a_model_is_refused(tmp_path):
    torch.save({"state_dict": {}, "global_step": 0}, tmp_path / "best.ckpt")
    with pytest.raises(UserError, match=r"best\.ckpt: not a checkpoint"):
        LatentModel.load_from_checkpoint(tmp_path / "best.ckpt")


def test_weights_of_another_model_are_refused(tmp_path):
    path, node = tmp_path / "best.ckpt", {"_target_": "aevq.models.AE", "latent_dim": 3}
    torch.save({"model": node, "state_dict": AE(latent_dim=4).state_dict(), "global_step": 0}, path)
    with pytest.raises(UserError, match=r"best\.ckpt: not a checkpoint of this model \(.*size mismatch"):
        LatentModel.load_from_checkpoint(path)
    torch.save({"model": node, "state_dict": AE(latent_dim=3).state_dict(), "global_step": 0}, path)
    assert AE.load_from_checkpoint(path).latent_dim == 3
    with pytest.raises(UserError, match="expected a VAE"):
        VAE.load_from_checkpoint(path)


def test_a_prior_that_a_run_does_not_have_is_named(tmp_path):
    run = Run(make_run(tmp_path / "a"))
    with pytest.raises(UserError, match="has no fitted prior to sample from"):
        run.default_prior()
    (run.path / "priors").mkdir()
    (run.path / "priors" / "standard_normal.safetensors").touch()
    assert run.default_prior() == "standard_normal"
    with pytest.raises(UserError, match="no prior 'standard_norml'; did you mean 'standard_normal'"):
        run.prior("standard_norml")
