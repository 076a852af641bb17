"""How soon another client sees a new message: from the 250 to EXISTS in its IDLE session."""
import random
import select
import socket
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
        """Up to the dot; the reply is the caller's."""
        self.talk(b"MAIL FROM:<load@sender.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % self.recipient, 3)
        self.socket.sendall(message(number, 4096) + b".\r\n")


def measure(server, quick):
    account = server.users[0]
    imap = Imap(server, account)
    imap.command("SELECT INBOX")
    imap.idle()
    sender = Sender(server.ports["smtp"], account[0])
    pause = random.Random(1)
    count = 50 if quick else 500
    accepted, seen, early = [], [], 0
    with Meter(server) as meter:
        for number in range(count):
            times = once(sender, imap, number)
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


def once(sender, imap, number):
    """When the message was sent, accepted and seen; which of the last two is first is open."""
    sender.send(number)
    times, heard = {"sent": time.monotonic()}, b""
    waiting = {sender.socket: "accepted", imap.socket: "seen"}
    while waiting:
        ready = [s for s in waiting if isinstance(s, type(imap.socket)) and s.pending()]
        ready = ready or select.select(list(waiting), [], [], 30)[0]
        if not ready:
            raise TimeoutError("message %d: no word of %s" % (number, list(waiting.values())))
        now = time.monotonic()
        for ready_one in ready:
            data = ready_one.recv(4096)
            if waiting[ready_one] == "accepted":
                if not data.startswith(b"250"):
                    raise RuntimeError("refused: %r" % data)
            else:
                heard += data
                if not data:
                    raise EOFError("the server has closed the IDLE session")
                if b" EXISTS\r\n" not in heard:
                    continue
            times[waiting.pop(ready_one)] = now
    return times
