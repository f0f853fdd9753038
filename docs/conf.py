"""Configuration of the Sphinx site. `make docs` builds it offline; warnings are errors."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "benchmarks")]

from api_pages import write_reference  # noqa: E402
from inventories import write_inventories  # noqa: E402

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
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "accuracy_results",
    "command_help",
    "committed_results",
    "mathml",
]
nitpicky = True
# Check references to this library only. Type fields in docstrings also contain plain words, and
# names from other libraries that are missing from docs/_ext/external_names.txt.
nitpick_ignore_regex = [("py:.*", r"(?!spectral_select).*")]
exclude_patterns = ["_build", "_ext", "figures", "results", "gallery/*.rst", "gallery/*.py"]
default_role = "py:obj"

# Docstrings describe the types.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
templates_path = ["_templates"]
# Pass a list of pages; otherwise Sphinx would search the pages of the previous build.
autosummary_generate = write_reference(HERE / "reference")
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
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
html_title = "spectral_select"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = True
html_math_renderer = "mathml"
html_sidebars = {"index": []}
html_theme_options = {
    "logo": {"text": "spectral_select"},
    "show_prev_next": True,
    "header_links_before_dropdown": 4,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
