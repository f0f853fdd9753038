import subprocess
import sys

import spectral_select

# Packages that `import spectral_select` and its core may load: not torch, not matplotlib.
CORE = """
import sys
import spectral_select
import numpy as np
X = np.random.default_rng(0).random((200, 8))
spectral_select.FiedlerBatchSelector().fit(X)
spectral_select.GuidedBatchSelector().fit(X, np.arange(200) % 2)
spectral_select.FiedlerResampler, spectral_select.make_schedule, spectral_select.fiedler_vector
print(sorted({"torch", "torchvision", "matplotlib", "tqdm"} & set(sys.modules)))
"""


def test_core_never_imports_torch():
    out = subprocess.run([sys.executable, "-c", CORE], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_public_names_resolve_and_are_listed():
    for name in spectral_select.__all__:
        assert getattr(spectral_select, name) is not None
    assert dir(spectral_select) == sorted(spectral_select.__all__)
