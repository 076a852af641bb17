"""What the tests with real mail clients share: a suite, a home for clients, messages.

Every client verifies the suite's certificate, as a user would set it up; none of them reads a
configuration of whoever runs the tests.
"""
import base64
import imaplib
import os
import pty
import pwd
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import tempfile
import threading

from suite import Suite, SuiteError, make_certificates, wait_for

TRACE_FIELDS = {b"return-path", b"delivered-to", b"received"}


class Lab:
    """A suite with accounts NAME@example.test, password NAME-secret, and a home for clients."""

    def __init__(self, names, **arguments):
        # Short: the name of a socket below it must fit a sockaddr. Readable: as root the daemons
        # are other users.
        self.dir = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(self.dir, 0o755)
        # Clients are run by an ordinary user; some refuse to work for root.
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.home = os.path.join(self.dir, "home")
        self.make_directory(self.home)
        users = [(name + "@example.test", name + "-secret") for name in names]
        self.suite = Suite(os.path.join(self.dir, "suite"), users=users, **arguments)
        self.ports = self.suite.ports

    def start(self):
        self.suite.start()
        self.ports = self.suite.ports
        make_certificates(self.path("stranger"), "localhost")
        self.stranger_ca = self.path("stranger", "ca.pem")
        return self

    def destroy(self):
        try:
            self.suite.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def write(self, name, content, mode=0o600):
        """A file in the clients' home; returns its path."""
        path = self.path(name)
        self.make_directory(os.path.dirname(path))
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        self.give(path)
        return path

    def give(self, path):
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def make_directory(self, path):
        """One of the clients' user, with those above it in the home."""
        if not os.path.isdir(path):
            if path != self.home:
                self.make_directory(os.path.dirname(path))
            os.mkdir(path, 0o700)
            self.give(path)
        return path

    def make_maildir(self, *parts):
        for folder in ("new", "cur", "tmp"):
            self.make_directory(self.path(*parts, folder))
        return self.path(*parts)

    @property
    def ca(self):
        return self.suite.ca

    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": self.home, "TMPDIR": self.home,
                "LANG": "C.UTF-8", "TERM": "xterm", "USER": "tester", "LOGNAME": "tester",
                "EMAIL": ""}

    def identity(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def run(self, *command, stdin=b"", timeout=60):
        """Runs a client in the home; the result's stdout has stderr in it, bytes."""
        process = subprocess.Popen(command, cwd=self.home, env=self.environment(),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True,
                                   **self.identity())
        try:
            output, _ = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise SuiteError("%s hangs:\n%s" % (command[0], output.decode(errors="replace")))
        return subprocess.CompletedProcess(command, process.returncode, output, b"")

    def run_on_terminal(self, *command, timeout=60, answer=None):
        """The same for a client that wants a screen; stdout is what it drew.

        answer is (prompt, keys): keys are typed once, when the prompt has been drawn.
        """
        master, slave = pty.openpty()
        # Not a group leader, so setsid does not fork: the client has the process id.
        process = subprocess.Popen(["setsid", "--ctty", *command], cwd=self.home,
                                   env={**self.environment(), "LINES": "24", "COLUMNS": "80"},
                                   stdin=slave, stdout=slave, stderr=slave, **self.identity())
        os.close(slave)
        output = []

        def drain():
            keys = answer
            try:
                while True:
                    output.append(os.read(master, 65536))
                    if keys and keys[0] in b"".join(output):
                        os.write(master, keys[1])
                        keys = None
            except OSError:
                pass  # EIO: nobody has the terminal any more
        reader = threading.Thread(target=drain)
        reader.start()
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise SuiteError("%s hangs:\n%s" % (command[0],
                                                b"".join(output).decode(errors="replace")))
        finally:
            reader.join(10)
            os.close(master)
        return subprocess.CompletedProcess(command, status, b"".join(output), b"")

    def imap(self, name, mailbox="INBOX"):
        """A logged-in connection over imaps with mailbox selected."""
        connection = imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], timeout=30,
                                       ssl_context=self.context())
        connection.login(name + "@example.test", name + "-secret")
        if mailbox:
            connection.select(mailbox)
        return connection

    def submit(self, name, recipient, message, options=()):
        with smtplib.SMTP_SSL("127.0.0.1", self.ports["submissions"], timeout=30,
                              context=self.context()) as client:
            client.login(name + "@example.test", name + "-secret")
            client.sendmail(name + "@example.test", [recipient], message, mail_options=options)

    def messages(self, name, count, mailbox="INBOX"):
        """Waits until the mailbox holds count messages; all of them, raw."""
        connection = self.imap(name, mailbox)
        try:
            def all_there():
                connection.noop()
                uids.extend(connection.uid("SEARCH", "ALL")[1][0].split()[len(uids):])
                return len(uids) >= count
            uids = []
            wait_for(all_there, what="%d messages of %s" % (count, name), step=0.02)
            if len(uids) != count:
                raise SuiteError("%s has %d messages, not %d" % (name, len(uids), count))
            found = []
            for uid in uids:
                parts = connection.uid("FETCH", uid, "(BODY.PEEK[])")[1]
                found.append(next(part[1] for part in parts if isinstance(part, tuple)))
            return found
        finally:
            connection.logout()


