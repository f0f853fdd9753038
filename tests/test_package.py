import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build_wheel(tmp_path):
    """Build the wheel from a copy, so that the checkout stays as it is."""
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns(".*", "runs", "build", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
               "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return next(tmp_path.glob("*.whl"))


def test_the_wheel_holds_the_package_and_claims_no_other_name(tmp_path):
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"spectral_select"}
    expected = {"spectral_select/py.typed"}
    expected |= {f"spectral_select/{path.name}" for path in (ROOT / "spectral_select").glob("*.py")}
    expected |= {
        f"spectral_select/integrations/{path.name}" for path in (ROOT / "integrations").glob("*.py")
    }
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_integrations_are_reached_by_one_name_only():
    link = ROOT / "spectral_select" / "integrations"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "integrations"
