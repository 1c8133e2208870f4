"""Tasks in plain files: templates, clusters and what excludes what, mixtures, proof that two sides do not overlap."""

from luthier.tasks.collection import Collection, read_collection
from luthier.tasks.config import TasksConfig
from luthier.tasks.mixture import MixtureConfig, rates
from luthier.tasks.overlap import Certificate, Overlap, Parted, certificate, without_overlap
from luthier.tasks.superni import read_super_natural_instructions
from luthier.tasks.task import WORDINGS, Task, TaskRow, Template, Wording

__all__ = [
    "WORDINGS",
    "Certificate",
    "Collection",
    "MixtureConfig",
    "Overlap",
    "Parted",
    "Task",
    "TaskRow",
    "TasksConfig",
    "Template",
    "Wording",
    "certificate",
    "rates",
    "read_collection",
    "read_super_natural_instructions",
    "without_overlap",
]
