"""Logins per second: first ones, whose password has to be hashed, and repeated ones."""
import statistics

from connections import load
from processes import Meter
from rows import row

ABOUT = "logins/s over TLS with CPU: IMAP login, select, logout; POP3; the TLS handshake alone"
ACCOUNTS = 20


def measure(server, quick):
    rows = [first_logins(server, quick)]
    for what, protocol, service, at_once, count in (
            ("IMAP, repeated, 20 at once", "imap", "imaps", 20, 400),
            ("IMAP, repeated, one after the other", "imap", "imaps", 1, 100),
            ("POP3, repeated, 10 at once", "pop3", "pop3s", 10, 400),
            ("TLS handshake alone, 20 at once", "tls", "imaps", 20, 400)):
        count = count // 10 if quick else count
        rates, medians, client, meter = [], [], 0.0, Meter(server)
        order = {"protocol": protocol, "port": server.ports[service], "ca": server.ca,
                 "accounts": server.users, "at_once": at_once, "count": count}
        load("load_login.py", {**order, "count": min(count, len(server.users))})
        for _ in range(1 if quick else 3):
            with meter:
                done = load("load_login.py", order)
            rates.append(count / done["seconds"])
            medians.append(statistics.median(done["each"]) * 1000)
            client += done["cpu"]
        n = count * len(rates)
        rows.append(row(what, statistics.median(rates), "/s", values=rates,
                        cpu=meter.total() / n * 1000, client=client / n * 1000, n=n,
                        by=meter.per(n), median_ms=round(statistics.median(medians), 1)))
    return rows


def first_logins(server, quick):
    """After a start the server remembers no password; each account signs in once."""
    rates, medians, client, meter = [], [], 0.0, Meter(server)
    for _ in range(1 if quick else 5):
        server.stop()
        server.start()
        with meter:
            done = load("load_login.py", {
                "protocol": "imap", "port": server.ports["imaps"], "ca": server.ca,
                "accounts": server.users, "at_once": 4, "count": ACCOUNTS})
        rates.append(ACCOUNTS / done["seconds"])
        medians.append(statistics.median(done["each"]) * 1000)
        client += done["cpu"]
    n = ACCOUNTS * len(rates)
    return row("IMAP, first of each account, 4 at once", statistics.median(rates), "/s",
               values=rates, cpu=meter.total() / n * 1000, client=client / n * 1000, n=n,
               by=meter.per(n), median_ms=round(statistics.median(medians), 1))
