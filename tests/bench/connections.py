"""Blocking clients of one connection, made for timing: little work between two system calls."""
import json
import os
import socket
import subprocess
import sys
import time

from server import ADDRESS, trust


def _secured(server, service):
    plain = socket.create_connection((ADDRESS, server.ports[service]), 300)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return trust(server.ca).wrap_socket(plain, server_hostname=ADDRESS)


class Refused(Exception):
    pass


class Imap:
    """After each command .data is its reply if it was asked to be kept."""

    def __init__(self, server, account):
        self.socket = _secured(server, "imaps")
        self.buffer = memoryview(bytearray(1 << 18))
        self.number = self.bytes = 0
        self.socket.recv_into(self.buffer)
        self.command('LOGIN "%s" "%s"' % account)

    def send(self, text):
        self.number += 1
        tag = b"T%06d" % self.number
        self.socket.sendall(tag + b" " + (text if isinstance(text, bytes) else text.encode())
                            + b"\r\n")
        return tag

    def wait(self, tag, keep=False):
        """Reads up to the tagged reply, of which it looks only at the last line of what came."""
        tail, kept = b"", []
        while True:
            size = self.socket.recv_into(self.buffer)
            if not size:
                raise EOFError("the server has closed the connection")
            self.bytes += size
            if keep:
                kept.append(bytes(self.buffer[:size]))
            tail = (tail + bytes(self.buffer[max(0, size - 4000):size]))[-4000:]
            if not tail.endswith(b"\r\n"):
                continue
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2 if b"\r\n" in tail[:-2] else 0:]
            if last.startswith(tag + b" "):
                if not last.startswith(tag + b" OK"):
                    raise Refused(last.decode(errors="replace"))
                return b"".join(kept)

    def command(self, text, keep=False):
        return self.wait(self.send(text), keep)

    def append(self, mailbox, message):
        """LITERAL+ (RFC 7888), one message, waits for the reply."""
        self.command(b"APPEND %s {%d+}\r\n%s" % (mailbox.encode(), len(message), message))

    def messages(self, mailbox):
        text = self.command("STATUS %s (MESSAGES)" % mailbox, keep=True)
        return int(text.split(b"MESSAGES ")[1].split(b")")[0])

    def idle(self):
        tag = self.send("IDLE")
        while b"+ " not in bytes(self.buffer[:self.socket.recv_into(self.buffer)]):
            pass
        return tag

    def close(self):
        self.socket.close()


class Pop3:
    def __init__(self, server, account):
        self.socket = _secured(server, "pop3s")
        self.buffer = memoryview(bytearray(1 << 18))
        self.bytes = 0
        self.wait(b"\r\n")
        self.command("USER " + account[0])
        self.command("PASS " + account[1])

    def wait(self, end):
        head = tail = b""
        while True:
            size = self.socket.recv_into(self.buffer)
            if not size:
                raise EOFError("the server has closed the connection")
            self.bytes += size
            head += bytes(self.buffer[:size])[:max(0, 200 - len(head))]
            if not head.startswith(b"+OK"[:len(head)]):  # Dovecot's buffers may end within it
                raise Refused(head.decode(errors="replace"))
            tail = (tail + bytes(self.buffer[max(0, size - 8):size]))[-8:]
            if tail.endswith(end):
                return head

    def command(self, text, lines=False):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.wait(b"\r\n.\r\n" if lines else b"\r\n")

    def close(self):
        self.socket.close()


def load(program, order):
    """Runs a load program beside this one; returns what it has printed."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), program)
    done = subprocess.run([sys.executable, path], input=json.dumps(order), text=True,
                          capture_output=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (program, done.stderr.strip().splitlines()[-1:]))
    return json.loads(done.stdout)


class Filed:
    """Knows when messages have arrived in INBOXes: asks over IMAP, as a user does."""

    def __init__(self, server, accounts):
        self.sessions = [Imap(server, account) for account in accounts]

    def mark(self):
        self.before = sum(s.messages("INBOX") for s in self.sessions)

    def wait(self, count, deadline_s=300):
        """Until count more than at mark() are there."""
        deadline = time.monotonic() + deadline_s
        while True:
            missing = self.before + count - sum(s.messages("INBOX") for s in self.sessions)
            if missing <= 0:
                return
            if time.monotonic() > deadline:
                raise TimeoutError("%d messages have not arrived" % missing)
            time.sleep(0.01)

    def close(self):
        for session in self.sessions:
            session.close()
