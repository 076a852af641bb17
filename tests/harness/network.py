"""A network of a test's own: namespaces, addresses, a DNS server.

enter() runs the calling script again in fresh network, mount and process namespaces, as root or in
an unprivileged user namespace. What a test starts in there ends with it, whatever happens.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

from suite import ROOT, SuiteError, wait_for

INSIDE = "TAMBO_TEST_NAMESPACE"
# Whom the other servers relay for. Not the servers themselves: a connection to an address of lo
# comes from that same address.
CLIENT = "192.0.2.90"
NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Mapped: users below 65536, of which the daemons and Postfix need some (package uidmap).
UNPRIVILEGED = ["--user", "--map-root-user", "--map-auto"]


def enter():
    """Returns inside of the namespaces, or where there can be none: there() then says so."""
    if there():
        if os.getpid() == 1:
            leave_init_behind()
        return
    for user in ([], UNPRIVILEGED):
        command = ["unshare", *user, *NAMESPACES]
        if not can_run([*command, "ip", "link", "set", "lo", "up"]):
            continue
        os.environ[INSIDE] = "unprivileged" if user else "root"
        sys.stdout.flush()
        os.execvp("unshare", [*command, sys.executable, *sys.argv])


def leave_init_behind():
    """Returns in a child; the first process of the namespace only waits for those whom nobody else
    waits for. The dead count as processes of their users, whose number is limited."""
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


def can_run(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def there():
    return INSIDE in os.environ


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise SuiteError("%s: %s%s" % (" ".join(command), result.stdout, result.stderr))
    return result.stdout


def set_up(addresses, resolver, directory):
    """Gives lo the addresses and CLIENT, and this namespace a resolv.conf and what users it needs."""
    run("ip", "link", "set", "lo", "up")
    for address in [*addresses, CLIENT]:
        if ":" in address:
            run("ip", "addr", "add", address + "/128", "dev", "lo", "nodad")
        else:
            run("ip", "addr", "add", address + "/32", "dev", "lo")
    path = os.path.join(directory, "resolv.conf")
    with open(path, "w") as f:
        f.write("nameserver %s\n" % resolver)
    os.chmod(path, 0o644)
    run("mount", "--bind", path, os.path.realpath("/etc/resolv.conf"))
    if os.environ[INSIDE] == "unprivileged":
        add_users(directory)


def add_users(directory):
    """Nobody may change /etc here, but what stands there can be hidden."""
    with open(os.path.join(ROOT, "etc", "tambo.sysusers")) as f:
        rows = [line.split() for line in f if line[:1] in "ug"]
    texts = {}
    for name in ("passwd", "group"):
        with open("/etc/" + name) as f:
            texts[name] = f.read()
    for number, (kind, name) in enumerate((row[:2] for row in rows), 60_000):
        if "\n%s:" % name in texts["group"]:
            continue
        texts["group"] += "%s:x:%d:\n" % (name, number)
        if kind == "u":
            texts["passwd"] += "%s:x:%d:%d::/:/usr/sbin/nologin\n" % (name, number, number)
    for name, text in texts.items():
        path = os.path.join(directory, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
        run("mount", "--bind", path, "/etc/" + name)


class Process:
    """A server of a peer: started, awaited on a port, ended."""

    def __init__(self, name, command, log, address, port, **arguments):
        self.name, self.log = name, log
        with open(log, "ab") as f:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                            start_new_session=True, **arguments)

        def answers():
            if self.process.poll() is not None:
                raise SuiteError("%s ended with %d:\n%s" % (name, self.process.returncode,
                                                            self.tail()))
            try:
                socket.create_connection((address, port), 5).close()
            except OSError:
                return False
            return True
        try:
            wait_for(answers, 30, name + " to answer")
        except SuiteError:
            self.stop()
            raise

    def tail(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-4000:]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


NSD_CONF = """server:
    ip-address: {address}
    port: 53
    username: ""
    chroot: ""
    server-count: 1
    zonesdir: "{directory}"
    database: ""
    pidfile: "{directory}/nsd.pid"
    xfrdfile: "{directory}/xfrd.state"
    xfrdir: "{directory}"
    zonelistfile: "{directory}/zone.list"
    hide-version: yes
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "root.zone"
"""
ZONE_HEAD = """$ORIGIN .
$TTL 5
. SOA ns. hostmaster. 1 3600 600 86400 5
. NS ns.
ns. A {address}
"""


class NameServer(Process):
    """nsd with one zone, the root: it knows every name that there is."""

    def __init__(self, address, records):
        self.directory = tempfile.mkdtemp(prefix="tambo-nsd-")
        path = lambda name: os.path.join(self.directory, name)
        with open(path("nsd.conf"), "w") as f:
            f.write(NSD_CONF.format(address=address, directory=self.directory))
        with open(path("root.zone"), "w") as f:
            f.write(ZONE_HEAD.format(address=address) + records)
        program = shutil.which("nsd", path="/usr/sbin:/usr/bin")
        super().__init__("nsd", [program, "-d", "-c", path("nsd.conf")], path("log"), address, 53)

    def stop(self):
        super().stop()
        shutil.rmtree(self.directory, ignore_errors=True)
