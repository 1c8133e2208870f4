"""From what users said of served answers to what to teach next, past a holdout that no cycle ever trains on."""

from luthier.improve.candidates import Collected, collect
from luthier.improve.config import ImproveConfig
from luthier.improve.cycle import CycleResult, Decision, Steps, Trained, improve
from luthier.improve.holdout import Holdout, NearPairs, is_holdout

__all__ = [
    "Collected",
    "CycleResult",
    "Decision",
    "Holdout",
    "ImproveConfig",
    "NearPairs",
    "Steps",
    "Trained",
    "collect",
    "improve",
    "is_holdout",
]
