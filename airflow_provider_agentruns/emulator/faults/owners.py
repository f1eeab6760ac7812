# SPDX-License-Identifier: Apache-2.0
"""Which process is at the other end of a connection on this machine."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_PROC = Path("/proc")


def owners_of(here: tuple[str, int], there: tuple[str, int]) -> set[int]:
    """
    Find the processes that have the end ``here`` of a connection open; none where there is no ``/proc``.

    :param here: Address and port.
    """
    inode = _inode_of(here, there)
    owners: set[int] = set()
    if inode is None:
        return owners
    for process in _PROC.glob("[0-9]*"):
        try:
            if any(str(file.readlink()) == f"socket:[{inode}]" for file in (process / "fd").iterdir()):
                owners.add(int(process.name))
        except OSError:  # It has ended, or is somebody else's.
            continue
    return owners


def _inode_of(here: tuple[str, int], there: tuple[str, int]) -> str | None:
    for table, prefix in (("tcp", ""), ("tcp6", "0000000000000000FFFF0000")):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()
        except OSError:
            continue
        ends = [prefix + _hex(*here), prefix + _hex(*there)]
        for fields in map(str.split, lines):
            if fields[1:3] == ends:
                return fields[9]
    return None


def _hex(address: str, port: int) -> str:
    # The kernel prints the four bytes as one number of this machine.
    (number,) = struct.unpack("=I", socket.inet_aton(address))
    return f"{number:08X}:{port:04X}"
