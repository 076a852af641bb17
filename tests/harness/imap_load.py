"""IMAP clients under load, and what they were shown and told: kept outside the suite.

Uids remembers which message stood under which UID; Changer changes messages of its own and notes in
Changes what may be found afterwards; Watcher looks at what is delivered; observe() looks at all.
"""
import collections
import contextlib
import hashlib
import imaplib
import random
import re
import ssl
import threading
import time

from ledger import MARK

UID = re.compile(rb"\bUID (\d+)")
SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
OWN_FLAGS = {"\\Flagged", "\\Deleted", "\\Answered"}
MAILBOXES = ("INBOX", "Sent", "Archive", "Here", "There")
FAILURES = (OSError, imaplib.IMAP4.error)


def digest(text):
    return hashlib.sha256(text).hexdigest()


@contextlib.contextmanager
def logged_in(suite, address, password):
    tls = ssl.create_default_context(cafile=suite.ca)
    imap = imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=tls, timeout=60)
    try:
        imap.login(address, password)
        yield imap
    finally:
        with contextlib.suppress(*FAILURES):
            imap.shutdown()


def number_of(imap, code):
    """The response code of a SELECT, 0 if there was none."""
    found = imap.response(code)[1]
    return int(found[-1]) if found and found[-1] else 0


def rows_of(parts):
    """The messages of a FETCH with one literal: (what stands around it, the literal)."""
    rows = []
    for part in parts:
        if isinstance(part, tuple):
            rows.append([part[0], part[1]])
        elif rows and isinstance(part, bytes):
            rows[-1][0] += b" " + part
    return rows


class Uids:
    """What stood under which UID. A UID may vanish; it never belongs to another message."""

    def __init__(self):
        self.lock = threading.Lock()
        self.known = {}     # (address, mailbox, uidvalidity, uid) -> digest
        self.validity = {}  # (address, mailbox) -> uidvalidity
        self.highest = collections.Counter()  # (address, mailbox) -> highest UID
        self.power_is_off = False
        self.complaints = []

    def saw_message(self, box, validity, uid, what):
        """box: (address, mailbox). A machine without power shows nothing."""
        with self.lock:
            if self.power_is_off:
                return
            before = self.known.setdefault((*box, validity, uid), what)
            if before != what:
                self.complaints.append("UID %d of %s %s is another message than before"
                                       % (uid, *box))
            self.highest[box] = max(self.highest[box], uid)

    def saw_mailbox(self, box, validity, next_uid):
        with self.lock:
            if self.validity.setdefault(box, validity) != validity:
                self.complaints.append("UIDVALIDITY of %s %s has changed" % box)
            if next_uid <= self.highest[box]:
                self.complaints.append("UIDNEXT of %s %s is %d, and %d was shown"
                                       % (*box, next_uid, self.highest[box]))


class Changes:
    """Messages that clients change: number -> the states in which it may be found. A state is
    (mailbox, flags); None: it is not there."""

    def __init__(self):
        self.lock = threading.Lock()
        self.next = 0
        self.allowed, self.pending = {}, set()
        self.power_is_off = False
        self.history = collections.defaultdict(list)  # number -> (seconds, answer, state then)
        self.done = collections.Counter()
        self.reasons = collections.Counter()

    def new(self):
        with self.lock:
            self.next += 1
            number = "c%d" % self.next
            self.allowed[number] = {None}
            return number

    def begin(self, number, state):
        with self.lock:
            self.allowed[number] = self.allowed[number] | {state}
            self.pending.add(number)

    def end(self, number, before, after, answer, text=""):
        """answer: what the tagged response was; None: there was none."""
        with self.lock:
            self.pending.discard(number)
            self.done[answer or "nothing"] += 1
            self.history[number].append((round(time.monotonic(), 4), answer, after))
            if answer is None or self.power_is_off:
                return
            if answer != "OK":
                self.reasons[str(text)[:60]] += 1
            self.allowed[number] = {after if answer == "OK" else before}

    def in_flight(self):
        with self.lock:
            return len(self.pending)

    def check(self, found):
        """found: number -> list of states. What is found is what is expected from then on."""
        complaints = []
        for number, allowed in self.allowed.items():
            states = found.get(number, [])
            state = states[0] if states else None
            if len(states) > 1 or state not in allowed:
                complaints.append("%s is %s, and may be %s; %s" % (
                    number, states or "not there", " or ".join(map(str, allowed)),
                    self.history[number]))
            self.allowed[number] = {state}
        complaints += ["%s was never sent" % number for number in found if number not in self.allowed]
        return complaints


