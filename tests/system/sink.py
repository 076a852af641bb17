"""A small SMTP server inside a test: it takes what a suite relays, and refuses what it is told to.

A recipient whose local part begins with "refused" gets 550 5.1.1, one that begins with "later" gets
451 4.2.1. Every connection is a thread; close() ends them all.
"""
import socket
import threading


class Received:
    def __init__(self, sender, recipients, data):
        self.sender, self.recipients, self.data = sender, recipients, data


class Sink:
    def __init__(self):
        self.messages = []
        self.lock = threading.Lock()
        self.closing = False
        self.connections = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.closing:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rwb") as stream:
                self.talk(stream)
        except (OSError, ValueError):
            pass  # the peer or close() hung up
        with self.lock:
            self.connections.discard(connection)

    def talk(self, stream):
        def say(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 sink.example ESMTP")
        sender, recipients = None, []
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            verb = line[:4].upper()
            if verb == "EHLO":
                say("250-sink.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
                    "250-ENHANCEDSTATUSCODES\r\n250 PIPELINING")
            elif verb == "MAIL":
                sender, recipients = self.path(line), []
                say("250 2.1.0 ok")
            elif verb == "RCPT":
                address = self.path(line)
                if address.startswith("refused"):
                    say("550 5.1.1 nobody of that name")
                elif address.startswith("later"):
                    say("451 4.2.1 come back later")
                else:
                    recipients.append(address)
                    say("250 2.1.5 ok")
            elif verb == "DATA":
                if not recipients:
                    say("554 5.5.1 no valid recipients")
                    continue
                say("354 go on")
                data = self.data(stream)
                with self.lock:
                    self.messages.append(Received(sender, recipients, data))
                say("250 2.0.0 taken")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")

    @staticmethod
    def path(line):
        return line[line.index("<") + 1:line.rindex(">")]

    @staticmethod
    def data(stream):
        lines = []
        for line in stream:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        raise OSError("the peer hung up inside a message")

    def find(self, text):
        """Messages whose data contain text."""
        with self.lock:
            return [m for m in self.messages if text.encode() in m.data]

    def close(self):
        self.closing = True
        # A blocked accept() does not notice that its socket is closed.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.thread.join(10)
