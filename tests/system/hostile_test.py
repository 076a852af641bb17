"""Peers that mean harm, against a running suite: random bytes on every socket that somebody else can
reach, more connections than there are descriptors, and a login whose right ends while it is used.

With --full ten thousand attacks on each socket, else two hundred."""
import glob
import imaplib
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from suite import Suite, wait_for  # noqa: E402

ROUNDS = 10_000 if os.environ.get("TAMBO_FULL") else 200
SEED = int(os.environ.get("TAMBO_SEED", random.randrange(2 ** 32)))
# The beginning of a frame (common/ipc/frame.h): type, flags, length, id.
FRAME_BYTES = 16


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors_of(pid):
    """Its soft limit."""
    with open("/proc/%d/limits" % pid) as f:
        return int(next(line for line in f if line.startswith("Max open files")).split()[3])


def limit_descriptors(pid, count):
    """As the process's own user: root would need a capability that a container may not have."""
    with open("/proc/%d/status" % pid) as f:
        ids = {line.split()[0]: int(line.split()[1]) for line in f if line[:4] in ("Uid:", "Gid:")}
    as_owner = {"user": ids["Uid:"], "group": ids["Gid:"]} if os.geteuid() == 0 else {}
    subprocess.run(["prlimit", "--pid", str(pid), "--nofile=%d:" % count], check=True, **as_owner)


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(directory, 0o755)
        # One generation for all of it: each process that ends has died.
        cls.suite = Suite(directory, settings={"imap.generation_connections": 1_000_000,
                                               "pop3.generation_connections": 1_000_000}).start()
        cls.random = random.Random(SEED)

    @classmethod
    def tearDownClass(cls):
        cls.suite.destroy()

    def pids(self):
        return {row["process"]: row["pid"] for row in self.suite.status() if row["pid"]}

    def bytes(self, most):
        """Random ones; every second time behind a header that could be one."""
        count = self.random.choice((1, 15, 16, 17, 200, most, self.random.randrange(1, most)))
        noise = self.random.randbytes(count)
        if self.random.random() < 0.5:
            return noise
        frame = bytearray(self.random.randbytes(FRAME_BYTES))
        frame[0:2] = self.random.randrange(1, 0x1000).to_bytes(2, "little")
        frame[2:4] = self.random.randrange(4).to_bytes(2, "little")
        frame[4:8] = count.to_bytes(4, "little")
        return bytes(frame) + noise

    def attack(self, family, kind, address, most):
        with socket.socket(family, kind) as s:
            s.settimeout(5)
            try:
                s.connect(address)
                for _ in range(self.random.randrange(1, 6)):
                    s.send(self.bytes(most))
            except OSError:
                return  # it has had enough

    def survives(self, name, attack):
        with self.subTest(socket=name, seed=SEED):
            before = self.pids()
            for _ in range(ROUNDS):
                attack()
            self.assertEqual(self.pids(), before)

    def test_control_sockets(self):
        sockets = sorted(glob.glob(os.path.join(self.suite.state, "control", "*.sock")))
        self.assertGreaterEqual(len(sockets), 4)
        for path in sockets:
            self.survives(os.path.basename(path), lambda: self.attack(
                socket.AF_UNIX, socket.SOCK_SEQPACKET, path, 60_000))

    def test_the_local_door(self):
        path = os.path.join(self.suite.state, "submit.sock")
        self.survives("submit.sock", lambda: self.attack(
            socket.AF_UNIX, socket.SOCK_STREAM, path, 200_000))

    def test_ports(self):
        for service, port in sorted(self.suite.ports.items()):
            self.survives(service, lambda: self.attack(
                socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port), 200_000))

    def test_more_connections_than_descriptors(self):
        pid = self.suite.pid_of("mx.0")
        before = descriptors_of(pid)
        limit_descriptors(pid, 64)
        address = ("127.0.0.1", self.suite.ports["smtp"])
        crowd = []
        try:
            for _ in range(500):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(address)
                crowd.append(s)
            wait_for(lambda: any("net.out_of_descriptors" in e for e in self.suite.events()),
                     what="an end of the descriptors")
            used, since = cpu_seconds(pid), time.monotonic()
            time.sleep(2)
            share = (cpu_seconds(pid) - used) / (time.monotonic() - since)
            self.assertLess(share, 0.5, "it spins")
        finally:
            for s in crowd:
                s.close()
            limit_descriptors(pid, before)
        with wait_for(lambda: socket.create_connection(address, 5), what="a connection") as s:
            s.settimeout(60)
            self.assertEqual(s.recv(4), b"220 ")
        self.assertEqual(self.suite.pid_of("mx.0"), pid)

    def test_a_right_that_ends_while_it_is_used(self):
        tls = ssl.create_default_context(cafile=self.suite.ca)
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=tls)
        imap.login("bob@example.test", "bob-secret")
        self.assertEqual(imap.select("INBOX")[0], "OK")
        self.suite.tambo("user", "disable", "bob@example.test")
        try:
            imap.sock.settimeout(20)
            self.assertRegex(imap.readline(), rb"^\* BYE ")
            self.assertEqual(imap.readline(), b"")
        except imaplib.IMAP4.abort as end:
            self.assertIn("EOF", str(end))
        finally:
            imap.shutdown()
            self.suite.tambo("user", "enable", "bob@example.test")
        # A new one is as good as ever.
        again = wait_for(lambda: self.logged_in(tls), what="a login")
        self.assertEqual(again.select("INBOX")[0], "OK")
        again.logout()

    def logged_in(self, tls):
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=tls)
        try:
            imap.login("bob@example.test", "bob-secret")
            return imap
        except imaplib.IMAP4.error:
            imap.shutdown()
            return None


if __name__ == "__main__":
    unittest.main()
