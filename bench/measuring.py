"""What a process can say of itself and its machine. Imports torch only where asked, and nothing of Luthier."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PEAK_BF16 = {
    "B200": 2250e12, "H200": 989.4e12, "H100 PCIe": 756e12, "H100": 989.4e12, "A100": 312e12, "L40S": 362e12,
    "RTX 4090": 165.2e12, "L4": 121e12,
}  # fmt: skip
"""Operations per second of dense bfloat16 products, by a part of the card's name, as their makers state them."""


def peak_memory_mib() -> float:
    """The most memory that this process has held at once.

    The kernel's high-water mark of this address space: `ru_maxrss` would also count the parent it was started from.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return round(int(found[1]) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)


def matrix_rate(dtype: str, *, device: str, size: int, repeats: int = 8) -> float:
    """Operations per second of a square matrix product, best of several."""
    import torch

    kind = getattr(torch, dtype)
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        synchronise(device)
        started = time.perf_counter()
        left @ right
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def matrix_rates(device: str) -> dict[str, float]:
    """`matrix_rate` in both number formats, at the size that suits the device."""
    size = 8_192 if device == "cuda" else 2_048
    return {dtype: round(matrix_rate(dtype, device=device, size=size)) for dtype in ("float32", "bfloat16")}


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def cuda_facts(device: str) -> dict[str, Any]:
    """The card, the most memory that tensors took on it, and the peak that its maker states; empty on a CPU."""
    if device != "cuda":
        return {}
    import torch

    name = torch.cuda.get_device_name()
    peak = next((rate for part, rate in PEAK_BF16.items() if part in name), None)
    return {"card": name, "cuda_peak_mib": round(torch.cuda.max_memory_allocated() / 2**20, 1), "peak_bf16": peak}


def machine_facts() -> dict[str, Any]:
    """Processor, cores, memory and system, as a result should state them."""
    cpu, memory = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpu.read_text(), re.MULTILINE) if cpu.is_file() else None
    total = re.search(r"^MemTotal:\s+(\d+) kB", memory.read_text(), re.MULTILINE) if memory.is_file() else None
    return {
        "processor": model[1] if model else platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(int(total[1]) / 2**20, 1) if total else None,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(names: Sequence[str]) -> dict[str, str]:
    """Installed versions; a package that is absent is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def digest_of_targets(rows: Iterable[tuple[Sequence[int], Sequence[bool]]]) -> str:
    """sha256 (16 digits) over the token ids of rows and which of them train: equal for contenders that see the same."""
    total = hashlib.sha256()
    for ids, mask in rows:
        assert len(ids) == len(mask)
        total.update((" ".join(f"{int(i)}{'*' if m else ''}" for i, m in zip(ids, mask, strict=True)) + "\n").encode())
    return total.hexdigest()[:16]
