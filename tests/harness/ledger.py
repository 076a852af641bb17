"""Load with a ledger: what was acknowledged, refused or left unknown, kept outside the suite.

Senders submit numbered messages to local accounts and to a sink that plays another domain's server;
afterwards Ledger.check() compares what they were told with what lies in the mailboxes and the sink.
"""
import collections
import imaplib
import random
import re
import smtplib
import socketserver
import ssl
import threading
import time

MARK = re.compile(rb"^X-Ledger: (\S+)", re.M | re.I)


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.next = 0
        self.acknowledged, self.refused, self.unknown = {}, {}, {}  # number -> its recipients
        self.reasons = collections.Counter()
        # From the moment before the cut: a machine without power says nothing, so what a daemon
        # still gets out is no answer. It would not be true either: a sync that is under way when
        # the kernel shuts a filesystem down can return 0 and have done nothing.
        self.power_is_off = False

    def begin(self):
        with self.lock:
            self.next += 1
            return "n%d" % self.next

    def note(self, into, number, recipients, reason=None):
        with self.lock:
            into[number] = tuple(recipients)
            if reason and into is not self.acknowledged:
                self.reasons[reason[:60]] += 1

    def in_flight(self):
        """Transactions that were begun and have no outcome yet."""
        with self.lock:
            return self.next - len(self.acknowledged) - len(self.refused) - len(self.unknown)

    def check(self, mailboxes, sink):
        """mailboxes: address -> Counter of numbers; sink: Counter. Returns (complaints, duplicates
        at the sink)."""
        complaints = []

        def each(outcome):
            return ((number, to) for number, all_of_it in outcome.items() for to in all_of_it)
        for number, recipient in each(self.acknowledged):
            if recipient in mailboxes:
                found = mailboxes[recipient][number]
                if found != 1:
                    complaints.append("%s for %s was acknowledged and is there %d times"
                                      % (number, recipient, found))
            elif sink[number] < 1:
                complaints.append("%s for %s was acknowledged and never reached the sink"
                                  % (number, recipient))
        for number, recipient in each(self.refused):
            found = mailboxes.get(recipient, sink)[number]
            if found:
                complaints.append("%s for %s was refused and is there %d times"
                                  % (number, recipient, found))
        for number, recipient in each(self.unknown):
            if recipient in mailboxes and mailboxes[recipient][number] > 1:
                complaints.append("%s for %s (unknown) is there %d times"
                                  % (number, recipient, mailboxes[recipient][number]))
        return complaints, sum(sink.values()) - len(sink)


