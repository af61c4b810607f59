"""The script that makes emulated systems: what it refuses, and what it registers.

That a whole system comes out of it takes minutes, root and the network: it is tried by hand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "benchmarks" / "emulated" / "setup.sh"
NOBODY = 65534
NAMES = {"arm64": "aarch64", "armhf": "arm"}


def _setup(*arguments: str) -> tuple[int, str]:
    """Run it as a user who may nothing."""
    done = subprocess.run(
        ["sh", "-s", *arguments],
        input=SETUP.read_bytes(),
        capture_output=True,
        cwd="/",
        user=NOBODY if os.getuid() == 0 else None,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "found 0 arguments, expected: setup.sh arm64|armhf ROOT"),
        (("arm64",), "found 1 arguments, expected: setup.sh arm64|armhf ROOT"),
        (("mips", "/root-of-mips"), "ARCH is 'mips', expected arm64 or armhf"),
        (("arm64", "/root-of-arm64"), "must be root, because of chroot and mount"),
        (("armhf", "/root-of-armhf"), "must be root, because of chroot and mount"),
    ],
)
def test_what_it_cannot_do_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    status, stderr = _setup(*arguments)
    assert status == 1
    assert said in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("arch", sorted(NAMES))
def test_programs_are_told_apart_as_debian_does(arch: str) -> None:
    name = f"qemu-{NAMES[arch]}"
    debian = Path(f"/usr/lib/binfmt.d/{name}.conf")
    if not debian.is_file():
        pytest.skip(f"no {debian} to compare with: Debian's qemu-user-static has it")
    magic, mask = debian.read_text().split(":")[4:6]
    script = SETUP.read_text()
    branch = script[script.index(f"{arch})\n") :]
    ours = re.search(r"MAGIC='([^']*)'", branch)
    our_mask = re.search(r"MASK='([^']*)'", script)
    assert ours is not None
    assert our_mask is not None
    assert _bytes(ours[1]) == _bytes(magic)
    assert _bytes(our_mask[1]) == _bytes(mask)


def _bytes(text: str) -> bytes:
    return re.sub(r"\\x(..)", lambda byte: chr(int(byte[1], 16)), text).encode("latin-1")


def test_it_is_plain_sh() -> None:
    shell = shutil.which("dash") or "sh"
    done = subprocess.run([shell, "-n", str(SETUP)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.access(SETUP, os.X_OK)