def trace_and_rest(raw):
    """Splits a delivered message behind the trace fields that the server put in front."""
    position, seen = 0, []
    for field in re.finditer(rb"([!-9;-~]+):[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*", raw):
        if field.start() != position or field.group(1).lower() not in TRACE_FIELDS:
            break
        seen.append(field.group(1).lower())
        position = field.end()
    return seen, raw[position:]


def first_difference(found, expected):
    """None, or where two messages part: a diff of them would take minutes."""
    if found == expected:
        return None
    at = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b),
              min(len(found), len(expected)))
    return "octet %d of %d and %d: %r, expected %r" % (
        at, len(found), len(expected), found[at - 20:at + 40], expected[at - 20:at + 40])


def rich_message(sender, recipient, subject, utf8_headers=False):
    """A message with everything that is easily broken on the road; CRLF, ends with one.

    Nested multiparts with preamble and epilogue, an 8bit UTF-8 part, quoted-printable, all octets
    in base64, an attached message, lines of dots, the longest line, trailing white space, folding.
    """
    name = "Jürgen Müller" if utf8_headers else "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?="
    greeting = "Grüße, 日本語 🐙 " if utf8_headers else "=?utf-8?B?R3LDvMOfZSwg5pel5pys6Kqe?= "
    binary = base64.encodebytes(bytes(range(256)) * 150).replace(b"\n", b"\r\n")
    head = [
        "Date: Mon, 02 Nov 2026 10:11:12 +0100",
        "From: %s <%s>" % (name, sender),
        "To: <%s>" % recipient,
        "Subject: %s%s" % (greeting, subject),
        "Message-ID: <%s.%d@example.test>" % (re.sub(r"\W+", "-", subject), utf8_headers),
        "X-Folded: first\r\n\tsecond \r\n   third",
        "X-Empty:",
        "x-CASE:no space after the colon",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed;\r\n boundary="=_outer \'x\'"',
        "", "A preamble that nobody reads.", "",
        "--=_outer 'x'", "Content-Type: multipart/alternative; boundary=inner", "",
        "--inner", "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit", "",
        "Grüße aus Köln: 日本語, Ελληνικά, 🐙", "trailing white space \t ", ".", "..", ". leading dot",
        "From the start of a line", "-- ", "x" * 998, "", "",
        "--inner", "Content-Type: text/html; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable", "",
        "<p>Gr=FC=DFe =2E=\r\n</p>", "--inner--", "",
        "--=_outer 'x'", "Content-Type: application/octet-stream",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;\r\n filename*=utf-8''Gr%C3%BC%C3%9Fe.bin", "",
    ]
    tail = [
        "--=_outer 'x'", "Content-Type: message/rfc822", "Content-Disposition: attachment", "",
        "From: someone@elsewhere.example", "Subject: the attached one", "", "inner body", "",
        "--=_outer 'x'--", "", "An epilogue.", "", "",
    ]
    text = ("\r\n".join(head) + "\r\n").encode()
    return text + binary + "\r\n".join(["", *tail]).encode()


def plain_message(sender, recipient, subject, body="Hello.\r\n"):
    return ("Date: Mon, 02 Nov 2026 10:11:12 +0100\r\nFrom: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n"
            "Message-ID: <%s@example.test>\r\n\r\n%s"
            % (sender, recipient, subject, re.sub(r"\W+", "-", subject), body)).encode()


def local_lines(message):
    """As a Unix client stores it."""
    return message.replace(b"\r\n", b"\n")


def maildir(path):
    """The messages in a Maildir, in any order."""
    found = []
    for folder in ("new", "cur"):
        directory = os.path.join(path, folder)
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            with open(os.path.join(directory, name), "rb") as f:
                found.append(f.read())
    return found
