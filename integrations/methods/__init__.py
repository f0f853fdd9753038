"""Selection methods behind one interface, and the registry that knows them by name.

A method is a rule over the samples of one candidate batch. It may look at their
features, at the loss each had when last trained on, at the present model's outputs for
the whole candidate batch, or at a reference model's; it returns the places kept, and
weights if it has any. To add one, put a file into this folder with a subclass of
`Method` that has a name and a `choose`, and decorate it with `register`: every module
here whose name has no leading underscore is loaded with the package.
"""

from importlib import import_module
from pkgutil import iter_modules

from spectral_select.integrations.methods.candidate_source import CandidateSource
from spectral_select.integrations.methods.interface import (
    FEATURES,
    FRESH,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Candidates,
    Choice,
    Method,
    Outputs,
    check_choice,
)
from spectral_select.integrations.methods.registry import (
    check_methods,
    get_method,
    method_names,
    register,
)
from spectral_select.integrations.methods.rule_selector import RuleSelector, as_selector

__all__ = [
    "FEATURES",
    "FRESH",
    "LAST_LOSS",
    "PROGRESS",
    "REFERENCE",
    "CandidateSource",
    "Candidates",
    "Choice",
    "Method",
    "Outputs",
    "RuleSelector",
    "as_selector",
    "check_choice",
    "check_methods",
    "get_method",
    "method_names",
    "register",
]

for _module in sorted(module.name for module in iter_modules(__path__)):
    if not _module.startswith("_"):
        import_module(f"{__name__}.{_module}")
