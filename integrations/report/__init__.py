"""Show the results of a comparison as a table on the terminal, as figures, or as a page.

Reading and tables need only the core dependencies. Figures need matplotlib; the page also needs
jinja2.
"""

from spectral_select.integrations.records.results import FORMAT, read_results
from spectral_select.integrations.records.run_records import Results
from spectral_select.integrations.report.figures.curves import draw_curves
from spectral_select.integrations.report.page import write_report
from spectral_select.integrations.report.terminal_table import format_table

__all__ = ["FORMAT", "Results", "draw_curves", "format_table", "read_results", "write_report"]
