"""What comparisons came to: a table for the terminal, pictures, and a page, from results.json.

Reading and tables need the library alone; pictures and the page need matplotlib.
"""

from spectral_select.integrations.records.results import FORMAT, read_results
from spectral_select.integrations.report.figures.curves import draw_curves
from spectral_select.integrations.report.terminal import format_table, summarize
from spectral_select.integrations.report.write import write_report

__all__ = ["FORMAT", "draw_curves", "format_table", "read_results", "summarize", "write_report"]
