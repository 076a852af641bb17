"""Disks that fail on order: the library of tests/crash/faults.cc, and what it is told.

The library is preloaded into every program of the test's namespace (image.enter()); master and the
daemons are the ones that users get. It does nothing in a program that was not started with the
environment of Faults.
"""
import mmap
import os
import struct
import subprocess
import tempfile

import network
from suite import ROOT

KINDS = {"write": 1, "sync": 2, "link": 4, "open": 8, "create": 16, "rename": 32}
PROGRAMS = ["master", "authd", "smtpd", "queued", "deliverd", "mailboxd", "logd", "relayd"]
# As struct Orders in tests/crash/faults.cc.
HEAD = struct.Struct("=IIII")
ORDER = struct.Struct("=16sIiIIQQQQ")
COUNTS = struct.Struct("=%dQ" % (len(PROGRAMS) * len(KINDS)))
MAGIC = 0x0BADD15C
SWALLOW, DELAY, ARMED = 4, 8, 12  # offsets
FIRED = HEAD.size + ORDER.size - 8
NAMES = HEAD.size + ORDER.size
CALLS = NAMES + 16 * len(PROGRAMS)


def library(preset="release"):
    return os.path.join(ROOT, "build", preset, "tests", "libcrash_faults.so")


def preload():
    """From now on, in this namespace: /etc is a copy with an ld.so.preload."""
    if not os.path.exists(library()):
        raise RuntimeError("not built: " + library())
    if os.path.exists("/etc/ld.so.preload"):
        return
    copy = tempfile.mkdtemp(prefix="tambo-etc-")
    network.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", copy)
    # Somebody outside may be adding a user: what comes and goes meanwhile is of no importance.
    subprocess.run(["cp", "-a", "/etc/.", copy], capture_output=True, check=False)
    with open(os.path.join(copy, "ld.so.preload"), "w") as f:
        f.write(library() + "\n")
    network.run("mount", "--bind", copy, "/etc")
    subprocess.run(["umount", "-l", copy], check=False)
    os.rmdir(copy)


class Faults:
    def __init__(self, directory):
        """directory: outside of the filesystem under test."""
        self.path = os.path.join(directory, "faults")
        names = b"".join(name.encode().ljust(16, b"\0") for name in PROGRAMS)
        with open(self.path, "wb") as f:
            f.write(HEAD.pack(MAGIC, 0, 0, 0) + bytes(ORDER.size) + names + bytes(COUNTS.size))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), CALLS + COUNTS.size)
        self.environment = {"TAMBO_FAULTS": self.path}

    def _set(self, offset, value):
        struct.pack_into("=I", self.map, offset, value)

    def swallow_syncs(self, on):
        """Every sync says that it succeeded and does nothing."""
        self._set(SWALLOW, int(on))

    def delay_syncfs(self, milliseconds):
        self._set(DELAY, milliseconds)

    def arm(self, program, kind, error, nth, device, sticky=False):
        """The nth call of that kind in the processes of a program fails, on files of the device;
        error 0: a write is cut short instead. sticky: so do all after it."""
        self._set(ARMED, 0)
        ORDER.pack_into(self.map, HEAD.size, program.encode(), KINDS[kind], error, int(sticky), 0,
                        nth, device, 0, 0)
        COUNTS.pack_into(self.map, CALLS, *(0 for _ in range(len(PROGRAMS) * len(KINDS))))
        self._set(ARMED, 1)

    def count(self, device):
        """Nothing fails; calls() says how many there were."""
        self.arm("nobody", "write", 0, 1, device)

    def fired(self):
        return struct.unpack_from("=Q", self.map, FIRED)[0]

    def disarm(self):
        self._set(ARMED, 0)
        return self.fired()

    def calls(self):
        """Since arm() or count(): (program, kind) -> number of calls."""
        numbers = COUNTS.unpack_from(self.map, CALLS)
        return {(program, kind): numbers[i * len(KINDS) + j]
                for i, program in enumerate(PROGRAMS) for j, kind in enumerate(KINDS)}
