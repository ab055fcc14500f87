"""Which W&B server there is, whether a key for it is configured, and whether it answers."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import requests

__all__ = ["answers", "logged_in", "wandb_mode", "wandb_server"]

OLD_SERVER = "https://api.wandb.ai"  # under whose name a key may still be kept
SECONDS_TO_ANSWER = 3


def wandb_server() -> str:
    """The server that W&B talks to."""
    import wandb  # slow to import

    return os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url


def logged_in() -> bool:
    """Whether a key is configured, in the environment or in netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    return any(requests.utils.get_netrc_auth(server) for server in (wandb_server(), OLD_SERVER))


def answers(server: str) -> bool:
    """Whether anybody answers there within seconds: one who answers letter by letter does not."""
    answered = threading.Event()
    threading.Thread(target=_ask, args=(server, answered), daemon=True).start()
    return answered.wait(SECONDS_TO_ANSWER)


def _ask(server: str, answered: threading.Event) -> None:
    with suppress(requests.RequestException, ValueError), requests.get(server, timeout=SECONDS_TO_ANSWER, stream=True):
        answered.set()


def wandb_mode() -> str:
    """`WANDB_MODE` where it is set; else online where a key is configured and the server answers within seconds."""
    if mode := os.environ.get("WANDB_MODE"):
        return mode
    return "online" if logged_in() and answers(wandb_server()) else "offline"
