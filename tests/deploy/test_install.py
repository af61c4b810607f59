"""Bundles onto a device: what serves after each, also after an interruption at any step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.remote.transport import ConnectionLostError
from edgeface.deploy.bundle import Bundle
from edgeface.deploy.environment import DeviceEnvironment
from edgeface.deploy.install import install, rollback
from edgeface.errors import DeviceError

Bundles = tuple[Bundle, ...]
Environment = DeviceEnvironment


def test_from_nothing_to_a_served_bundle(
    device: Any, bundles: Bundles, made: Environment, reporter: Any
) -> None:
    bundle = bundles[0]
    done = install(device, bundle, made, reporter=reporter)
    assert (done.bundle, done.previous, done.changed) == (bundle.id, None, True)
    assert (done.check.model, done.check.vectors, done.check.bundle) == ("dense", 1, bundle.id)
    assert device.serves() == bundle.id
    assert device.bundles() == [bundle.id]
    assert device.leftovers() == []
    assert (device.deploy / "current").readlink() == Path("bundles") / bundle.id
    # nothing was switched before the test, and the test was of what is served
    assert device.calls.index("check") < device.calls.index("commit")


def test_the_former_one_stays_and_older_ones_go(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    for bundle in bundles:
        done = install(device, bundle, given, reporter=reporter)
    assert done.previous == bundles[1].id
    assert device.bundles() == sorted([bundles[1].id, bundles[2].id])
    assert device.serves() == bundles[2].id


def test_rollback_returns_and_twice_is_forth_and_back(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    for bundle in bundles[:2]:
        install(device, bundle, given, reporter=reporter)
    for now, before in ((0, 1), (1, 0)):
        done = rollback(device, given.command, reporter=reporter)
        assert (done.bundle, done.previous) == (bundles[now].id, bundles[before].id)
        assert device.serves() == bundles[now].id
    assert device.leftovers() == []


def test_rollback_without_a_former_one(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    with pytest.raises(DeviceError, match=r"folder: there is no bundle before the first depl"):
        rollback(device, given.command, reporter=reporter)
    install(device, bundles[0], given, reporter=reporter)
    with pytest.raises(DeviceError, match=f"no bundle before {bundles[0].id}; deploy the one"):
        rollback(device, given.command, reporter=reporter)
    assert device.serves() == bundles[0].id


def test_rollback_to_a_damaged_one_is_refused(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    for bundle in bundles[:2]:
        install(device, bundle, given, reporter=reporter)
    flip(device.deploy / "bundles" / bundles[0].id / "dense.tflite")
    with pytest.raises(DeviceError, match=r"the bundle is damaged: dense.tflite has sha256"):
        rollback(device, given.command, reporter=reporter)
    assert device.serves() == bundles[1].id


def test_the_same_again_copies_nothing(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    for bundle in bundles[:2]:
        install(device, bundle, given, reporter=reporter)
    device.calls.clear()
    done = install(device, bundles[1], given, reporter=reporter)
    assert (done.bundle, done.previous, done.changed) == (bundles[1].id, bundles[0].id, False)
    assert device.calls.count("put .zip") == 1  # edgeface's code
    done = install(device, bundles[0], given, reporter=reporter)  # the one before: a switch will do
    assert (done.bundle, done.previous, done.changed) == (bundles[0].id, bundles[1].id, True)
    assert device.serves() == bundles[0].id
    assert device.leftovers() == []


def test_a_damaged_current_bundle_is_replaced_beside_it(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    for bundle in bundles[:2]:
        install(device, bundle, given, reporter=reporter)
    flip(device.deploy / "bundles" / bundles[1].id / "dense.tflite")
    done = install(device, bundles[1], given, reporter=reporter)
    assert device.serves() == done.bundle == f"{bundles[1].id}-2"
    assert done.previous == bundles[0].id  # and not the damaged copy of the same
    assert device.bundles() == sorted([bundles[0].id, done.bundle])
    again = install(device, bundles[1], given, reporter=reporter)
    assert (again.bundle, again.changed) == (done.bundle, False)


def test_another_environment_is_another_installation(
    device: Any, bundles: Bundles, made: Environment, reporter: Any
) -> None:
    install(device, bundles[0], made, reporter=reporter)
    newer = replace(made.requirements, packages=("ai-edge-litert==2",))
    done = install(device, bundles[0], replace(made, requirements=newer), reporter=reporter)
    assert done.changed
    text = (device.deploy / "bundles" / done.bundle / "interpreter").read_text()
    assert (
        text == f"{device.home}/.edgeface/venv-3.{made.python.version[1]}-{newer.key}/bin/python\n"
    )
    assert device.serves() == done.bundle


def test_an_environment_in_use_is_not_made_again(
    device: Any, bundles: Bundles, made: Environment, reporter: Any
) -> None:
    install(device, bundles[0], made, reporter=reporter)
    assert device.calls.count("venv") == device.calls.count("pip") == 1
    device.calls.clear()
    install(device, bundles[1], made, reporter=reporter)
    assert "venv" not in device.calls
    assert "pip" not in device.calls
    assert device.serves() == bundles[1].id


def test_a_link_that_is_not_ours_is_left_alone(
    device: Any, bundles: Bundles, given: Environment, reporter: Any
) -> None:
    device.deploy.mkdir(parents=True)
    (device.deploy / "current").mkdir()
    with pytest.raises(DeviceError, match="not a link of edgeface's into bundles; move it away"):
        install(device, bundles[0], given, reporter=reporter)
    assert (device.deploy / "current").is_dir()


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_cut_off_at_every_call_a_deployment_leaves_a_working_current(
    device: Any,
    bundles: Bundles,
    made: Environment,
    reporter: Any,
    tmp_path: Path,
    after: bool,
) -> None:
    former, new = bundles[0], bundles[1]
    install(device, former, made, reporter=reporter)
    # as after an update of edgeface: the environment is made anew too
    newer = replace(made, requirements=replace(made.requirements, packages=("ai-edge-litert==2",)))
    whole = device.copy(tmp_path / "whole")
    install(whole, new, newer, reporter=reporter)
    assert {"put .zip", "unpack", "venv", "pip", "check", "commit"} <= set(whole.calls)
    assert {"put interpreter", "put complete"} <= set(whole.calls)
    switched = whole.calls.index("commit") + (not after)
    for at in range(len(whole.calls)):
        cut = device.copy(tmp_path / f"cut{at}")
        cut.break_at, cut.after = at, after
        with pytest.raises(ConnectionLostError):
            install(cut, new, newer, reporter=reporter)
        assert cut.serves() == (new.id if at >= switched else former.id), whole.calls[at]
        cut.break_at = None
        done = install(cut, new, newer, reporter=reporter)
        assert cut.serves() == done.bundle == new.id
        assert done.previous == former.id
        assert cut.bundles() == sorted([former.id, new.id])
        assert cut.leftovers() == []
        assert rollback(cut, made.command, reporter=reporter).bundle == former.id


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
def test_cut_off_at_every_call_a_rollback_leaves_a_working_current(
    device: Any,
    bundles: Bundles,
    given: Environment,
    reporter: Any,
    tmp_path: Path,
    after: bool,
) -> None:
    for bundle in bundles[:2]:
        install(device, bundle, given, reporter=reporter)
    whole = device.copy(tmp_path / "whole")
    rollback(whole, given.command, reporter=reporter)
    switched = whole.calls.index("commit") + (not after)
    for at in range(len(whole.calls)):
        cut = device.copy(tmp_path / f"cut{at}")
        cut.break_at, cut.after = at, after
        with pytest.raises(ConnectionLostError):
            rollback(cut, given.command, reporter=reporter)
        assert cut.serves() == bundles[0 if at >= switched else 1].id
        cut.break_at = None
        done = install(cut, bundles[2], given, reporter=reporter)
        assert cut.serves() == done.bundle == bundles[2].id
        assert done.previous == bundles[0 if at >= switched else 1].id


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
