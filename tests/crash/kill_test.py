"""kill -9 of every process under load: nothing acknowledged is lost, nothing local is doubled.

The ledger lies outside the suite; the load is a set 100 messages a second, to 20 accounts and a
relay's sink. Five rounds, fifty with TAMBO_FULL; in each every daemon is killed
once, master included (restarted here), and so are the zygote and one account process.
"""
import os
import signal
import sys
import tempfile
import time
import unittest
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from ledger import (Ledger, Sender, Sink, accepts_within, connect_mx,  # noqa: E402
                    connect_submission, queue_is_empty, read_mailboxes)
from suite import Suite, SuiteError, crashes, wait_for  # noqa: E402

PROCESSES = ["logd", "keyd", "dnsd", "authd", "keeper", "zygote", "account", "deliverd", "queued",
             "relayd.", "mx.", "submit.", "imapd.", "pop3d.", "master"]
ROUNDS = 50 if os.environ.get("TAMBO_FULL") else 5
# Whose end can make the sink get something twice, and how near to it a doubled one must have been taken.
DOUBLING, DOUBLED_WITHIN_S = ("relayd.", "queued", "master"), 1.0
ACCEPT_S = 2.0
ACCOUNTS = 20
RATE = 100  # messages/s in all


def children(pid):
    """Of a process that may have ended, or that there is not (None)."""
    try:
        with open("/proc/%s/task/%s/children" % (pid, pid)) as f:
            return [int(p) for p in f.read().split()]
    except FileNotFoundError:
        return []


class TheLedger(unittest.TestCase):
    def test_it_sees_loss_and_doubles(self):
        ledger = Ledger()
        ledger.acknowledged = {"n1": ["a@x"], "n2": ["a@x", "b@x"], "n3": ["a@x"], "n4": ["sink"]}
        ledger.refused, ledger.unknown = {"n5": ["a@x"]}, {"n6": ["a@x"]}
        boxes = {"a@x": Counter({"n1": 1, "n2": 2, "n5": 1, "n6": 2}), "b@x": Counter({"n2": 1})}
        complaints, doubled = ledger.check(boxes, Counter({"n7": 3}))
        self.assertEqual([c.split()[0] for c in complaints], ["n2", "n3", "n4", "n5", "n6"])
        self.assertEqual(doubled, 2)


class Kill(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix="tambo-", dir="/tmp")
        os.chmod(directory, 0o755)
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        users = [("user%d@example.test" % i, "secret-%d" % i) for i in range(ACCOUNTS)]
        self.suite = Suite(directory, users=users, settings={
            "relay.smarthost": "127.0.0.1:%d" % self.sink.port,
            "queue.retry_min": "1s", "queue.retry_max": "2s"})
        self.addCleanup(self.suite.destroy)
        self.suite.start()
        self.ledger = Ledger()
        self.senders = []
        self.kills = []  # when, of DOUBLING

    def load(self):
        addresses = [address for address, _ in self.suite.users]
        address, password = self.suite.users[0]
        strangers, users = 6, 2
        rate = RATE / (strangers + users)
        for i in range(strangers):
            self.senders.append(Sender(self.ledger, connect_mx(self.suite),
                                       "stranger%d@elsewhere.test" % i, addresses, rate=rate))
        for _ in range(users):
            self.senders.append(Sender(self.ledger,
                                       connect_submission(self.suite, address, password), address,
                                       ["someone@sink.test", addresses[1]], rate=rate))
        self.began = time.monotonic()
        for sender in self.senders:
            sender.start()
            self.addCleanup(sender.stop)

    def pid_of(self, process):
        """None: there is none at the moment."""
        if process == "master":
            return self.suite.pid
        if process in ("zygote", "account"):
            zygotes = children(self.pid_of("keeper"))
            if process == "zygote" or not zygotes:
                return zygotes[0] if zygotes else None
            accounts = children(zygotes[0])
            return accounts[-1] if accounts else None
        for row in self.suite.status():
            if row["process"].startswith(process) and row["pid"]:
                return int(row["pid"])
        return None

    def kill(self, process):
        pid = wait_for(lambda: self.pid_of(process), what="a process " + process)
        at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if process in DOUBLING:
            self.kills.append(at)
        if process != "master":
            return at
        self.suite.process.wait()
        at = time.monotonic()
        self.suite.start_master()
        return at

    def test_nothing_is_lost(self):
        self.load()
        slowest, recipient = {}, self.suite.users[2][0]
        for _ in range(ROUNDS):
            for process in PROCESSES:
                at = self.kill(process)
                took = accepts_within(self.suite, 20, self.ledger, recipient, at)
                self.assertIsNotNone(took, "no 250 within 20 s after %s was killed\n%s"
                                     % (process, self.suite.log_tail()))
                slowest[process] = max(took, slowest.get(process, 0))
            self.assertEqual(crashes(self.suite.events()), [])
        sent, seconds = len(self.ledger.acknowledged), time.monotonic() - self.began
        for sender in self.senders:
            sender.stop()
        for sender in self.senders:
            sender.join(60)
        self.report(slowest, sent / seconds)

    def window(self):
        """How long before and after the nearest kill what was doubled was taken first, in ms."""
        distances = [0.0]
        for times in self.sink.taken.values():
            if len(times) > 1:
                distances.append(min((min(times) - at for at in self.kills), key=abs))
        return abs(min(distances)) * 1000, max(distances) * 1000

    def report(self, slowest, rate):
        wait_for(lambda: queue_is_empty(self.suite), 120, "the queue to become empty")
        mailboxes = read_mailboxes(self.suite, self.suite.users)
        complaints, doubled = self.ledger.check(mailboxes, self.sink.counts)
        complaints += crashes(self.suite.events())
        before_ms, after_ms = self.window()
        print("figures: %d acknowledged (%.0f/s), %d refused, %d unknown, %d doubled at the sink"
              % (len(self.ledger.acknowledged), rate, len(self.ledger.refused),
                 len(self.ledger.unknown), doubled),
              "(taken from %.0f ms before to %.0f ms after a kill);" % (before_ms, after_ms),
              "slowest 250:", ", ".join("%s %.2f s" % item for item in slowest.items()))
        print("refused because:", dict(self.ledger.reasons))
        self.assertEqual(complaints, [], "%d complaints" % len(complaints))
        self.assertLess(max(before_ms, after_ms), DOUBLED_WITHIN_S * 1000)
        self.assertGreater(len(self.ledger.acknowledged), 20 * ROUNDS)
        self.assertGreater(sum(self.sink.counts.values()), ROUNDS)
        self.assertEqual({p: t for p, t in slowest.items() if t > ACCEPT_S}, {})


if __name__ == "__main__":
    unittest.main()
