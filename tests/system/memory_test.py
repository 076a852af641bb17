"""What connections without a login cost, of what each may send or leave unread: at most 64 KiB of
memory in all processes together (RULES.md P6). What waits in the kernel is not counted."""
import os
import select
import socket
import ssl
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from suite import Suite  # noqa: E402

CONNECTIONS = 200
KIB_MAX = 64
# Whoever connects first pays for code and tables that all share.
WARM_UP = 20
COMMANDS = 90  # somewhat fewer than may come before a login


def children(pid):
    """All processes below one, itself included."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        try:
            with open("/proc/%d/task/%d/children" % (found[-1], found[-1])) as f:
                todo += [int(p) for p in f.read().split()]
        except OSError:
            pass
    return found


def memory_kib(suite):
    """Of all processes, each shared page counted once."""
    total = 0
    for pid in children(suite.pid):
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def is_open(connection):
    """It has not been closed, whatever there is to read."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return not poll.poll(0)


class Memory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix="tambo-", dir="/tmp")
        os.chmod(directory, 0o755)
        # A fresh one for each test: what others have freed would be used again.
        self.suite = Suite(directory).start()
        self.addCleanup(self.suite.destroy)
        self.trust = ssl.create_default_context(cafile=self.suite.ca)

    def connect(self, port):
        return socket.create_connection(("127.0.0.1", self.suite.ports[port]), 20)

    def talk(self, connection, text, ok=(b"2", b"3", b"+OK", b"* OK")):
        """One command, or none, and its whole reply."""
        connection.sendall(text)
        reply = b""
        while not reply.endswith(b"\r\n"):
            data = connection.recv(65536)
            self.assertTrue(data, "closed behind %r" % text[:60])
            reply += data
        self.assertTrue(reply.startswith(ok), reply)
        return reply

    def each(self, what, make):
        """Connections that make() opens, all of them there when it is measured."""
        warm = [make(n) for n in range(WARM_UP)]
        time.sleep(1)
        before = memory_kib(self.suite)
        held = [make(n) for n in range(WARM_UP, WARM_UP + CONNECTIONS)]
        time.sleep(1)
        kib = (memory_kib(self.suite) - before) / CONNECTIONS
        self.assertTrue(all(is_open(connection) for connection in held))
        for connection in held + warm:
            connection.close()
        print("figures: %s: %.1f KiB each" % (what, kib))
        self.assertLess(kib, KIB_MAX)

    def greeted(self, port, rest):
        def make(_):
            connection = self.connect(port)
            self.talk(connection, b"")
            connection.sendall(rest)
            return connection
        return make

    def unread(self, port, command):
        """It sends one short command after the other until the server takes no more, and reads
        nothing."""
        def make(_):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", self.suite.ports[port]))
            self.talk(connection, b"")
            connection.settimeout(0.1)
            for _ in range(COMMANDS):
                try:
                    connection.sendall(command)
                except TimeoutError:
                    break
            return connection
        return make

    def test_replies_that_nobody_reads(self):
        self.each("imap, nothing read", self.unread("imap", b"a CAPABILITY\r\n"))

    def test_replies_of_pop3_that_nobody_reads(self):
        self.each("pop3, nothing read", self.unread("pop3", b"CAPA\r\n"))

    def test_replies_of_mx_that_nobody_reads(self):
        self.each("mx, nothing read", self.unread("smtp", b"HELP\r\n"))

    def test_mx(self):
        self.each("mx", self.greeted("smtp", b"MAIL FROM:<" + b"a" * 2000))

    def test_imap(self):
        self.each("imap", self.greeted("imap", b"a LOGIN {4096+}\r\n" + b"a" * 4095))

    def test_pop3(self):
        self.each("pop3", self.greeted("pop3", b"USER " + b"a" * 200))

    def test_imap_behind_tls(self):
        def make(_):
            connection = self.trust.wrap_socket(self.connect("imaps"), server_hostname="127.0.0.1")
            self.talk(connection, b"")
            connection.sendall(b"a LOGIN {4096+}\r\n" + b"a" * 4095)
            return connection
        self.each("imap behind TLS, the library included", make)

    def test_mx_behind_starttls(self):
        def make(_):
            plain = self.connect("smtp")
            self.talk(plain, b"")
            self.talk(plain, b"EHLO sender.test\r\n")
            self.talk(plain, b"STARTTLS\r\n")
            connection = self.trust.wrap_socket(plain, server_hostname="127.0.0.1")
            connection.sendall(b"MAIL FROM:<" + b"a" * 2000)
            return connection
        self.each("mx behind STARTTLS, the library included", make)

    def test_a_message_that_never_ends(self):
        local, domain = self.suite.users[0][0].split("@")

        def make(number):
            connection = self.connect("smtp")
            self.talk(connection, b"")
            self.talk(connection, b"EHLO sender.test\r\n")
            self.talk(connection, b"MAIL FROM:<%s@sender.test>\r\n" % (b"s" * 60))
            for i in range(100):
                to = "%s+%s%d-%d@%s" % (local, "r" * 40, number, i, domain)
                reply = self.talk(connection, b"RCPT TO:<%s>\r\n" % to.encode())
                self.assertTrue(reply.startswith(b"250"), reply)
            self.talk(connection, b"DATA\r\n")
            for i in range(200):
                connection.sendall(b"Received: from a by b; %03d%s\r\n" % (i, b"x" * 900))
            return connection
        self.each("mx with a hundred recipients, in a long header", make)


if __name__ == "__main__":
    unittest.main()