class Sender(threading.Thread):
    """Sends one message after the other until told to stop; reconnects whatever happens. Most go to
    one of recipients, others to up to together of them. rate: so many a second, and what was late
    is made up for; without one as fast as it can."""

    def __init__(self, ledger, connect, sender, recipients, bytes_max=20_000, together=1, rate=None):
        super().__init__(daemon=True)
        self.ledger, self.connect, self.sender = ledger, connect, sender
        self.recipients, self.bytes_max = recipients, bytes_max
        self.together = min(together, len(recipients))
        self.interval, self.due = 1 / rate if rate else 0, time.monotonic()
        self.random = random.Random(repr((sender, recipients)))
        self.ending = threading.Event()
        self.accepted = 0

    def run(self):
        while not self.ending.is_set():
            try:
                smtp = self.connect()
            except (OSError, smtplib.SMTPException):
                self.ending.wait(0.05)
                continue
            try:
                while self.is_time() and self.send_one(smtp):
                    pass
                smtp.quit()
            except (OSError, smtplib.SMTPException):
                pass
            finally:
                smtp.close()

    def is_time(self):
        """Waits for the next one's time; False: it is over."""
        self.due += self.interval
        return not self.ending.wait(max(0, self.due - time.monotonic()))

    def compose(self, number, recipients):
        body = "x" * 70 + "\r\n"
        lines = self.random.randrange(1, self.bytes_max // 72)
        return ("From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nX-Ledger: %s\r\n\r\n%s"
                % (self.sender, ">, <".join(recipients), number, number, body * lines)).encode()

    def choose(self):
        count = self.together if self.random.random() < 0.25 else 1
        return self.random.sample(self.recipients, count)

    def send_one(self, smtp, recipients=None, counted=None):
        """False: the connection is of no more use. counted: whose mailboxes show what became of the
        message, if not the recipients'."""
        number, recipients = self.ledger.begin(), recipients or self.choose()
        counted = counted or recipients
        text = self.compose(number, recipients)
        commands = [(smtp.mail, self.sender), *((smtp.rcpt, to) for to in recipients)]
        try:
            for command, address in commands:
                code, reply = command(address)
                if code != 250:
                    self.ledger.note(self.ledger.refused, number, counted, reply.decode())
                    smtp.rset()
                    self.ending.wait(0.02)
                    return code != 421
        except (OSError, smtplib.SMTPException) as error:
            self.ledger.note(self.ledger.refused, number, counted, type(error).__name__)
            return False
        try:
            code, reply = smtp.data(text)
        except smtplib.SMTPDataError as error:  # before the text
            self.ledger.note(self.ledger.refused, number, counted, str(error.smtp_code))
            return error.smtp_code != 421
        except (OSError, smtplib.SMTPException) as error:
            self.ledger.note(self.ledger.unknown, number, counted, type(error).__name__)
            return False
        self.accepted += code == 250
        into = self.ledger.acknowledged if code == 250 else self.ledger.refused
        if self.ledger.power_is_off:
            into = self.ledger.unknown
        self.ledger.note(into, number, counted, reply.decode(errors="replace"))
        return code != 421

    def stop(self):
        self.ending.set()


class Sink:
    """Another domain's server: takes everything, and counts; but not recipients whose local part
    begins with "refused", and nothing while it is busy."""

    def __init__(self):
        sink = self
        self.busy = False
        counts = self.counts = collections.Counter()
        taken = self.taken = collections.defaultdict(list)  # number -> when, each time
        lock = threading.Lock()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(b"220 sink.test ESMTP\r\n")
                while True:
                    line = self.rfile.readline()
                    if not line:
                        return
                    verb = line[:4].upper()
                    if verb == b"EHLO":
                        self.wfile.write(b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                    elif verb == b"RCPT" and sink.busy:
                        self.wfile.write(b"451 4.2.1 later\r\n")
                    elif verb == b"RCPT" and b"<refused" in line:
                        self.wfile.write(b"550 5.1.1 nobody of that name\r\n")
                    elif verb == b"DATA":
                        self.wfile.write(b"354 go\r\n")
                        text = bytearray()
                        while True:
                            line = self.rfile.readline()
                            if not line:
                                return
                            if line == b".\r\n":
                                break
                            text += line
                        with lock:
                            number = MARK.search(text).group(1).decode()
                            counts[number] += 1
                            taken[number].append(time.monotonic())
                        self.wfile.write(b"250 2.0.0 taken\r\n")
                    elif verb == b"QUIT":
                        self.wfile.write(b"221 bye\r\n")
                        return
                    else:
                        self.wfile.write(b"250 ok\r\n")

            def finish(self):
                try:
                    super().finish()
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

            def handle_error(self, request, client_address):
                pass  # a relayd that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def connect_mx(suite):
    """A function that opens a session with the mx port."""
    def connect():
        smtp = smtplib.SMTP("127.0.0.1", suite.ports["smtp"], "load.test", timeout=30)
        smtp.ehlo()
        return smtp
    return connect


def connect_submission(suite, address, password):
    tls = ssl.create_default_context(cafile=suite.ca)

    def connect():
        smtp = smtplib.SMTP_SSL("localhost", suite.ports["submissions"], "load.test", timeout=30,
                                context=tls)
        try:
            smtp.login(address, password)
        except BaseException:
            smtp.close()
            raise
        return smtp
    return connect


def read_mailboxes(suite, users):
    """address -> Counter of the numbers in INBOX, by IMAP."""
    tls = ssl.create_default_context(cafile=suite.ca)
    found = {}
    for address, password in users:
        counts = found[address] = collections.Counter()
        with imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=tls,
                               timeout=60) as imap:
            imap.login(address, password)
            if imap.select("INBOX", readonly=True)[1] == [b"0"]:
                continue
            for part in imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-LEDGER)])")[1]:
                mark = MARK.search(part[1]) if isinstance(part, tuple) else None
                if mark:  # it is of the load
                    counts[mark.group(1).decode()] += 1
    return found


