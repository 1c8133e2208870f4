"""One self-contained HTML page, and the plots that go into it; every stage that reports uses these."""

from luthier.reports.page import Page, Sample, Tone
from luthier.reports.plots import Interval, Line, bar_plot, histogram, interval_plot, line_plot

__all__ = ["Interval", "Line", "Page", "Sample", "Tone", "bar_plot", "histogram", "interval_plot", "line_plot"]
