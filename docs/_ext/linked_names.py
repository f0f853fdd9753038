"""Link public names to the reference, and the reference to the guide and the examples.

Names in literals, as in a Markdown page, become links like those in the default role. Signatures
do not show the placeholder of a required argument.
"""

import importlib
import inspect
import re
from typing import Any

from api_pages import public_modules
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

from spectral_select._cli.main import _COMMANDS

# Pages in the guide and elsewhere that explain each public name of the library.
GUIDES = {
    "ClassBalancedSampler": ["guide/batches"],
    "ConstantSchedule": ["guide/schedules"],
    "CosineSchedule": ["guide/schedules"],
    "DatasetInspection": ["howto/inspect"],
    "EmbeddingStore": ["howto/out_of_core"],
    "FiedlerBatchSelector": ["guide/choosing", "guide/fiedler", "tutorials/scikit_learn"],
    "FiedlerResampler": ["guide/pipelines", "guide/choosing"],
    "FiedlerResult": ["guide/certificate"],
    "GuidedBatchSelector": ["guide/trust", "tutorials/scikit_learn"],
    "GuidedResampler": ["guide/pipelines", "guide/trust"],
    "GuidedSampler": ["guide/trust", "tutorials/pytorch"],
    "LinearSchedule": ["guide/schedules"],
    "NearDuplicates": ["howto/inspect"],
    "SampleScores": ["howto/parquet"],
    "Schedule": ["guide/schedules"],
    "SelectionTimings": ["tutorials/pytorch"],
    "SpectralBatchSampler": ["guide/batches", "tutorials/pytorch"],
    "Status": ["guide/certificate"],
    "StepSchedule": ["guide/schedules"],
    "StoreError": ["howto/out_of_core"],
    "StoreWriter": ["howto/out_of_core"],
    "WeightedDataset": ["guide/batches"],
    "WrongLabels": ["howto/wrong_labels"],
    "fiedler_vector": ["guide/fiedler", "guide/certificate"],
    "find_wrong_labels": ["howto/wrong_labels"],
    "inspect_dataset": ["howto/inspect"],
    "load_scores": ["howto/parquet"],
    "make_schedule": ["guide/schedules"],
    "n_candidates": ["guide/batches"],
    "n_kept": ["guide/batches"],
    "save_embeddings": ["howto/out_of_core"],
}


def public_names() -> dict[str, str]:
    """Map the names of public classes and functions to the names with their module."""
    names: dict[str, str] = {}
    for module in map(importlib.import_module, public_modules()):
        for name in module.__all__:
            value = getattr(module, name)
            # Unqualified, `inspect` and `select` are commands and methods, not functions of `ray`.
            if (inspect.isclass(value) or inspect.isroutine(value)) and name not in _COMMANDS:
                names.setdefault(name, f"{module.__name__}.{name}")
    return names


def not_public() -> str:
    """Return a pattern for names that are not public, such as parameters in a docstring."""
    names = "|".join(sorted(map(re.escape, public_names())))
    return rf"(?!(?:.*\.)?(?:{names})$)(?!spectral_select).*"


class LinkLiterals(SphinxTransform):
    """Turn literals that are public names of the library into references."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Replace the literals outside of links and titles."""
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext()
            linked = isinstance(literal.parent, nodes.reference | nodes.title | pending_xref)
            if name in GUIDES and not linked:
                target = f"spectral_select.{name}"
                link = pending_xref(
                    "", refdomain="py", reftype="obj", reftarget=target, refexplicit=True
                )
                link["refdoc"] = self.env.current_document.docname
                literal.replace_self(link)
                link += literal


def in_another_module(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.Element
) -> nodes.Element | None:
    """Resolve a public name that a docstring uses without its module."""
    found = public_names().get(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or found is None or found == node["reftarget"]:
        return None
    python = env.domains.python_domain
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, contents)


def without_placeholder(*arguments: Any) -> tuple[str, str] | None:
    """Remove the placeholder of required arguments from a signature."""
    signature, returns = arguments[-2:]
    return signature and (re.sub(r" ?= ?_MISSING\b", "", signature), returns)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform and the event handlers."""
    app.add_transform(LinkLiterals)
    app.connect("missing-reference", in_another_module)
    app.connect("autodoc-process-signature", without_placeholder)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
