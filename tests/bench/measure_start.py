"""Start: from exec of the first process until every port has sent its greeting."""
import statistics

from processes import cpu
from rows import row

ABOUT = "time from exec of master until every port answers (greeting, behind TLS where there is)"
ACCOUNTS = 1


def measure(server, quick):
    seconds, spent = [], []
    for _ in range(3 if quick else 15):
        server.stop()
        seconds.append(server.start_again() * 1000)
        spent.append(sum(cpu(server).values()) * 1000)
    return [row("start to all ports answering", statistics.median(seconds), "ms", values=seconds,
                cpu=statistics.mean(spent), n=len(seconds))]
