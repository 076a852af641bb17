"""SMTP load: sends messages over several sessions at once, prints one JSON object.

A program of its own, so that its CPU time is not the bench's. One process, one epoll loop; each
session sends MAIL, RCPT and DATA in one write (RFC 2920) and waits for the reply to the message
before it sends the next. Standard input: {"port", "sessions", "count", "size", "recipients":
[[address, ...], ...]}; message i goes to the list i modulo their number.
"""
import json
import select
import socket
import sys
import time

SENDER = "load@sender.test"
LINE = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"


def message(number, size):
    """As DATA sends it, without the final dot."""
    head = ("From: Load <%s>\r\nTo: Whom it may concern <list@sender.test>\r\n"
            "Subject: Message number %d of a measurement\r\n"
            "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
            "Message-ID: <%d.%d@sender.test>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            % (SENDER, number, number, time.monotonic_ns())).encode()
    return head + (LINE * ((size - len(head)) // len(LINE) + 1))[:size - len(head) - 2] + b"\r\n"


class Session:
    """One connection: take() gets what has arrived, and sends what comes next."""

    def __init__(self, load):
        self.load = load
        self.socket = socket.create_connection(("127.0.0.1", load.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.expect(1, self.hello)

    def expect(self, replies, then):
        self.missing, self.then = replies, then

    def take(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server has closed the connection")
        lines = (self.rest + data).split(b"\r\n")
        self.rest = lines.pop()
        for line in lines:
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(line.decode(errors="replace"))
            if line[3:4] != b"-":
                self.missing -= 1
        if self.missing == 0:
            self.then()

    def hello(self):
        self.socket.sendall(b"EHLO load.sender.test\r\n")
        self.expect(1, self.envelope)

    def envelope(self):
        self.number = self.load.next()
        if self.number is None:
            self.socket.sendall(b"QUIT\r\n")
            self.expect(1, self.end)
            return
        recipients = self.load.recipients[self.number % len(self.load.recipients)]
        self.socket.sendall(b"MAIL FROM:<%s>\r\n%sDATA\r\n" % (
            SENDER.encode(), b"".join(b"RCPT TO:<%s>\r\n" % r.encode() for r in recipients)))
        self.expect(2 + len(recipients), self.body)

    def body(self):
        self.sent = time.monotonic()
        self.socket.sendall(message(self.number, self.load.size) + b".\r\n")
        self.expect(1, self.accepted)

    def accepted(self):
        self.load.waits.append(time.monotonic() - self.sent)
        self.envelope()

    def end(self):
        self.load.close(self)


class Load:
    def __init__(self, port, sessions, count, size, recipients):
        self.port, self.count, self.size, self.recipients = port, count, size, recipients
        self.sent, self.waits = 0, []
        self.poll = select.epoll()
        self.open = {}
        for _ in range(sessions):
            session = Session(self)
            self.open[session.socket.fileno()] = session
            self.poll.register(session.socket.fileno(), select.EPOLLIN)

    def next(self):
        if self.sent == self.count:
            return None
        self.sent += 1
        return self.sent - 1

    def close(self, session):
        self.poll.unregister(session.socket.fileno())
        del self.open[session.socket.fileno()]
        session.socket.close()

    def run(self):
        while self.open:
            ready = self.poll.poll(60)
            if not ready:
                raise TimeoutError("no reply for a minute")
            for fd, _ in ready:
                self.open[fd].take()


def main():
    order = json.load(sys.stdin)
    began, spent = time.monotonic(), time.process_time()
    load = Load(**order)
    load.run()
    waits = sorted(load.waits)
    print(json.dumps({"began": began, "seconds": time.monotonic() - began,
                      "cpu": time.process_time() - spent, "accepted": len(waits),
                      "median_ms": waits[len(waits) // 2] * 1000,
                      "p99_ms": waits[int(len(waits) * 0.99)] * 1000}))


if __name__ == "__main__":
    main()
