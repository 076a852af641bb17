"""SMTP in and out again: an alias leads abroad, and everything abroad is a sink on this machine."""
import json
import os
import statistics
import subprocess
import sys
import time

from connections import load
from measure_accept import settle
from processes import Meter
from rows import row
from server import DOMAIN

ABOUT = "messages/s from SMTP to another server's SMTP, and CPU, 10 sessions"
ACCOUNTS = 1
ALIAS = "abroad@" + DOMAIN
SINKS = {}  # of a server


class Sink:
    """sink_smtp.py, a process of its own."""

    def __init__(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sink_smtp.py")
        self.process = subprocess.Popen([sys.executable, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def count(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["messages"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def prepare(server):
    SINKS[server] = Sink()
    server.relay_to(SINKS[server].port, {ALIAS: "someone@sink.test"})


def measure(server, quick):
    sink = SINKS.pop(server)
    count, runs = (200, 1) if quick else (2000, 3)
    rates, client, meter = [], 0.0, Meter(server)
    for _ in range(runs):
        before = sink.count()
        with meter:
            done = load("load_smtp.py", {"port": server.ports["smtp"], "sessions": 10,
                                         "count": count, "size": 4096, "recipients": [[ALIAS]]})
            deadline = time.monotonic() + 300
            while sink.count() < before + count:
                if time.monotonic() > deadline:
                    raise TimeoutError("%d messages have not arrived" % (
                        before + count - sink.count()))
                time.sleep(0.01)
            seconds = time.monotonic() - done["began"]
            settle(server)
        if sink.count() != before + count:
            raise RuntimeError("the sink has got more than was sent")
        rates.append(count / seconds)
        client += done["cpu"]
    sink.close()
    n = count * runs
    return [row("10 sessions: accepted and relayed", statistics.median(rates), "msg/s",
                values=rates, cpu=meter.total() / n * 1000, client=client / n * 1000, n=n,
                by=meter.per(n))]
