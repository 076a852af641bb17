"""SMTP in: messages per second until the 250 and until they are filed, CPU, and sync calls."""
import statistics
import time

from connections import Filed, load
from processes import Meter, SyncCounter, cpu
from rows import row

ABOUT = "messages/s accepted and filed, CPU and sync calls, 1 to 50 sessions, 1 and 20 accounts"
SPREAD, SESSIONS, SIZE = 20, (1, 10, 50), 4096
# The first 20 share mail; each row with one account has an account of its own, then one for syncs.
ACCOUNTS = SPREAD + len(SESSIONS) + 1


def settle(server, seconds=0.5, most=20):
    """Until the server does nothing: what was put off belongs to the messages before it."""
    deadline = time.monotonic() + most
    before = -1
    while time.monotonic() < deadline:
        now = sum(cpu(server).values())
        if now - before < 0.02:
            return
        before = now
        time.sleep(seconds)


def measure(server, quick):
    rows = []
    shared = server.users[:SPREAD]
    for at, sessions in enumerate(SESSIONS):
        own = [server.users[SPREAD + at]]
        for accounts in (own, shared):
            what = "%d session%s, %d account%s" % (sessions, "s"[:sessions > 1], len(accounts),
                                                   "s"[:len(accounts) > 1])
            recipients = [[address] for address, _ in accounts]
            rows += rates(server, what, sessions, accounts, recipients, quick)
    everyone = [[address for address, _ in shared]]
    rows += rates(server, "10 sessions, 20 recipients each", 10, shared, everyone, quick, scale=10)
    for sessions in SESSIONS:
        rows += syncs(server, sessions, server.users[-1], quick)
    return rows


def rates(server, what, sessions, accounts, recipients, quick, scale=1):
    count, runs = (200, 1) if quick else (2000 // scale, 3)
    order = {"port": server.ports["smtp"], "sessions": sessions, "count": count, "size": SIZE,
             "recipients": recipients}
    filed = Filed(server, accounts)
    accepted, arrived, waits, client = [], [], [], 0.0
    to_accept, to_file = Meter(server), Meter(server)
    for _ in range(runs):
        filed.mark()
        with to_file:
            with to_accept:
                done = load("load_smtp.py", order)
            filed.wait(count * len(recipients[0]))
            # From the load's own beginning: CLOCK_MONOTONIC is one for all processes.
            seconds = time.monotonic() - done["began"]
            settle(server)
        accepted.append(count / done["seconds"])
        arrived.append(count / seconds)
        waits.append(done["median_ms"])
        client += done["cpu"]
    filed.close()
    n = count * runs
    return [
        row(what + ": accepted", statistics.median(accepted), "msg/s", values=accepted,
            cpu=to_accept.total() / n * 1000, client=client / n * 1000, n=n,
            by=to_accept.per(n), dot_to_250_ms=round(statistics.median(waits), 2)),
        row(what + ": filed", statistics.median(arrived), "msg/s", values=arrived,
            cpu=to_file.total() / n * 1000, n=n, by=to_file.per(n)),
    ]


def syncs(server, sessions, account, quick):
    """In a run of its own: strace makes everything slower."""
    counter = SyncCounter(server)
    if not counter.possible:
        return []
    count = 100 if quick else 400
    # Processes of accounts used before would end meanwhile, and they sync at their end.
    server.stop()
    server.start()
    filed = Filed(server, [account])
    filed.mark()
    with counter:
        load("load_smtp.py", {"port": server.ports["smtp"], "sessions": sessions, "count": count,
                              "size": SIZE, "recipients": [[account[0]]]})
        filed.wait(count)
        settle(server)
    filed.close()
    calls = {"%s %s" % key: n for key, n in sorted(counter.calls.items())}
    return [row("%d session%s: sync calls" % (sessions, "s"[:sessions > 1]),
                counter.total() / count, "/msg", n=count, calls=calls)]
