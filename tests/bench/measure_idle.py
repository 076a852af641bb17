"""How soon another client sees a new message: from the 250 to EXISTS in its IDLE session.

Both are taken when the kernel got them, not when this program was woken: on a machine with other
work that would be later than what is measured.
"""
import os
import random
import select
import socket
import struct
import time

from connections import Imap
from load_smtp import message
from processes import Meter
from rows import quantile, row

ABOUT = "median and p99 from the 250 of a message to EXISTS in another client's IDLE session"
ACCOUNTS = 1


class Sender:
    """One SMTP session that hands over one message at a time."""

    def __init__(self, port, recipient):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.recipient = recipient.encode()
        self.talk(b"", 1)
        self.talk(b"EHLO load.sender.test\r\n", 1)

    def talk(self, data, replies):
        self.socket.sendall(data)
        text = b""
        while sum(line[3:4] == b" " for line in text.split(b"\r\n")[:-1]) < replies:
            more = self.socket.recv(4096)
            if not more or more[:1] not in b"23":
                raise RuntimeError("refused: %r" % more)
            text += more

    def send(self, number):
        """Up to the dot, and when that was; the reply is the caller's."""
        self.talk(b"MAIL FROM:<load@sender.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % self.recipient, 3)
        now = time.time()
        self.socket.sendall(message(number, 4096) + b".\r\n")
        return now


def measure(server, quick):
    account = server.users[0]
    imap = Imap(server, account)
    imap.command("SELECT INBOX")
    imap.idle()
    sender = Sender(server.ports["smtp"], account[0])
    pause = random.Random(1)
    clocks = {"accepted": Arrivals(sender.socket), "seen": Arrivals(imap.socket)}
    count = 50 if quick else 500
    accepted, seen, early = [], [], 0
    with Meter(server) as meter:
        for number in range(count):
            times = once(sender, imap, number, clocks)
            accepted.append((times["accepted"] - times["sent"]) * 1000)
            seen.append((times["seen"] - times["accepted"]) * 1000)
            early += seen[-1] < 0
            time.sleep(pause.uniform(0.002, 0.02))
    imap.close()
    cost = {"cpu": meter.total() / count * 1000, "client": meter.client / count * 1000, "n": count,
            "by": meter.per(count)}
    return [
        row("250 to EXISTS, median", quantile(seen, 0.5), "ms", values=seen, **cost,
            before_250=early),
        row("250 to EXISTS, p99", quantile(seen, 0.99), "ms", n=count),
        row("dot to 250, median", quantile(accepted, 0.5), "ms", values=accepted, n=count),
        row("dot to 250, p99", quantile(accepted, 0.99), "ms", n=count),
    ]


class Arrivals:
    """When the first unread byte of a connection came in, by the kernel's clock."""
    SO_TIMESTAMPNS = 35

    def __init__(self, connection):
        # Beside a TLS connection: what is looked at here stays unread.
        self.socket = socket.socket(fileno=os.dup(connection.fileno()))
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)

    def first(self):
        control = self.socket.recvmsg(1, 256, socket.MSG_PEEK)[1]
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == self.SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", data[:16])
                return seconds + nanoseconds / 1e9
        raise RuntimeError("the kernel gives no timestamps")


def once(sender, imap, number, clocks):
    """When the message was sent, accepted and seen; which of the last two is first is open."""
    times, heard = {}, b""
    waiting = {sender.socket: "accepted", imap.socket: "seen"}
    times["sent"] = sender.send(number)
    while waiting:
        ready = select.select(list(waiting), [], [], 30)[0]
        if not ready:
            raise TimeoutError("message %d: no word of %s" % (number, list(waiting.values())))
        for connection in ready:
            name = waiting[connection]
            came, data = clocks[name].first(), connection.recv(4096)
            if not data:
                raise EOFError("the server has closed the connection")
            heard += data if name == "seen" else b""
            if name == "accepted" and not data.startswith(b"250"):
                raise RuntimeError("refused: %r" % data)
            if name == "accepted" or b" EXISTS\r\n" in heard:
                times[waiting.pop(connection)] = came
    while imap.socket.pending():
        imap.socket.recv(4096)
    return times
