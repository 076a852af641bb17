"""POP3: a whole mailbox is fetched, message by message."""
import statistics
import time

from connections import Imap, Pop3
from messages import fill
from processes import Meter
from rows import operation, row

ABOUT = "POP3 with a mailbox of 5,000 messages: login, STAT, LIST, UIDL, RETR of all"
ACCOUNTS = 1


def measure(server, quick):
    count, runs = (500, 1) if quick else (5000, 3)
    imap = Imap(server, server.users[0])
    fill(imap, "INBOX", count)
    imap.close()
    names = ("STAT", "LIST", "UIDL")
    seconds = {name: [] for name in ("login", "QUIT", *names)}
    meters = {name: Meter(server) for name in (*seconds, "RETR")}
    rates, size = [], 0
    for _ in range(runs):
        pop3 = timed("login", seconds, meters, lambda: Pop3(server, server.users[0]))
        for name in names:
            timed(name, seconds, meters, lambda: pop3.command(name, name != "STAT"))
        before = pop3.bytes
        with meters["RETR"]:
            began = time.monotonic()
            for number in range(1, count + 1):
                pop3.command("RETR %d" % number, True)
            rates.append(count / (time.monotonic() - began))
        size = pop3.bytes - before
        timed("QUIT", seconds, meters, lambda: pop3.command("QUIT"))
        pop3.close()
    meter, n = meters["RETR"], count * runs
    return [row("RETR of all", statistics.median(rates), "msg/s", values=rates,
                cpu=meter.total() / n * 1000, client=meter.client / n * 1000, n=n,
                by=meter.per(n), bytes=size),
            *(operation(name, seconds[name], meters[name]) for name in seconds)]


def timed(name, seconds, meters, work):
    with meters[name]:
        began = time.monotonic()
        result = work()
        seconds[name].append(time.monotonic() - began)
    return result
