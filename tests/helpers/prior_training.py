"""Trainings of priors in a folder, and that a resumed one equals an uninterrupted one."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from aevq.training.checkpoint import ExactResume


class _Stop(pl.Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 25:
            raise InterruptedError


def trainer_in(folder, callbacks, **arguments):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"accelerator": "cpu", "devices": 1, "num_sanity_val_steps": 0, "default_root_dir": folder}
    return pl.Trainer(callbacks=[*callbacks, ExactResume()], **quiet | arguments)


def assert_resumed_equals_uninterrupted(make, latents, folder):
    """Check the weights of a prior that is interrupted after 25 steps, and that `make` returns, bit for bit."""

    def stopping(callbacks, **arguments):
        return trainer_in(folder / "b", callbacks=[*callbacks, _Stop()], **arguments)

    whole = make()
    whole.fit(latents, partial(trainer_in, folder / "a"))
    with pytest.raises(InterruptedError):
        make().fit(latents, stopping)
    resumed = make()
    resumed.fit(latents, partial(trainer_in, folder / "b"), resume_from=folder / "b" / "last.ckpt")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
