"""Runs a program under the restrictions of a systemd unit, without systemd: confine.py UNIT DIR
PROGRAM [ARGUMENT...]. DIR stands for its StateDirectory. Needs root, and systemd-analyze for the names
of groups of calls.

What is applied: ProtectSystem=strict, ProtectProc, ProcSubset, PrivateDevices, CapabilityBoundingSet,
NoNewPrivileges, SystemCallFilter, SystemCallErrorNumber=EPERM, RestrictAddressFamilies,
MemoryDenyWriteExecute, RestrictNamespaces, UMask, LimitCORE. Other directives concern only what these
leave open.
"""
import collections
import ctypes
import errno
import os
import resource
import subprocess
import sys

CLONE_NEWNS = 0x00020000
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NAMES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
         "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
         "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
         "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT"]
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
MASKED, EQUAL = 7, 4
EXECUTE, WRITE = 4, 2

libc = ctypes.CDLL(None, use_errno=True)


def done(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno() or -result, what)
    return result


def directives(path):
    """Of the section [Service]: name -> list of its values, in order."""
    found, section = collections.defaultdict(list), ""
    with open(path) as f:
        for line in map(str.strip, f):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                name, value = line.split("=", 1)
                found[name].append(value)
    return found


def group(name):
    """The calls of @group."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, text=True,
                          capture_output=True).stdout
    calls = set()
    for word in (line.split("#")[0].strip() for line in text.splitlines()[1:]):
        calls |= group(word) if word.startswith("@") else {word} if word else set()
    return calls


def allowed_calls(values):
    """systemd.exec(5): the first list decides that it is one of what is allowed; "~" takes away.
    What every program needs is always there."""
    calls = group("@default")
    for value in values:
        listed = set()
        for word in value.lstrip("~").split():
            listed |= group(word) if word.startswith("@") else {word}
        calls = calls - listed if value.startswith("~") else calls | listed
    return calls


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64)]


class Filter:
    library = None

    def __init__(self, default):
        if Filter.library is None:
            Filter.library = ctypes.CDLL("libseccomp.so.2")
            Filter.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action, call, *arguments):
        number = self.library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # not on this architecture
        array = (Argument * max(1, len(arguments)))(*arguments)
        done(self.library.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number,
                                                 len(arguments), array), call)

    def load(self):
        done(self.library.seccomp_load(self.context), "seccomp_load")


def filters(unit):
    calls = Filter(REFUSE)
    for call in allowed_calls(unit["SystemCallFilter"]):
        calls.rule(ALLOW, call)
    rest = Filter(ALLOW)
    families = {FAMILIES[word] for word in unit["RestrictAddressFamilies"][0].split()}
    for family in set(range(64)) - families:
        rest.rule(REFUSE, "socket", Argument(0, EQUAL, family, 0))
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        rest.rule(REFUSE, "mmap", Argument(2, MASKED, EXECUTE | WRITE, EXECUTE | WRITE))
        rest.rule(REFUSE, "mprotect", Argument(2, MASKED, EXECUTE, EXECUTE))
        rest.rule(REFUSE, "pkey_mprotect", Argument(2, MASKED, EXECUTE, EXECUTE))
    if unit["RestrictNamespaces"] == ["yes"]:
        for bit in NAMESPACES:
            rest.rule(REFUSE, "clone", Argument(0, MASKED, bit, bit))
        rest.rule(REFUSE, "unshare")
        rest.rule(REFUSE, "setns")
    return rest, calls


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def make_read_only(state):
    """Everything but the state directory and what the kernel makes."""
    mount("--bind", state, state)
    with open("/proc/self/mounts") as f:
        rows = [line.split() for line in f]
    for _, place, kind, options in (row[:4] for row in rows):
        if place != state and kind not in ("proc", "sysfs", "devtmpfs", "devpts", "cgroup",
                                           "cgroup2", "mqueue") and "ro" not in options.split(","):
            mount("-o", "remount,bind,ro", place)


def private_devices():
    """/dev with what every program may have."""
    names = ("null", "zero", "full", "random", "urandom", "tty")
    opened = {name: os.open("/dev/" + name, os.O_PATH) for name in names if
              os.path.exists("/dev/" + name)}
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/dev")
    for name, fd in opened.items():
        open("/dev/" + name, "w").close()
        subprocess.run(["mount", "--bind", "/proc/self/fd/%d" % fd, "/dev/" + name], check=True,
                       pass_fds=[fd])
        os.close(fd)


def confine(unit, state):
    seccomp = filters(unit)  # before anything is forbidden
    done(libc.unshare(CLONE_NEWNS), "unshare")
    mount("--make-rprivate", "/")
    if unit["ProtectSystem"] == ["strict"]:
        make_read_only(state)
    if unit["PrivateDevices"] == ["yes"]:
        private_devices()
    if unit["ProcSubset"] == ["pid"] and unit["ProtectProc"] == ["invisible"]:
        mount("-t", "proc", "-o", "hidepid=invisible,subset=pid", "proc", "/proc")
    keep = {NAMES.index(name) for value in unit["CapabilityBoundingSet"] for name in value.split()}
    number = 0
    while libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in keep:
            done(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "PR_CAPBSET_DROP")
        number += 1
    os.umask(int(unit["UMask"][0], 8))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    done(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    for one in seccomp:
        one.load()


def main():
    unit_path, state, program = sys.argv[1:4]
    confine(directives(unit_path), os.path.realpath(state))
    os.execv(program, sys.argv[3:])


if __name__ == "__main__":
    main()
