"""What a served model is asked, how it answers, what people think of it, and whether that has drifted."""

from luthier.monitor.drift import Drift, FarPrompt, prompt_text
from luthier.monitor.report import MonitorReport, monitor
from luthier.monitor.traffic import Quantiles, Traffic

__all__ = ["Drift", "FarPrompt", "MonitorReport", "Quantiles", "Traffic", "monitor", "prompt_text"]
