"""Memory: of the idle server, and what an idle TLS IMAP connection adds (PSS, all processes)."""
import time

from connections import Imap
from processes import pss
from rows import row

ABOUT = "PSS of the idle server by process; per idle TLS IMAP connection, one account and many"
ACCOUNTS = 20
SETTLE_S = 3


def measure(server, quick):
    rows, by = [], pss(settled(server))
    rows.append(row("idle server, PSS", sum(kib for kib, _ in by.values()), "KiB",
                    n=sum(n for _, n in by.values())))
    for label, (kib, processes) in sorted(by.items(), key=lambda entry: -entry[1][0]):
        rows.append(row("  %s" % label, kib, "KiB", n=processes))
    accounts, one = server.users, server.users[:1]
    rows += connections(server, "of 20 accounts, the account's process included", accounts)
    # What the first round has left behind is not the second one's.
    server.stop()
    server.start()
    rows += connections(server, "of one account", one * (20 if quick else 100))
    return rows


def settled(server):
    time.sleep(SETTLE_S)
    return server


def connections(server, what, accounts):
    before = pss(settled(server))
    sessions = []
    for account in accounts:
        imap = Imap(server, account)
        imap.command("SELECT INBOX")
        imap.idle()
        sessions.append(imap)
    after = pss(settled(server))
    grown = {label: round((after[label][0] - before.get(label, (0, 0))[0]) / len(accounts), 1)
             for label in after}
    for session in sessions:
        session.close()
    return [row("TLS IMAP connection " + what, sum(grown.values()), "KiB each", n=len(accounts)),
            *(row("  %s, %s" % (label, "20 accounts" if len(set(accounts)) > 1 else "1 account"),
                  kib, "KiB each") for label, kib in sorted(grown.items(), key=lambda e: -e[1])
              if abs(kib) >= 1)]
