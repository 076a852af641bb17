"""IMAP commands on one mailbox of 10,000 messages: time to the tagged reply, and CPU."""
import time

from connections import Imap
from messages import Box, fill
from processes import Meter
from rows import operation, row

ABOUT = "SELECT, FETCH, SEARCH, STORE, COPY, APPEND, EXPUNGE on a mailbox of 10,000 messages: ms"
ACCOUNTS = 1
COUNT = 10_000
FULL = "(UID FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"
HEADERS = "BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID References Content-Type)]"


class Timer:
    def __init__(self, server, imap, quick):
        self.server, self.imap, self.quick, self.rows = server, imap, quick, []

    def time(self, what, command, least=5, enough_s=1.0, most=200):
        """command: text, or a function of the number of the repetition that makes it."""
        seconds, number, before = [], 0, self.imap.bytes
        if self.quick:
            least, most = 2, 2
        with Meter(self.server) as meter:
            while number < least or (sum(seconds) < enough_s and number < most):
                text = command if isinstance(command, str) else command(number)
                began = time.monotonic()
                self.imap.command(text)
                seconds.append(time.monotonic() - began)
                number += 1
        self.rows.append(operation(what, seconds, meter,
                                   bytes=(self.imap.bytes - before) // number))


def measure(server, quick):
    count = 1000 if quick else COUNT
    imap = Imap(server, server.users[0])
    imap.command("CREATE Box")
    imap.command("CREATE Copies")
    with Meter(server) as meter:
        fill(imap, "Box", count)
    rows = [row("fill by APPEND, 100 in flight", count / meter.wall, "msg/s",
                cpu=meter.total() / count * 1000, client=meter.client / count * 1000, n=count,
                by=meter.per(count))]
    timer = Timer(server, imap, quick)
    began = time.monotonic()
    imap.command("SELECT Box")
    rows.append(row("SELECT, first after filling", (time.monotonic() - began) * 1000, "ms", n=1))
    read(timer, count)
    change(timer, count)
    rows += timer.rows
    rows += append_and_expunge(server, imap, count, quick)
    imap.close()
    return rows


def read(timer, count):
    timer.time("SELECT", "SELECT Box")
    timer.time("FETCH 1:* (FLAGS)", "FETCH 1:* (FLAGS)")
    timer.time("FETCH 1:* ENVELOPE", "FETCH 1:* ENVELOPE")
    timer.time("FETCH 1:* all but the body", "FETCH 1:* " + FULL)
    timer.time("FETCH 1:* 8 header fields", "FETCH 1:* " + HEADERS, least=3)
    timer.time("FETCH BODY.PEEK[] of 100", lambda n: "FETCH %d:%d BODY.PEEK[]" % (
        n * 100 % count + 1, n * 100 % count + 100), least=10)
    timer.time("SEARCH UNSEEN", "SEARCH UNSEEN")
    timer.time("SEARCH FROM", "SEARCH FROM zebulon.rare")
    timer.time("SEARCH SUBJECT", "SEARCH SUBJECT quizzacious")
    timer.time("SEARCH TEXT, rare word", "SEARCH TEXT xylozephyrine", least=3)


def change(timer, count):
    sign = lambda n: "+-"[n % 2]
    timer.time("STORE 1:* FLAGS.SILENT", lambda n: "STORE 1:* %sFLAGS.SILENT (\\Deleted)" % sign(n),
               least=6)
    timer.time("STORE of 1", lambda n: "STORE %d %sFLAGS (\\Flagged)" % (
        n // 2 % count + 1, sign(n)), least=20)
    timer.time("COPY of 1000", lambda n: "COPY 1:1000 Copies", most=20)
    timer.time("COPY of 1", lambda n: "COPY %d Copies" % (n % count + 1), least=20)


def append_and_expunge(server, imap, count, quick):
    texts = [Box(seed=2).message(n) for n in range(20 if quick else 200)]
    one_by_one, at_once, appends, expunges = [], [], Meter(server), Meter(server)
    imap.command("STORE 1:* -FLAGS.SILENT (\\Deleted)")
    for _ in range(1 if quick else 3):
        with appends:
            for text in texts:
                began = time.monotonic()
                imap.append("Box", text)
                one_by_one.append(time.monotonic() - began)
        imap.command("STORE %d:* +FLAGS.SILENT (\\Deleted)" % (count + 1))
        with expunges:
            began = time.monotonic()
            imap.command("EXPUNGE")
            at_once.append(time.monotonic() - began)
    return [operation("APPEND, one by one", one_by_one, appends),
            operation("EXPUNGE of %d" % len(texts), at_once, expunges)]