class Client(threading.Thread):
    """Has a session with one account, and a new one when it ends, until told to stop."""

    def __init__(self, suite, user, uids):
        super().__init__(daemon=True)
        self.suite, self.user, self.uids = suite, user, uids
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                with logged_in(self.suite, *self.user) as imap:
                    self.session(imap)
            except FAILURES:
                self.ending.wait(0.05)

    def stop(self):
        self.ending.set()


class Watcher(Client):
    """Reads whatever appears in INBOX."""

    def session(self, imap):
        box = (self.user[0], "INBOX")
        imap.select("INBOX", readonly=True)
        validity, first = number_of(imap, "UIDVALIDITY"), 1
        while not self.ending.is_set():
            answer, parts = imap.uid("FETCH", "%d:*" % first, "(BODY.PEEK[])")
            for around, text in rows_of(parts) if answer == "OK" else []:
                uid = int(UID.search(around).group(1))
                self.uids.saw_message(box, validity, uid, digest(text))
                first = max(first, uid + 1)
            self.ending.wait(0.05)


class Changer(Client):
    """Appends, flags, moves and expunges."""

    def __init__(self, suite, user, uids, changes, bytes_max=6_000):
        super().__init__(suite, user, uids)
        self.changes, self.bytes_max = changes, bytes_max
        self.random = random.Random(user[0])

    def use(self, imap):
        self.imap, self.selected = imap, None
        self.mine = []  # [number, mailbox, uid, flags, digest]

    def session(self, imap):
        self.use(imap)
        while not self.ending.is_set():
            if len(self.mine) < 4:
                self.append()
                continue
            self.random.choice((self.append, self.flag, self.move, self.expunge))()

    def change(self, number, before, after, command):
        """Sends; returns whether it was done, and what came with it."""
        self.changes.begin(number, after)
        try:
            answer, parts = command()
        except FAILURES:
            self.changes.end(number, before, after, None)
            raise
        self.changes.end(number, before, after, answer, parts)
        return answer == "OK", parts

    def select(self, mailbox):
        if self.selected != mailbox:
            self.imap.select(mailbox)
            self.selected = mailbox

    def append(self, mailbox="Sent"):
        number = self.changes.new()
        text = ("From: <%s>\r\nSubject: %s\r\nX-Ledger: %s\r\n\r\n%s"
                % (self.user[0], number, number,
                   "\r\n".join("y" * 60 for _ in range(self.random.randrange(1, self.bytes_max // 62)))
                   )).encode()
        done, parts = self.change(number, None, (mailbox, frozenset()),
                                  lambda: self.imap.append(mailbox, None, None, text))
        if done:
            validity, uid = re.search(rb"APPENDUID (\d+) (\d+)", parts[0]).groups()
            self.uids.saw_message((self.user[0], mailbox), int(validity), int(uid), digest(text))
            self.mine.append([number, mailbox, int(uid), frozenset(), digest(text)])

    def flag(self):
        message = self.random.choice(self.mine)
        number, mailbox, uid, flags, _ = message
        flag = self.random.choice(("\\Flagged", "\\Answered"))
        self.select(mailbox)
        after = flags ^ {flag}
        done, _ = self.change(number, (mailbox, flags), (mailbox, after),
                              lambda: self.imap.uid("STORE", str(uid),
                                                    "+FLAGS" if flag in after else "-FLAGS",
                                                    "(%s)" % flag))
        if done:
            message[3] = after

    def move(self):
        message = self.random.choice(self.mine)
        number, mailbox, uid, flags, what = message
        target = "Archive" if mailbox == "Sent" else "Sent"
        self.select(mailbox)
        self.imap.untagged_responses.pop("COPYUID", None)
        done, _ = self.change(number, (mailbox, flags), (target, flags),
                              lambda: self.imap.uid("MOVE", str(uid), target))
        if done:
            code = self.imap.response("COPYUID")[1][-1].split()
            validity, uid = int(code[0]), int(code[2])
            self.uids.saw_message((self.user[0], target), validity, uid, what)
            message[1], message[2] = target, uid

    def expunge(self):
        message = self.random.choice(self.mine)
        number, mailbox, uid, flags, _ = message
        self.select(mailbox)
        deleted = flags | {"\\Deleted"}
        done, _ = self.change(number, (mailbox, flags), (mailbox, deleted),
                              lambda: self.imap.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)"))
        if done:
            self.change(number, (mailbox, deleted), None,
                        lambda: self.imap.uid("EXPUNGE", str(uid)))
        self.mine.remove(message)


def can_change(imap):
    """Whether a message can come, be flagged and go, in a mailbox that observe() does not look at."""
    imap.create("Probe")  # unless it is there
    answers = [imap.append("Probe", None, None, b"Subject: probe\r\n\r\nx\r\n"),
               imap.select("Probe"), imap.store("1:*", "+FLAGS", "(\\Deleted)"), imap.expunge()]
    return all(answer == "OK" for answer, _ in answers)


class Found:
    """What lies in the mailboxes."""

    def __init__(self):
        self.inboxes = {}                            # address -> Counter of numbers
        self.states = collections.defaultdict(list)  # number -> states, in the other mailboxes
        self.messages = 0


def observe(suite, users, uids, read):
    """Reads everything by IMAP, bodies only of messages that are not in the set read."""
    found = Found()
    for address, password in users:
        counts = found.inboxes[address] = collections.Counter()
        with logged_in(suite, address, password) as imap:
            for mailbox in MAILBOXES:
                for number, size, state in read_mailbox(imap, (address, mailbox), uids, read):
                    found.messages += 1
                    if mailbox == "INBOX":
                        counts[number] += 1
                    else:
                        found.states[number].append(state)
    return found


def number_in(text):
    """Of a message, or of one that a report is about."""
    found = MARK.search(text)
    return found.group(1).decode() if found else None


def read_mailbox(imap, box, uids, read):
    answer, counts = imap.select(box[1], readonly=True)
    if answer != "OK":
        return []
    count = int(counts[0])
    validity = number_of(imap, "UIDVALIDITY")
    uids.saw_mailbox(box, validity, number_of(imap, "UIDNEXT"))
    if count == 0:
        return []
    messages, fresh = [], []
    parts = imap.uid("FETCH", "1:*", "(FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-LEDGER)])")[1]
    for around, text in rows_of(parts):
        uid, size = int(UID.search(around).group(1)), int(SIZE.search(around).group(1))
        number = number_in(text) or number_in(imap.uid("FETCH", str(uid), "(BODY.PEEK[TEXT])")[1][0][1])
        flags = frozenset(FLAGS.search(around).group(1).decode().split()) & OWN_FLAGS
        messages.append((number, size, (box[1], flags)))
        facts = (*box, validity, uid, number, size)
        if facts not in read:
            read.add(facts)
            fresh.append(str(uid))
    if len(messages) != count:
        uids.complaints.append("%s %s has %d messages and shows %d" % (*box, count, len(messages)))
    for start in range(0, len(fresh), 200):
        parts = imap.uid("FETCH", ",".join(fresh[start:start + 200]), "(BODY.PEEK[])")[1]
        rows = rows_of(parts)
        for around, text in rows:
            uids.saw_message(box, validity, int(UID.search(around).group(1)), digest(text))
        if len(rows) != len(fresh[start:start + 200]):
            uids.complaints.append("%s %s does not show every text" % box)
    return messages
