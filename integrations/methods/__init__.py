"""Selection methods with a common interface, and a registry of their names.

A method is a rule that selects samples, from one candidate batch or for a whole epoch. It can
use the samples' features and labels, their training losses, a clean set, or the outputs of the
current model or of a reference model. It returns the selected samples, with optional weights. To
add a method, put a module with a subclass of `Method` into this folder and decorate the class
with `register`. All modules in this folder are loaded with the package.
"""

from importlib import import_module
from pkgutil import iter_modules

from spectral_select.integrations.methods.candidate_source import CandidateSource
from spectral_select.integrations.methods.interface import (
    CLEAN,
    DYNAMICS,
    FEATURES,
    FRESH,
    HISTORY,
    LAST_LOSS,
    PROGRESS,
    REFERENCE,
    Candidates,
    Choice,
    History,
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
    "CLEAN",
    "DYNAMICS",
    "FEATURES",
    "FRESH",
    "HISTORY",
    "LAST_LOSS",
    "PROGRESS",
    "REFERENCE",
    "CandidateSource",
    "Candidates",
    "Choice",
    "History",
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
