"""A full account: who is refused, and that it is over when there is room again.

Whoever writes to a full account hears of it at RCPT. That is known to authd only by word of account
processes, which come and go, and it forgets it when it starts anew.
"""
import json
import os
import signal
import smtplib
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import Lab, wait_for  # noqa: E402

QUOTA = 8 << 10
FULL = (452, b"4.2.2 mailbox full")
TOO_LARGE = (452, b"4.2.2 mailbox has no room for a message of this size")
MESSAGE = 6 << 10  # there is room for one
USERS = ["raised", "everybody", "emptied", "forgotten", "crowded", "small", "underway", "reading",
         "crashed", "narrow", "shown", "unused"]


class Quota(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(USERS, settings={"queue.retry_min": "1s", "queue.retry_max": "2s"})
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()
        cls.suite = cls.lab.suite

    def rcpt(self, name, size):
        return self.send(name, size, only_rcpt=True)

    def send(self, name, size, only_rcpt=False, told=True, sender="stranger@client.example"):
        """The reply to RCPT; if that is a good one, the message goes."""
        address = name + "@example.test"
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], "client.test", timeout=60) as smtp:
            smtp.ehlo()
            smtp.mail(sender, ["SIZE=%d" % size] if told else [])
            code, text = smtp.rcpt(address)
            if code == 250 and not only_rcpt:
                line = "x" * 70 + "\r\n"
                self.assertEqual(smtp.data(
                    "From: stranger@client.example\r\n\r\n" + line * (size // len(line)))[0], 250)
            return code, text

    def deferred(self, name):
        return self.suite.tambo("queue", "list", "--to", name + "@example.test").count("mailbox full")

    def fill(self, name, quota=str(QUOTA)):
        """One message lies in the mailbox, one waits for room, a third is refused."""
        self.suite.tambo("user", "quota", name + "@example.test", quota)
        self.send(name, MESSAGE)
        self.lab.messages(name, 1)
        self.send(name, MESSAGE)
        wait_for(lambda: self.deferred(name), what="the second message to wait")
        wait_for(lambda: self.rcpt(name, MESSAGE) == TOO_LARGE, what="RCPT to be refused")
        self.assertEqual(self.rcpt(name, 0)[0], 250)  # it may be small

    def accepts_again(self, name, messages):
        """Both what waits and what comes."""
        wait_for(lambda: self.rcpt(name, MESSAGE)[0] == 250, what="RCPT to be accepted")
        self.suite.tambo("queue", "flush")
        self.lab.messages(name, messages)
        self.assertEqual(self.deferred(name), 0)

    def directory_of(self, name):
        shown = self.suite.tambo("user", "show", name + "@example.test", "--json")
        return os.path.join(self.suite.state, "mail", json.loads(shown)["id"])

    def process_of(self, name):
        """Of an account: whose working directory is its own."""
        directory = os.stat(self.directory_of(name))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                here = os.stat("/proc/%s/cwd" % pid)
            except OSError:
                continue
            if (here.st_dev, here.st_ino) == (directory.st_dev, directory.st_ino):
                return int(pid)
        return None

    def bodies(self, name):
        bodies = os.path.join(self.directory_of(name), "bodies")
        return sum(len(files) for _, _, files in os.walk(bodies))

    def set_default(self, quota):
        if not hasattr(self, "settings"):
            with open(self.suite.config) as f:
                self.settings = [line for line in f if not line.startswith("store.quota")]
        with open(self.suite.config, "w") as f:
            f.write("".join(self.settings) + 'store.quota = "%s"\n' % quota)
        self.suite.tambo("reload")

    def end_sessions(self, name):
        for order in ("disable", "enable"):
            self.suite.tambo("user", order, name + "@example.test")

    def test_more_room_from_the_administrator(self):
        self.fill("raised")
        self.suite.tambo("user", "quota", "raised@example.test", "1G")
        self.accepts_again("raised", 2)

    def test_more_room_for_all(self):
        """store.quota is for accounts without one of their own."""
        self.set_default(QUOTA)
        self.fill("everybody", "0")
        self.set_default("1G")
        self.accepts_again("everybody", 2)

    def test_more_room_for_all_while_somebody_reads(self):
        """Whoever is not full yet must not become so by the quota of before."""
        self.set_default(QUOTA)
        self.suite.tambo("user", "quota", "reading@example.test", "0")
        self.send("reading", 6 << 10)
        self.lab.messages("reading", 1)
        imap = self.lab.imap("reading")
        self.addCleanup(imap.logout)
        self.set_default("1G")
        for _ in range(2):
            self.assertEqual(self.send("reading", 6 << 10)[0], 250)
        wait_for(lambda: imap.select("INBOX")[1] == [b"3"], 15, "both to be filed")

    def test_more_room_while_a_delivery_is_under_way(self):
        """The process that gets the delivery after the change knows of the change."""
        self.fill("underway")
        process = wait_for(lambda: self.process_of("underway"), what="a process")
        os.kill(process, signal.SIGSTOP)
        self.suite.tambo("queue", "flush")
        time.sleep(3)  # longer than queue.retry_max: it has been given a delivery
        self.suite.tambo("user", "quota", "underway@example.test", "1G")
        os.kill(process, signal.SIGKILL)
        time.sleep(2)
        self.suite.tambo("queue", "flush")
        wait_for(lambda: not self.deferred("underway"), 40, "what waits to be filed")
        wait_for(lambda: self.rcpt("underway", MESSAGE)[0] == 250, 5, what="RCPT to be accepted")

    def test_room_made_right_before_a_crash(self):
        """Nothing waits in the queue that would wake the account."""
        self.suite.tambo("user", "quota", "crashed@example.test", "1G", "2")
        for _ in range(2):
            self.assertEqual(self.send("crashed", 100)[0], 250)
        self.lab.messages("crashed", 2)
        wait_for(lambda: self.rcpt("crashed", 100) == FULL, what="RCPT to be refused")
        imap = self.lab.imap("crashed")
        process = self.process_of("crashed")
        imap.store("1:2", "+FLAGS", "(\\Deleted)")
        imap.expunge()
        os.kill(process, signal.SIGKILL)
        wait_for(lambda: self.send("crashed", 100)[0] == 250, 10, what="RCPT to be accepted")

    def test_room_by_expunging(self):
        self.fill("emptied")
        self.end_sessions("emptied")  # the process that knew
        imap = self.lab.imap("emptied")
        imap.store("1", "+FLAGS", "(\\Deleted)")
        imap.expunge()
        imap.logout()
        self.accepts_again("emptied", 1)

    def test_authd_that_starts_anew_is_told(self):
        self.fill("forgotten")
        os.kill(self.suite.pid_of("authd"), signal.SIGKILL)
        # What authd does not know is accepted, and waits.
        wait_for(lambda: self.send("forgotten", 4 << 10) == TOO_LARGE, what="RCPT to be refused")

    def test_one_large_message_keeps_nobody_else_out(self):
        self.suite.tambo("user", "quota", "crowded@example.test", "3M")
        self.send("crowded", 2 << 20)
        self.send("crowded", 2 << 20)
        wait_for(lambda: self.deferred("crowded"), what="the large message to wait")
        for _ in range(3):
            self.assertEqual(self.send("crowded", 20 << 10)[0], 250)
        self.lab.messages("crowded", 4)
        self.assertEqual(self.rcpt("crowded", 2 << 20), TOO_LARGE)
        self.assertEqual(self.deferred("crowded"), 1)

    def test_more_than_the_whole_quota_does_not_wait(self):
        self.suite.tambo("user", "quota", "narrow@example.test", "1M")
        self.assertEqual(self.rcpt("narrow", 2 << 20),
                         (550, b"5.2.3 the message is too big for the mailbox"))
        # Without a word of its size it is found out by the mailbox.
        # (A report would come to the postmaster, who is one of the others.)
        self.assertEqual(self.send("narrow", 2 << 20, told=False, sender="")[0], 250)
        log = os.path.join(self.suite.state, "log", "events.log")

        def bounced():
            with open(log) as f:
                return any(all(word in line.split() for word in
                               ("queue.failed", 'rcpt="narrow@example.test"', 'code="552"',
                                'enhanced="5.2.3"')) for line in f)
        wait_for(bounced, what="the large message to be given up")
        self.assertEqual(self.bodies("narrow"), 0)  # what is given up keeps no space
        self.assertEqual(self.send("narrow", MESSAGE)[0], 250)
        self.lab.messages("narrow", 1)

    def test_usage_is_shown(self):
        def usage(*words):
            return {row["address"]: row for row in map(
                json.loads, self.suite.tambo("user", "usage", *words, "--json").splitlines())}
        address, unused = "shown@example.test", "unused@example.test"
        self.suite.tambo("user", "quota", address, str(QUOTA), "50")
        self.suite.tambo("user", "quota", unused, "1G")
        self.send("shown", MESSAGE)
        self.lab.messages("shown", 1)
        rows = usage(address, unused)
        shown = rows[address]
        used = int(shown["used_bytes"])
        self.assertTrue(MESSAGE * 0.9 < used < QUOTA, shown)
        self.assertEqual([int(shown[x]) for x in ("quota_bytes", "messages", "quota_messages")],
                         [QUOTA, 1, 50])
        self.assertEqual(int(shown["used_percent"]), 100 * used // QUOTA)
        self.assertEqual([int(rows[unused][x]) for x in ("used_bytes", "messages", "used_percent")],
                         [0, 0, 0])
        self.assertEqual(len(usage()), len(USERS))
        # Whoever has no process gets none for longer than the answer takes.
        self.end_sessions("shown")
        wait_for(lambda: self.process_of("shown") is None, what="its process to end")
        self.assertEqual(usage(address)[address], shown)
        wait_for(lambda: self.process_of("shown") is None, 5, "what answered to end")
        self.assertNotIn("452", self.suite.tambo("explain", address))
        self.send("shown", MESSAGE)
        wait_for(lambda: self.rcpt("shown", MESSAGE) == TOO_LARGE, what="RCPT to be refused")
        self.assertRegex(self.suite.tambo("explain", address),
                         r"452 4\.2\.2 for a message of \d+ bytes or more")

    def test_messages_are_counted(self):
        self.suite.tambo("user", "quota", "small@example.test", "1G", "2")
        for _ in range(2):
            self.assertEqual(self.send("small", 100)[0], 250)
        self.lab.messages("small", 2)
        wait_for(lambda: self.rcpt("small", 100) == FULL, what="RCPT to be refused")
        self.suite.tambo("user", "quota", "small@example.test", "1G", "50")
        wait_for(lambda: self.send("small", 100)[0] == 250, what="RCPT to be accepted")


if __name__ == "__main__":
    unittest.main(verbosity=2)
