"""Overrides that make a whole run small: a few steps on the embedded images."""

from pathlib import Path

QUICK = [
    "data=mnist5k",
    "trainer.accelerator=cpu",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "evaluation.samples=0",
    "plots.map_points=60",
    "plots.samples=8",
    "data.batch_size=32",
]
STACKED = [
    *("data=stacked_mnist5k", "data.train_stacks=200", "data.val_stacks=40", "data.test_stacks=60"),
    *("evaluation.samples=20", "evaluation.mode_samples=50"),
]
SMALL = {
    "ae": ["model.network.hidden=[32]", "prior.mixture.num_components=2", "prior.mixture.max_iter=5"],
    "vae": ["model.network.hidden=[32]"],
    "vqvae": [
        "model.network.channels=[4,8]",
        "model.num_codes=16",
        "prior=pixelcnn",
        "prior.pixelcnn.channels=8",
        "prior.pixelcnn.layers=2",
        "prior.pixelcnn.max_steps=2",
        "prior.pixelcnn.val_every_steps=2",
    ],
}
SMALL_VAE = ["model=vae", *QUICK, *SMALL["vae"]]
SMALL_VQVAE = ["model=vqvae", *QUICK, *SMALL["vqvae"]]


def only_run(folder: Path) -> Path:
    """Return the one run folder in `<folder>/runs`."""
    (path,) = [path for path in (folder / "runs").iterdir() if path.is_dir() and not path.is_symlink()]
    return path
