# SPDX-License-Identifier: Apache-2.0
"""The file that the processes of a machine share: only where it is safe, and whatever becomes of it."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_agentruns.client import machine, pacing
from airflow_provider_agentruns.client.machine import SharedFile
from airflow_provider_agentruns.client.pacing import Pacer, pacer_for
from airflow_provider_agentruns.client.schedule import SIZE

#: So low that the time that a test takes makes no difference.
RATE = 0.01


@pytest.fixture(autouse=True)
def own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have a directory of temporary files where nobody else is, and return where the shared ones will be."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(pacing, "_pacers", {})
    monkeypatch.setattr(machine, "_warned_in", 0)
    return tmp_path / f"agentruns-{os.geteuid()}"


def gaps(waits: list[float]) -> list[float]:
    """Return the times in between."""
    return [later - earlier for earlier, later in itertools.pairwise(sorted(waits))]


def stranger() -> Pacer:
    """Return the pacer that another process of this machine would have."""
    return Pacer(RATE, SharedFile("account", SIZE))


def test_the_file_tells_nobody_anything(own_machine: Path) -> None:
    pacer_for("https://api.example.com#0123456789abcdef", RATE).reserve()
    (file,) = own_machine.iterdir()
    assert own_machine.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.name) == 64
    assert file.stat().st_size == SIZE


def test_a_file_of_another_boot_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    pacer_for("account", RATE).hold(1e6)
    assert stranger().reserve() > 1e5
    monkeypatch.setattr(machine, "_clock", lambda: "another boot")
    assert stranger().reserve() == 0.0


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: bytes(SIZE),
        lambda _: b"\xff" * 100_000,
        lambda good: good[:-8],
        lambda good: good[:9] + bytes([good[9] ^ 1]) + good[10:],
    ],
    ids=["empty", "zeros", "garbage", "truncated", "a wrong bit"],
)
def test_a_file_that_makes_no_sense_is_replaced(
    own_machine: Path, spoil: Callable[[bytes], bytes], known: bool
) -> None:
    pacer = pacer_for("account", RATE)
    pacer.hold(1000.0)
    (file,) = own_machine.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    # Who has known better, goes on from that.
    wait = (pacer if known else stranger()).reserve()
    assert wait == pytest.approx(1000.0, abs=5.0) if known else wait == 0.0
    assert wait + 100 < stranger().reserve() < wait + 106


@pytest.mark.parametrize("what", ["symlink", "file", "group may write", "all may write", "another owner"])
def test_a_directory_that_others_may_have_made_is_not_used(
    own_machine: Path, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if what == "symlink":
        own_machine.symlink_to(elsewhere)
    elif what == "file":
        own_machine.touch()
    elif what == "another owner":
        own_machine.mkdir(mode=0o700)
        uid = os.geteuid()
        own_machine.rename(tmp_path / f"agentruns-{uid + 1}")
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    else:
        own_machine.mkdir()
        own_machine.chmod(0o770 if what == "group may write" else 0o702)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    with caplog.at_level(logging.WARNING):
        for pacer in (pacer_for("account", RATE), pacer_for("another account", RATE), stranger()):
            # Paced all the same, each on its own.
            assert pacer.reserve() == 0.0
            assert pacer.reserve() > 100
            pacer.hold(1000.0)
            assert pacer.reserve() > 990
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_that_is_a_link_is_not_used(own_machine: Path, tmp_path: Path) -> None:
    stranger().reserve()
    (file,) = own_machine.iterdir()
    file.unlink()
    target = tmp_path / "target"
    target.write_text("not ours")
    file.symlink_to(target)
    assert pacer_for("account", RATE).reserve() == 0.0
    assert target.read_text() == "not ours"


def test_a_directory_that_is_repaired_is_used_again(own_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_machine.touch()
    pacer = pacer_for("account", RATE)
    waits = [pacer.reserve() for _ in range(3)]
    own_machine.unlink()
    # Not at once, as to look for it each time would cost too much.
    waits.append(pacer.reserve())
    assert not own_machine.exists()
    assert stranger().reserve() == 0.0
    monkeypatch.setattr(pacer._file, "_try_at", 0.0)
    waits += [pacer.reserve(), stranger().reserve()]
    assert min(gaps(waits)) > 100


def test_processes_come_together_again_after_the_file_was_removed(own_machine: Path) -> None:
    one, other = pacer_for("account", RATE), stranger()
    waits = [one.reserve() for _ in range(5)]
    (file,) = own_machine.iterdir()
    file.unlink()
    own_machine.rmdir()
    # Who comes new cannot know, but does not make the others forget.
    assert other.reserve() == 0.0
    waits += [one.reserve(), other.reserve(), one.reserve(), stranger().reserve()]
    assert min(gaps(waits)) > 100


def test_many_accounts_do_not_keep_many_files_open() -> None:
    pacers = [pacer_for(f"account {number}", RATE) for number in range(100)]
    assert [pacer.reserve() for pacer in pacers] == [0.0] * 100
    pacers.append(pacer_for("account", RATE))
    for number in range(100):
        pacers.append(pacer_for(f"another account {number}", RATE))
        pacers[-1].reserve()
    assert sum(pacer._file is not None and pacer._file._fd is not None for pacer in pacers) <= 16
    assert pacers[0].reserve() > 100


def test_nothing_is_written_to_what_has_taken_the_descriptor_over(tmp_path: Path) -> None:
    pacer = pacer_for("account", RATE)
    pacer.reserve()
    assert pacer._file
    fd = pacer._file._fd
    assert fd is not None
    with (tmp_path / "log").open("w") as log:
        os.dup2(log.fileno(), fd)
        assert pacer.reserve() > 100
        assert stranger().reserve() > 200
        # Nor is it closed.
        os.write(fd, b"mine")
    os.close(fd)
    assert (tmp_path / "log").read_text() == "mine"


async def test_an_event_loop_does_not_wait_for_who_keeps_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PATIENCE", 60.0)
    pacer = pacer_for("account", RATE)
    waits = [pacer.reserve()]
    keeper = SharedFile("account", SIZE)
    assert keeper.take()
    begin = time.monotonic()
    waits += [pacer.reserve() for _ in range(3)]
    # Who comes new can still read what was reserved before.
    assert stranger().reserve() > 100
    assert time.monotonic() - begin < 20
    keeper.release()
    waits += [pacer.reserve(), stranger().reserve()]
    assert min(gaps(waits)) > 100


async def test_an_event_loop_does_not_wait_for_its_turn_either(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = SharedFile("account", SIZE)
    assert keeper.take() == b""
    # Others write all the time. It looks twice, and once more for what to go by.
    written = iter([b"1", b"2", b"3"])
    monkeypatch.setattr(os, "pread", lambda *_: next(written))
    assert pacer_for("account", RATE).reserve() == 0.0


def test_who_is_in_no_event_loop_waits_as_long_as_others_get_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, pread, looks = SharedFile("account", SIZE), os.pread, itertools.count()
    assert keeper.take() == b""

    def read(*where: int) -> bytes:
        look = next(looks)
        if look == 3:
            keeper.release()
        return pread(*where) if look > 3 else bytes([look])

    monkeypatch.setattr(machine, "_PATIENCE", 0.01)
    monkeypatch.setattr(os, "pread", read)
    assert pacer_for("account", RATE).reserve() == 0.0
    assert stranger().reserve() > 100


def test_a_signal_that_interrupts_reserving_may_reserve_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pacer, pread, waits = pacer_for("account", RATE), os.pread, []

    def interrupted(fd: int, size: int, offset: int) -> bytes:
        monkeypatch.setattr(os, "pread", pread)
        waits.append(pacer.reserve())
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", interrupted)
    waits += [pacer.reserve(), pacer.reserve(), stranger().reserve()]
    assert min(gaps(waits)) > 100
