"""Memory: of the idle server, and what an idle TLS IMAP connection adds (PSS, all processes)."""
import time

from connections import Imap, Pop3
from processes import pss
from rows import row

ABOUT = "PSS of the idle server by process; per idle TLS IMAP connection, one account and many"
SPREAD = 50
ACCOUNTS = SPREAD
SETTLE_S = 5
# How long processes of accounts may stay after the last use.
STAY_S = 60


def measure(server, quick):
    # Making the accounts was work: what is idle here has just been started.
    server.stop()
    server.start()
    rows, fresh = [], settled(server)
    rows.append(whole("idle server", fresh))
    for label, (kib, processes) in sorted(fresh.items(), key=lambda entry: -entry[1][0]):
        rows.append(row("  %s" % label, kib, "KiB", n=processes))
    # What the first login of an account costs those who check it is not the connections'; by
    # POP3, so that no process of IMAP has memory left over from it.
    close([Pop3(server, account) for account in server.users])
    wait_ended(server, sum(n for _, n in fresh.values()))
    rows.append(whole("idle server after the first login of each account", settled(server)))
    rows += connections(server, "of an account of its own, account process included", server.users)
    server.stop()
    server.start()
    one = server.users[:1]
    hold = connect(server, one)
    rows += connections(server, "of one account whose process runs", one * (20 if quick else 100))
    close(hold)
    return rows


def wait_ended(server, processes):
    deadline = time.monotonic() + STAY_S
    while sum(n for _, n in pss(server).values()) > processes and time.monotonic() < deadline:
        time.sleep(1)


def whole(what, by):
    return row(what, sum(kib for kib, _ in by.values()), "KiB", n=sum(n for _, n in by.values()),
               pss_by_process={label: kib for label, (kib, _) in by.items()})


def settled(server):
    time.sleep(SETTLE_S)
    return pss(server)


def connect(server, accounts):
    sessions = [Imap(server, account) for account in accounts]
    for imap in sessions:
        imap.command("SELECT INBOX")
        imap.idle()
    return sessions


def close(sessions):
    for session in sessions:
        session.close()


def connections(server, what, accounts):
    before = settled(server)
    sessions = connect(server, accounts)
    after = settled(server)
    close(sessions)
    grown = {label: round((after[label][0] - before.get(label, (0, 0))[0]) / len(accounts), 1)
             for label in after}
    return [row("TLS IMAP connection " + what, sum(grown.values()), "KiB each", n=len(accounts),
                pss_by_process=grown)]