def accepts_within(suite, seconds, ledger, recipient, since):
    """How long after the moment since (monotonic) a new session on the mx port had a message
    accepted; None if none had after that many seconds."""
    probe = Sender(ledger, connect_mx(suite), "probe@elsewhere.test", [recipient], 200)
    while time.monotonic() - since < seconds:
        try:
            smtp = probe.connect()
        except (OSError, smtplib.SMTPException):
            time.sleep(0.01)
            continue
        probe.send_one(smtp)
        smtp.close()
        if probe.accepted:
            return time.monotonic() - since
    return None


def queue_is_empty(suite):
    result = suite.tambo("queue", "list", check=False)
    return result.returncode == 0 and not result.stdout.strip()


class PatientSender(Sender):
    """A client that complains of whatever a well-behaved server must not do to it, even while it is
    being upgraded. Being told 421 between two messages of one session is no complaint, nor is it
    for who has not come to the first within NEWCOMER_S."""
    NEWCOMER_S = 1.5  # smtpd/service.h: newcomer_ms, a little less

    def __init__(self, *arguments, reuse=False, **options):
        super().__init__(*arguments, **options)
        self.reuse, self.complaints, self.longest = reuse, [], 0.0
        self.sent = 0  # in this session
        self.connected_at = 0.0

    def run(self):
        while not self.ending.is_set():
            start = time.monotonic()
            try:
                smtp = self.connect()
            except (OSError, smtplib.SMTPException) as error:
                self.complaints.append("connect: %r" % error)
                self.ending.wait(0.05)
                continue
            self.connected_at = time.monotonic()
            self.longest = max(self.longest, self.connected_at - start)
            self.sent = 0
            try:
                while self.send_one(smtp) and self.reuse and not self.ending.is_set():
                    pass
                smtp.quit()
            except (OSError, smtplib.SMTPException):
                pass  # behind a whole message
            finally:
                smtp.close()

    def send_one(self, smtp):
        number, recipient = self.ledger.begin(), self.random.choice(self.recipients)
        text = self.compose(number, [recipient])
        stage = "MAIL"
        try:
            code, reply = smtp.mail(self.sender)
            slow = time.monotonic() - self.connected_at > self.NEWCOMER_S
            if code == 421 and (self.sent > 0 or slow):
                return False
            if code == 250:
                stage = "RCPT"
                code, reply = smtp.rcpt(recipient)
            if code == 250:
                stage = "DATA"
                code, reply = smtp.data(text)
        except (OSError, smtplib.SMTPException) as error:
            code, reply = 0, repr(error).encode()
        reason = "%s: %d %s" % (stage, code, reply.decode(errors="replace"))
        into = (self.ledger.acknowledged if code == 250 else self.ledger.unknown
                if code == 0 and stage == "DATA" else self.ledger.refused)
        self.ledger.note(into, number, [recipient], reason)
        self.sent += 1
        return code == 250


class Poller(threading.Thread):
    """Looks into a mailbox by IMAP, in a session each or, with stay, in one until it is ended by the
    server's BYE."""

    def __init__(self, suite, address, password, stay=False):
        super().__init__(daemon=True)
        self.suite, self.login, self.stay = suite, (address, password), stay
        self.tls = ssl.create_default_context(cafile=suite.ca)
        self.ending = threading.Event()
        self.complaints, self.longest, self.sessions = [], 0.0, 0

    def run(self):
        while not self.ending.is_set():
            start = time.monotonic()
            try:
                imap = imaplib.IMAP4_SSL("localhost", self.suite.ports["imaps"],
                                         ssl_context=self.tls, timeout=60)
                imap.login(*self.login)
                imap.select()
            except (OSError, imaplib.IMAP4.error) as error:
                self.complaints.append("imap: %r" % error)
                self.ending.wait(0.05)
                continue
            self.longest = max(self.longest, time.monotonic() - start)
            self.sessions += 1
            try:
                while self.stay and not self.ending.wait(0.1):
                    imap.noop()
                imap.logout()
            except imaplib.IMAP4.abort:
                pass  # BYE, or the end
            except OSError as error:
                self.complaints.append("imap session: %r" % error)
            finally:
                imap.sock.close()

    def stop(self):
        self.ending.set()
