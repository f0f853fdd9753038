import tarfile
import tomllib
import zipfile
from email.parser import Parser

import pytest
import yaml
from package_helpers import ROOT, build_sdist, build_wheel, copy_source

import spectral_select

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])


def package_files():
    """Return the files of the package, with the paths they have when installed."""
    library = {
        path.relative_to(ROOT / "spectral_select").as_posix()
        for path in (ROOT / "spectral_select").glob("**/*.py")
    } | {"py.typed", "__init__.pyi"}
    shipped = {
        f"integrations/{path.relative_to(ROOT / 'integrations').as_posix()}"
        for pattern in ("*.py", "*/templates/*")
        for path in (ROOT / "integrations").rglob(pattern)
    }
    return {f"spectral_select/{name}" for name in library | shipped}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel, the sdist, and the wheel built from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    source = copy_source(folder)
    sdist = build_sdist(source, folder / "sdist")
    return build_wheel(source, folder / "wheel"), sdist, build_wheel(sdist, folder / "again")


def wheel_files(path):
    with zipfile.ZipFile(path) as wheel:
        assert wheel.testzip() is None
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_wheel_contains_the_package_and_no_other_name(built):
    names = set(wheel_files(built[0]))
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == package_files()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_sdist_contains_the_build_files_without_links(built):
    with tarfile.open(built[1]) as archive:
        members = archive.getmembers()
    top = f"spectral_select-{PROJECT['version']}"
    assert all(member.isfile() or member.isdir() for member in members)  # no links
    files = {member.name for member in members if member.isfile()}
    assert all(name.startswith(top + "/") for name in files)
    files = {name.removeprefix(top + "/") for name in files}
    files = {name for name in files if not name.startswith("spectral_select.egg-info/")}
    described = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"}
    build = {"pyproject.toml", "MANIFEST.in", "setup.cfg", "PKG-INFO"}
    assert files == package_files() | described | build


def test_sdist_builds_the_same_wheel(built):
    first, again = (wheel_files(path) for path in (built[0], built[2]))
    records = {name for name in first if name.endswith("/RECORD")}
    assert len(records) == 1
    assert {n: first[n] for n in first if n not in records} == {
        n: again[n] for n in again if n not in records
    }


def test_metadata_agree_with_pyproject(built):
    files = wheel_files(built[0])
    text = next(files[name] for name in files if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(text.decode())
    assert metadata["Version"] == PROJECT["version"] == spectral_select.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    # Built metadata write the names of extras with hyphens.
    assert set(metadata.get_all("Provides-Extra")) == {name.replace("_", "-") for name in EXTRAS}
    core = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert core == PROJECT["dependencies"]


def test_integrations_have_only_one_name():
    link = ROOT / "spectral_select" / "integrations"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "integrations"


def test_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["title"] == PROJECT["name"]
    assert citation["authors"] == PROJECT["authors"]
    # Without quotes, a version like 0.10 would be read as a number.
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for work in citation["references"]:
        assert work["type"]
        assert work["title"]
        assert work["authors"]
        assert work["url"] in readme
        assert work["doi"] == "10.48550/arXiv." + work["url"].rpartition("/")[2]
