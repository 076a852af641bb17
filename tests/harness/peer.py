"""Another mail server that does as it is told: for what no real one does on command.

It speaks plain SMTP on port 25 of one address and keeps what it was sent, byte for byte.
"""
import socketserver
import threading


class Message:
    def __init__(self, reverse_path, recipients, data):
        self.reverse_path, self.recipients, self.data = reverse_path, recipients, data


class Session(socketserver.StreamRequestHandler):
    """RFC 5321, the receiving side; self.server.peer is the Peer."""
    timeout = 900

    def handle(self):
        peer = self.server.peer
        try:
            with peer.lock:
                peer.sessions += 1
            if self.say("greeting", "220 peer ESMTP"):
                while self.command():
                    pass
        except OSError:
            pass

    def say(self, stage, default):
        """False: the session is over. A reply of None is silence until the other side leaves."""
        reply = self.server.peer.reply(stage, default)
        if reply is None:
            while self.rfile.readline():
                pass
            return False
        self.wfile.write((reply + "\r\n").encode())
        return not reply.startswith("421")

    def command(self):
        line = self.rfile.readline().decode(errors="surrogateescape").rstrip("\r\n")
        verb = line.split(" ")[0].upper()
        peer = self.server.peer
        peer.note(line)
        if verb == "EHLO":
            offer = ["peer", *peer.offers]
            lines = ["250-" + word for word in offer[:-1]] + ["250 " + offer[-1]]
            return self.say("EHLO", "\r\n".join(lines))
        if verb == "MAIL":
            self.reverse_path, self.recipients = line, []
            return self.say("MAIL", "250 2.1.0 ok")
        if verb == "RCPT":
            reply = peer.reply(line[8:].split(">")[0].lstrip("<"), "250 2.1.5 ok")
            if reply.startswith("2"):
                self.recipients.append(line)
            self.wfile.write((reply + "\r\n").encode())
            return True
        if verb == "DATA":
            return self.data()
        if verb == "QUIT":
            self.wfile.write(b"221 2.0.0 bye\r\n")
            return False
        if verb in ("RSET", "NOOP"):
            return self.say(verb, "250 2.0.0 ok")
        if not line:
            return False
        return self.say(verb, "502 5.5.1 not known")

    def data(self):
        if not self.recipients:
            return self.say("DATA", "554 5.5.1 no recipients")
        if not self.say("DATA", "354 go on"):
            return False
        data = b""
        while True:
            line = self.rfile.readline()
            if not line:
                return False
            if line == b".\r\n":
                break
            data += line[1:] if line.startswith(b".") else line
        peer = self.server.peer
        reply = peer.reply("message", "250 2.0.0 taken")
        if reply is not None and reply.startswith("2"):
            with peer.lock:
                peer.messages.append(Message(self.reverse_path, self.recipients, data))
        return self.say_now(reply)

    def say_now(self, reply):
        if reply is None:
            while self.rfile.readline():
                pass
            return False
        self.wfile.write((reply + "\r\n").encode())
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class Peer:
    """script: replies by stage ("greeting", "EHLO", "MAIL", "DATA", "message") or by recipient.
    A list of replies is used up one by one, the last stays; None is silence."""

    def __init__(self, address, script=None, offers=("PIPELINING", "8BITMIME", "SIZE 50000000",
                                                     "ENHANCEDSTATUSCODES")):
        self.script, self.offers = dict(script or {}), list(offers)
        self.lock = threading.Lock()
        self.messages, self.commands, self.sessions = [], [], 0
        self.server = Server((address, 25), Session)
        self.server.peer = self
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def reply(self, stage, default):
        with self.lock:
            reply = self.script.get(stage, default)
            if isinstance(reply, list):
                reply = reply.pop(0) if len(reply) > 1 else reply[0]
            return default if reply == "" else reply

    def note(self, line):
        with self.lock:
            self.commands.append(line)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
