"""Files that a process leaves if it is killed while writing."""

import subprocess
import sys

_CODE = """
import os, signal, sys
from spectral_select._utils.atomic_files import write_atomically

def half(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(sys.argv[1], half)
"""


def killed_while_writing(path):
    """Kill a process while it writes `path`; return the file that it leaves."""
    before = set(path.parent.iterdir())
    subprocess.run([sys.executable, "-c", _CODE, str(path)], check=False)
    (left,) = set(path.parent.iterdir()) - before
    return left
