"""Passwords in netrc, whatever the file looks like."""

import pytest

from aevq.config.secrets import HIDDEN, redact
from aevq.data.download import https_session
from aevq.training.wandb import logged_in

LATIN_1 = "# caf\xe9\nmachine a.b login me password 'hunter2-hunter2'\n".replace("'", "").encode("latin-1")


@pytest.mark.fault("a netrc in latin-1 or with errors: its passwords are still hidden, and nothing else fails")
@pytest.mark.parametrize(
    "content",
    [LATIN_1, b"machine a.b login me password hunter2-hunter2 nonsense", b'default password "hunter2-hunter2"'],
)
def test_a_netrc_that_cannot_be_parsed(content, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_bytes(content)
    assert redact("say hunter2-hunter2") == f"say {HIDDEN}"
    assert https_session().auth is not None, "else requests reads netrc for every address"
    assert logged_in() in (False, True)
