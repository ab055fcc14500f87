import os
import subprocess
import sys

import pytest

from aevq.training.allocator import USERS_OWN

FAULTS = """
import resource, sys
from aevq.training.allocator import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "keep" else None
def work():
    for _ in range(20):
        blocks = [bytearray(2**23) for _ in range(4)]
        for block in blocks:
            block[::4096] = bytes(2**11)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str, **environment: str) -> tuple[str, int]:
    command = [sys.executable, "-c", FAULTS, mode]
    own = {name: value for name, value in os.environ.items() if name not in USERS_OWN}
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=own | environment)
    done, count = ended.stdout.split()
    return done, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_memory_that_is_freed_and_allocated_again_causes_no_page_faults():
    done, kept = page_faults("keep")
    if done == "False":
        pytest.skip("the C library is not glibc")
    _, returned = page_faults("leave")
    assert kept < returned / 20


def test_a_setting_of_the_user_is_kept():
    assert page_faults("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
