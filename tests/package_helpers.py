"""Build the wheel and the sdist, and run programs in separate environments."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

_LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "runs", "build", "_build", "dist", "*.egg-info", "__pycache__"
)
_BUILD_SDIST = "import sys, setuptools.build_meta as b; b.build_sdist(sys.argv[1])"


def copy_source(folder):
    """Copy the project into `folder`/source, so that a build does not change the checkout."""
    return shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=_LEFT_BEHIND)


def build_wheel(source, folder):
    """Build a wheel of `source`, a folder or an sdist, into `folder`, without network access."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", folder, source)  # fmt: skip
    return next(Path(folder).glob("*.whl"))


def build_sdist(source, folder):
    """Build the sdist of the folder `source` into `folder`, without network access."""
    run(sys.executable, "-c", _BUILD_SDIST, folder, cwd=source)
    return next(Path(folder).glob("*.tar.gz"))


class Environment:
    """A fresh virtual environment, into which the running pip installs."""

    def __init__(self, folder):
        venv.create(folder, symlinks=True)
        self.folder = Path(folder)
        self.python = self.folder / "bin" / "python"
        self.packages = next(self.folder.glob("lib/python*/site-packages"))

    def pip_install(self, *arguments):
        run(sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", *arguments)

    def run(self, program, *arguments, status=0):
        """Run a program from the environment in the environment's folder; return the output."""
        return run(self.folder / "bin" / program, *arguments, cwd=self.folder, status=status)


def run(*command, cwd=None, status=0):
    """Run a program without environment variables for Python; return the output."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == status, done.stdout
    return done.stdout
