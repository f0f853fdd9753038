import sys
import tomllib

import pytest
from oldest_requirements import PYPROJECT, main, oldest_requirements

CONFIGURATION = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
PROJECT = CONFIGURATION["project"]


def project(*dependencies, **extras):
    return {"name": "this", "dependencies": dependencies, "optional-dependencies": extras}


def test_every_dependency_has_one_lower_bound():
    oldest = oldest_requirements(PROJECT)
    assert {"numpy", "torch", "matplotlib", "lightning", "pytest", "ruff", "sphinx"} <= set(oldest)
    (build,) = CONFIGURATION["build-system"]["requires"]
    assert build == f"setuptools>={oldest['setuptools']}"


def test_includes_requested_extras_and_extras_they_name():
    table = project("numpy>=2.1", torch=["torch[opt]>=2.6"], dev=["this[torch]", "ruff>=1"])
    assert oldest_requirements(table, []) == {"numpy": "2.1"}
    assert oldest_requirements(table, ["torch"]) == {"numpy": "2.1", "torch": "2.6"}
    assert oldest_requirements(table) == {"numpy": "2.1", "torch": "2.6", "ruff": "1"}


@pytest.mark.parametrize("bad", ["numpy", "numpy==2.1", "numpy>=2.1,<3", "numpy>=2.1; x"])
def test_rejects_other_forms(bad):
    with pytest.raises(ValueError, match=r"form name>=version, got 'numpy"):
        oldest_requirements(project(bad))


def test_rejects_two_bounds():
    with pytest.raises(ValueError, match=r"numpy has two lower bounds: 2\.1 and 2\.2"):
        oldest_requirements(project("numpy>=2.1", a=["numpy>=2.2"]))


def test_constraints_are_printed_on_the_oldest_python_only(capsys, monkeypatch):
    floor = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    monkeypatch.setattr(sys, "version_info", (*floor, 0))
    main([])
    printed = capsys.readouterr().out.split()
    assert printed == [f"{n}=={v}" for n, v in oldest_requirements(PROJECT).items()]
    monkeypatch.setattr(sys, "version_info", (floor[0], floor[1] + 1, 0))
    with pytest.raises(SystemExit, match="oldest Python that is claimed"):
        main([])
