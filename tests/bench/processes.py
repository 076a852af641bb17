"""What a server costs, seen from outside: CPU seconds, memory and sync calls of its processes."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
SYNC_CALLS = "fsync,fdatasync,syncfs,sync_file_range,sync"
FORK_CALLS = "clone,clone3,fork,vfork"  # a thread or process made later is called as its maker


def _stat(pid):
    """(name, parent, own ticks, ticks of reaped children) or None."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            text = f.read()
    except OSError:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    rest = text[text.rindex(")") + 2:].split()
    return name, int(rest[1]), int(rest[11]) + int(rest[12]), int(rest[13]) + int(rest[14])


def _argv(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def tree(server):
    """{pid: (label, stat)} of all processes of the server."""
    stats = {int(p): _stat(int(p)) for p in os.listdir("/proc") if p.isdigit()}
    children = {}
    for pid, stat in stats.items():
        if stat:
            children.setdefault(stat[1], []).append(pid)
    found, todo = {}, [(pid, None) for pid in server.roots()]
    while todo:
        pid, parent = todo.pop()
        if pid in found or not stats.get(pid):
            continue
        label = server.label(stats[pid][0], _argv(pid), parent)
        found[pid] = (label, stats[pid])
        todo += [(child, label) for child in children.get(pid, [])]
    return found


def ticks(server):
    """{pid: (label, parent, own ticks, ticks of reaped children)}."""
    return {pid: (label, *stat[1:]) for pid, (label, stat) in tree(server).items()}


def cpu(server):
    """{label: seconds} since each process began, with the reaped children of each."""
    seconds = {}
    for label, _, own, children in ticks(server).values():
        seconds[label] = seconds.get(label, 0.0) + (own + children) / TICK
    return seconds


def spent(before, after):
    """{label: seconds} between two looks at ticks(). Of a process that has ended meanwhile what it
    used since the first look is its parent's, if the parent waited for it, and else is lost."""
    ended = {}
    for pid, (_, parent, own, children) in before.items():
        if pid not in after:
            ended[parent] = ended.get(parent, 0) + own + children
    seconds = {}
    for pid, (label, _, own, children) in after.items():
        _, _, own_before, children_before = before.get(pid, (label, 0, 0, 0))
        inherited = max(0, children - children_before - ended.get(pid, 0))
        seconds[label] = seconds.get(label, 0.0) + (own - own_before + inherited) / TICK
    return seconds


def pss(server):
    """{label: (KiB, processes)}: proportional set size."""
    found = {}
    for pid, (label, _) in tree(server).items():
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                kib = int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            continue
        old = found.get(label, (0, 0))
        found[label] = (old[0] + kib, old[1] + 1)
    return found


class Meter:
    """Accumulates wall time and the CPU of the server and of this process over several sections.

    Ticks are 10 ms: a figure per operation is good when all sections together take a second."""

    def __init__(self, server):
        self.server = server
        self.wall, self.client, self.by = 0.0, 0.0, {}

    def __enter__(self):
        self._ticks, self._client = ticks(self.server), time.process_time()
        self._wall = time.monotonic()
        return self

    def __exit__(self, *_):
        self.wall += time.monotonic() - self._wall
        self.client += time.process_time() - self._client
        for label, seconds in spent(self._ticks, ticks(self.server)).items():
            self.by[label] = self.by.get(label, 0.0) + seconds

    def total(self):
        return sum(self.by.values())

    def per(self, count):
        """{label: CPU seconds per 1,000 of count}, the largest first, without the idle."""
        rows = sorted(self.by.items(), key=lambda row: -row[1])
        return {label: round(s / count * 1000, 3) for label, s in rows if s > 0}


class SyncCounter:
    """Counts sync calls of all processes of the server, by strace; those forked later as well.

    Every system call of the server stops twice for it: figures of time taken meanwhile are void,
    and batches may be of another size than without."""

    def __init__(self, server):
        self.server = server
        self.calls = {}  # {(label, call): count}
        self.possible = shutil.which("strace") is not None

    def __enter__(self):
        self.labels = {}
        for pid, (label, _) in tree(self.server).items():
            self.labels[pid] = label
            for thread in os.listdir("/proc/%d/task" % pid):
                self.labels[int(thread)] = label
        self.log = tempfile.NamedTemporaryFile(prefix="tambo-bench.", suffix=".strace")
        command = ["strace", "-f", "-q", "-e", "trace=%s,%s" % (SYNC_CALLS, FORK_CALLS),
                   "-e", "signal=none", "-o", self.log.name]
        for pid in tree(self.server):
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not all(self._traced(pid) for pid in self.labels):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("strace cannot attach to the server")
            time.sleep(0.02)
        return self

    @staticmethod
    def _traced(pid):
        try:
            with open("/proc/%d/status" % pid) as f:
                return "TracerPid:\t0\n" not in f.read()
        except OSError:
            return True

    def __exit__(self, *_):
        for pid, (label, _) in tree(self.server).items():
            self.labels.setdefault(pid, label)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        with open(self.log.name) as f:
            for line in f:
                self._count(line)
        self.log.close()

    def _count(self, line):
        made = re.match(r"(\d+) +(?:<\.\.\. )?\w*(?:clone|fork)\w*\b.*\) += (\d+)", line)
        found = re.match(r"(\d+) +(%s)\(" % SYNC_CALLS.replace(",", "|"), line)
        if made:
            self.labels.setdefault(int(made.group(2)), self.labels.get(int(made.group(1)), "?"))
        elif found:
            key = (self.labels.get(int(found.group(1)), "?"), found.group(2))
            self.calls[key] = self.calls.get(key, 0) + 1

    def total(self):
        return sum(self.calls.values())
