"""A daemon that was taken over and knows the protocol between the daemons: of what it says to master
and to its neighbours some frames are others than it should say (tests/hostile). Whatever it says, no
other process ends by it, and when an honest daemon is in its place again everything works (RULES.md
P8).

Some seconds for each daemon, a minute with --full."""
import imaplib
import os
import poplib
import re
import shutil
import smtplib
import ssl
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "harness")]
from ledger import Ledger, Sender, Sink, connect_mx, connect_submission  # noqa: E402
from suite import ROOT, Suite, wait_for  # noqa: E402

PROGRAMS = os.path.join(ROOT, "build", "release", "bin", "hostile")
SECONDS = 60 if os.environ.get("TAMBO_FULL") else 3
ONE_IN, SPARED = 8, 4
SEED = int(os.environ.get("TAMBO_SEED", time.time_ns() % 2 ** 31))
# The program, and the instances that execute it.
DAEMONS = {"smtpd": ("mx.", "submit."), "queued": ("queued",), "relayd": ("relayd.",),
           "deliverd": ("deliverd",), "imapd": ("imapd.",), "pop3d": ("pop3d.",),
           "mailboxd": ("keeper",), "authd": ("authd",), "keyd": ("keyd",), "dnsd": ("dnsd",),
           "logd": ("logd",)}
HARMLESS = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto)


class Reader(threading.Thread):
    """Somebody who logs in, looks and leaves, again and again, whatever happens."""

    def __init__(self, suite, protocol):
        super().__init__(daemon=True)
        self.suite, self.protocol = suite, protocol
        self.trust = ssl.create_default_context(cafile=suite.ca)
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            try:
                getattr(self, self.protocol)()
            except HARMLESS:
                self.ending.wait(0.05)

    def imap(self):
        with imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=self.trust,
                               timeout=5) as imap:
            imap.login(*self.suite.users[0])
            imap.select()
            imap.append("INBOX", None, None, b"Subject: x\r\n\r\ny\r\n")
            imap.fetch("1:*", "(FLAGS)")

    def pop3(self):
        pop3 = poplib.POP3_SSL("127.0.0.1", self.suite.ports["pop3s"], timeout=5, context=self.trust)
        try:
            pop3.user(self.suite.users[1][0])
            pop3.pass_(self.suite.users[1][1])
            pop3.stat()
            pop3.quit()
        finally:
            pop3.close()


class HostileFrames(unittest.TestCase):
    def start(self, daemon):
        self.dir = tempfile.mkdtemp(prefix="tambo-hostile.")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        self.suite = Suite(os.path.join(self.dir, "suite"), settings={
            "relay.smarthost": "127.0.0.1:%d" % self.sink.port, "queue.retry_min": "1s",
            "queue.retry_max": "2s", "limits.login_delay_max": "0s"})
        self.addCleanup(self.suite.destroy)
        programs = os.path.join(self.dir, "bin")
        shutil.copytree(self.suite.bin, programs, ignore=lambda directory, names: [
            name for name in names if not os.access(os.path.join(directory, name), os.X_OK)
            or os.path.isdir(os.path.join(directory, name)) or name.startswith(("unit_", "fuzz_"))])
        shutil.copy(os.path.join(PROGRAMS, daemon), os.path.join(programs, daemon))
        self.suite.bin = programs
        self.plan(0)
        self.suite.start()

    def plan(self, one_in):
        with open(os.path.join(self.suite.bin, "hostile.conf"), "w") as f:
            f.write("%d %d %d\n" % (one_in, SPARED, SEED))

    def instances(self, daemon):
        return [row for row in self.suite.status()
                if row["process"].startswith(DAEMONS[daemon]) and row["pid"]]

    def restart(self, daemon):
        """As the plan is now."""
        for row in self.instances(daemon):
            try:
                os.kill(int(row["pid"]), 9)
            except ProcessLookupError:
                pass

    def load(self):
        addresses = [address for address, _ in self.suite.users]
        ledger = Ledger()
        busy = [Sender(ledger, connect_mx(self.suite), "stranger@elsewhere.test", addresses, rate=20)
                for _ in range(3)]
        address, password = self.suite.users[0]
        busy.append(Sender(ledger, connect_submission(self.suite, address, password), address,
                           ["someone@sink.test"], rate=20))
        return busy, [Reader(self.suite, protocol) for protocol in ("imap", "pop3")]

    def deaths(self, daemon, since):
        """Of others, by what they had to read."""
        found = []
        for line in self.suite.events()[since:]:
            ended = re.search(r' process\.ended .*process="([^"]+)" .*how="(signal|status) (\d+)"',
                              line)
            if ended and not ended.group(1).startswith(DAEMONS[daemon]) and ended.group(3) != "0":
                found.append(line)
        return found

    def try_daemon(self, daemon):
        self.start(daemon)
        since = len(self.suite.events())
        self.plan(ONE_IN)
        self.restart(daemon)
        senders, readers = self.load()
        for thread in senders + readers:
            thread.start()
        time.sleep(SECONDS)
        for thread in senders + readers:
            thread.ending.set()
        self.assertIsNone(self.suite.process.poll(), "master has ended\n" + self.suite.log_tail())
        self.assertEqual(self.deaths(daemon, since), [])
        self.plan(0)
        self.restart(daemon)
        self.works_again()
        self.assertEqual(self.deaths(daemon, since), [])

    def works_again(self):
        """A message is taken and read."""
        ledger, recipient = Ledger(), self.suite.users[1]
        sender = Sender(ledger, None, "friend@elsewhere.test", [recipient[0]])

        def taken():
            try:
                with connect_mx(self.suite)() as smtp:
                    sender.send_one(smtp)
            except HARMLESS:
                pass
            return ledger.acknowledged
        number = next(iter(wait_for(taken, 60, "a message to be taken")))

        def there():
            try:
                with imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], timeout=10,
                                       ssl_context=ssl.create_default_context(
                                           cafile=self.suite.ca)) as imap:
                    imap.login(*recipient)
                    imap.select()
                    return imap.search(None, "HEADER", "X-Ledger", number)[1][0]
            except HARMLESS:
                return None
        wait_for(there, 60, "the message to be read")


def of_daemon(daemon):
    def test(self):
        self.try_daemon(daemon)
    return test


for name in DAEMONS:
    setattr(HostileFrames, "test_" + name, of_daemon(name))


if __name__ == "__main__":
    print("seed", SEED)
    unittest.main()
