"""Checkpoints: whole or not at all, and never another run's."""

from __future__ import annotations

import json
import resource

import pytest
import torch

from luthier.errors import LuthierError
from luthier.train import checkpoints
from luthier.train.config import OptimConfig
from luthier.train.optimisers import make_optimiser


def made(seed: int = 0, *, updates: int = 3):
    """A network of mixed shapes, some of it frozen, with an optimiser that has a state."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2, bias=False))
    network[0].bias.requires_grad_(False)
    optimiser = make_optimiser([*network.named_parameters()], OptimConfig(lr=0.1))
    for _ in range(updates):
        optimiser.zero_grad()
        network(torch.randn(5, 3)).square().sum().backward()
        optimiser.step()
    return network, optimiser


def state_of(network, optimiser):
    parts = {f"p/{name}": p.detach().clone() for name, p in network.named_parameters()}
    for name, p in network.named_parameters():
        parts |= {f"{name}/{part}": value.clone() for part, value in optimiser.state.get(p, {}).items()}
    return parts


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


def test_a_checkpoint_restores_weights_and_optimiser_bit_for_bit(tmp_path):
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")
    other, fresh = made(updates=0)
    checkpoints.restore(checkpoints.newest(tmp_path, key="k"), network=other, optimiser=fresh)
    assert_equal(state_of(network, optimiser), state_of(other, fresh))
    for pair in ((network, optimiser), (other, fresh)):  # and the next update is the same
        pair[1].zero_grad()
        pair[0](torch.ones(2, 3)).sum().backward()
        pair[1].step()
    assert_equal(state_of(network, optimiser), state_of(other, fresh))


def test_only_trainable_weights_are_kept(tmp_path):
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")
    assert sorted(checkpoints.newest(tmp_path, key="k").parameters) == ["0.weight", "1.bias", "1.weight", "2.weight"]


def test_the_newest_two_are_kept_and_the_newest_is_found(tmp_path):
    network, optimiser = made()
    for step in (2, 9, 10, 100):
        checkpoints.write(tmp_path, step=step, network=network, optimiser=optimiser, key="k")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    assert checkpoints.newest(tmp_path, key="k").step == 100


def test_a_folder_without_checkpoints_has_none(tmp_path):
    assert checkpoints.newest(tmp_path / "absent", key="k") is None


def test_another_runs_checkpoint_is_ignored_and_left_alone(tmp_path):
    network, optimiser = made()
    checkpoints.write(tmp_path, step=5, network=network, optimiser=optimiser, key="mine")
    checkpoints.write(tmp_path, step=6, network=network, optimiser=optimiser, key="other")
    assert checkpoints.newest(tmp_path, key="mine").step == 5
    assert checkpoints.newest(tmp_path, key="third") is None
    assert (tmp_path / "step-00000006").is_dir()


@pytest.mark.parametrize("name", ["state.json", "parameters.safetensors", "optimiser.safetensors"])
@pytest.mark.parametrize("size", [None, 0, 7, 60])
def test_a_torn_newest_checkpoint_falls_back_to_the_one_before(tmp_path, name, size):
    """A disk that lied about the newest costs steps, not the run."""
    for step in (4, 8):
        network, optimiser = made(updates=step)
        checkpoints.write(tmp_path, step=step, network=network, optimiser=optimiser, key="k")
    torn = tmp_path / "step-00000008" / name
    if size is None:
        torn.unlink()
    else:
        torn.write_bytes(torn.read_bytes()[: min(size, torn.stat().st_size - 1)])
    found = checkpoints.newest(tmp_path, key="k")
    assert found.step == 4
    assert torch.equal(found.parameters["0.weight"], made(updates=4)[0][0].weight)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"step": 8}'])
def test_a_state_file_that_says_nothing_is_passed_over(tmp_path, text):
    network, optimiser = made()
    for step in (4, 8):
        checkpoints.write(tmp_path, step=step, network=network, optimiser=optimiser, key="k")
    (tmp_path / "step-00000008" / "state.json").write_text(text)
    assert checkpoints.newest(tmp_path, key="k").step == 4


def test_what_a_killed_write_left_is_replaced(tmp_path):
    (tmp_path / "partial-00000003").mkdir()
    (tmp_path / "partial-00000003" / "parameters.safetensors").write_bytes(b"half")
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000003"]


def test_a_full_disk_is_an_error_and_the_older_checkpoint_survives(tmp_path, monkeypatch):
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")

    def fails(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", fails)
    with pytest.raises(LuthierError, match="what was saved before is untouched") as error:
        checkpoints.write(tmp_path, step=6, network=network, optimiser=optimiser, key="k")
    assert (
        "No space left" in error.value.problems[0].found and "run the same command again" in error.value.problems[0].fix
    )
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000003"]
    assert checkpoints.newest(tmp_path, key="k").step == 3


def test_a_write_that_the_system_refuses_is_the_same_error(tmp_path):
    """The real thing: the system lets no file grow beyond 64 bytes, as a full disk would."""
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(LuthierError, match="could not be written"):
            checkpoints.write(tmp_path, step=6, network=network, optimiser=optimiser, key="k")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints.newest(tmp_path, key="k").step == 3


def test_checkpoints_hold_no_pickle(tmp_path):
    network, optimiser = made()
    checkpoints.write(tmp_path, step=3, network=network, optimiser=optimiser, key="k")
    folder = tmp_path / "step-00000003"
    assert sorted(p.name for p in folder.iterdir()) == ["optimiser.safetensors", "parameters.safetensors", "state.json"]
    assert json.loads((folder / "state.json").read_text()) == {"step": 3, "key": "k", "processes": 1, "progress": {}}
