"""Configuration of the Sphinx site. `make docs` builds it offline; warnings are errors."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "benchmarks")]

from api_pages import write_reference  # noqa: E402
from inventories import write_inventories  # noqa: E402
from linked_names import GUIDES, not_public  # noqa: E402

from spectral_select import __version__  # noqa: E402

# One thread, so that the results of the examples do not depend on the machine.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

project = "spectral_select"
author = "The spectral_select developers"
project_copyright = f"{author}, BSD-3-Clause"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "accuracy_results",
    "command_help",
    "committed_results",
    "linked_names",
    "mathml",
    "fine_tuning",
    "training_results",
]
nitpicky = True
# Public names must be links. Other names in docstrings, such as parameters, need not be.
nitpick_ignore_regex = [("py:.*", not_public())]
exclude_patterns = ["_build", "_ext", "figures", "results", "gallery/*.rst", "gallery/*.py"]
default_role = "py:obj"

# Docstrings describe the types.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autosummary_context = {"guides": GUIDES}
templates_path = ["_templates"]
# Pass a list of pages; otherwise Sphinx would search the pages of the previous build.
autosummary_generate = write_reference(HERE / "reference")
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# Pages use the names of the library without the module prefix.
rst_prolog = ".. currentmodule:: spectral_select"
# In docstrings, |v| is an absolute value, not a substitution.
rst_epilog = r".. |v| replace:: \|v\|"
myst_heading_anchors = 3

# Links to other projects work offline: inventories are generated from the few names listed in
# docs/_ext/external_names.txt. The full inventories of these projects take up megabytes.
intersphinx_mapping = write_inventories(
    HERE / "_ext" / "external_names.txt", HERE / "_build" / "inventories"
)

plot_include_source = False
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 170)]
plot_basedir = str(HERE / "figures")
plot_working_directory = str(HERE / "figures")
plot_rcparams = {
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.bbox": "tight",
}
plot_apply_rcparams = True

# Delete pages of examples that no longer exist, because Sphinx would warn about them.
for page in (HERE / "examples").glob("plot_*"):
    if page.is_file() and not (HERE / "gallery" / f"{page.name.split('.')[0]}.py").exists():
        page.unlink()

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "reference_url": {"spectral_select": None},
    "backreferences_dir": "reference/backreferences",
    "doc_module": ("spectral_select",),
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "remove_config_comments": True,
}
# The Agg backend of matplotlib warns when an example calls plt.show().
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {version}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(HERE / "_static" / "search_scorer.js")
html_math_renderer = "mathml"
# The reference pages and the search replace the generated indices.
html_use_index = html_domain_indices = False
# These pages belong to no section, so their sidebar would be empty.
html_sidebars = {page: [] for page in ("index", "search")}
# A site with several versions lists them in a file that all versions read; see RELEASING.md.
versions = os.environ.get("DOCS_VERSIONS_URL")
html_theme_options = {
    "logo": {"text": project if versions else f"{project} {version}"},
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher", *(["version-switcher"] if versions else [])],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc", "sourcelink"],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if versions:
    html_theme_options |= {
        "switcher": {"json_url": versions, "version_match": version},
        "check_switcher": False,  # the site builds without a network
    }
