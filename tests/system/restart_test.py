"""`tambo restart`: the programs that are installed now take over, and nobody is refused meanwhile."""
import os
import signal
import socket
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness")]
from ledger import (Ledger, PatientSender, Poller, Sink, connect_mx,  # noqa: E402
                    connect_submission, queue_is_empty, read_mailboxes)
from suite import Suite, free_ports, wait_for  # noqa: E402

RESTARTS = 20 if os.environ.get("TAMBO_FULL") else 3


def fresh(**arguments):
    directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
    os.chmod(directory, 0o755)
    return Suite(directory, **arguments)


class Restart(unittest.TestCase):
    def start(self, **arguments):
        self.suite = fresh(**arguments)
        self.addCleanup(self.suite.destroy)
        return self.suite.start()

    def master(self):
        return self.suite.status()[0]

    def test_under_load(self):
        sink = Sink()
        self.addCleanup(sink.close)
        users = [("user%d@example.test" % i, "secret-%d" % i) for i in range(4)]
        suite = self.start(users=users, settings={
            "relay.smarthost": "127.0.0.1:%d" % sink.port,
            "queue.retry_min": "1s", "queue.retry_max": "2s"})
        addresses = [address for address, _ in users]
        ledger = Ledger()
        mx = connect_mx(suite)
        submission = connect_submission(suite, *users[0])
        clients = [PatientSender(ledger, mx, "s%d@elsewhere.test" % i, addresses, reuse=i == 0)
                   for i in range(3)]
        clients += [PatientSender(ledger, submission, addresses[0],
                                  ["someone@sink.test", addresses[1]], reuse=reuse)
                    for reuse in (False, True)]
        clients += [Poller(suite, *users[0]), Poller(suite, *users[1], stay=True)]
        for client in clients:
            client.start()
            self.addCleanup(client.stop)
        before = self.master()
        took = []
        for _ in range(RESTARTS):
            time.sleep(1)
            start = time.monotonic()
            suite.tambo("restart")
            took.append(time.monotonic() - start)
            now = self.master()
            self.assertEqual(now["pid"], before["pid"])
            self.assertNotEqual(now["started"], before["started"])
            self.assertEqual(now["epoch"], before["epoch"])  # each end was a clean one
            before = now
        time.sleep(1)
        for client in clients:
            client.stop()
        for client in clients:
            client.join(60)
        self.assertEqual([c.complaints for c in clients if c.complaints], [])
        self.assertEqual(dict(ledger.refused), {}, ledger.reasons)
        self.assertEqual(dict(ledger.unknown), {}, ledger.reasons)
        wait_for(lambda: queue_is_empty(suite), 60, "an empty queue")
        complaints, doubled = ledger.check(read_mailboxes(suite, users), sink.counts)
        self.assertEqual(complaints, [])
        self.assertEqual(doubled, 0)
        print("figures: %d restarts, %.1f to %.1f s; %d messages, %d sessions of IMAP; the longest "
              "wait of a client %.1f s" % (len(took), min(took), max(took),
                                           len(ledger.acknowledged),
                                           sum(getattr(c, "sessions", 0) for c in clients),
                                           max(c.longest for c in clients)))

    def test_what_could_not_start_does_not(self):
        suite = self.start()
        before = {row["process"]: row["pid"] for row in suite.status()}
        with open(suite.config) as f:
            good = f.read()
        with open(suite.config, "a") as f:
            f.write("\n[smtp]\nrecipients_maxi = 5\n")
        result = suite.tambo("restart", check=False)
        self.assertEqual(result.returncode, 78)
        self.assertIn('did you mean "smtp.recipients_max"', result.stderr)
        self.assertIn("what runs now goes on as it is", result.stderr)
        self.assertEqual({row["process"]: row["pid"] for row in suite.status()}, before)
        with open(suite.config, "w") as f:
            f.write(good)

    def test_ports_follow_the_configuration(self):
        suite = self.start()
        old, new = suite.ports["pop3"], free_ports(1)[0]
        with open(suite.config) as f:
            text = f.read()
        with open(suite.config, "w") as f:
            f.write(text.replace("127.0.0.1:%d" % old, "127.0.0.1:%d" % new))
        # A connection that is waiting in a port that stays is served by the next program.
        os.kill(suite.pid_of("mx.0"), signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", suite.ports["smtp"]), 30) as waiting:
            waiting.settimeout(60)
            suite.tambo("restart")
            self.assertTrue(waiting.recv(100).startswith(b"220 "))
        with socket.create_connection(("127.0.0.1", new), 30) as pop3:
            pop3.settimeout(30)
            self.assertTrue(pop3.recv(100).startswith(b"+OK"))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old), 30)

    def test_stop(self):
        suite = self.start()
        suite.tambo("stop")
        self.assertEqual(suite.process.wait(10), 0)
        self.assertEqual(suite.tambo("stop", check=False).returncode, 69)
        self.assertEqual(suite.tambo("restart", check=False).returncode, 69)


if __name__ == "__main__":
    unittest.main(verbosity=2)
