"""A full account: who is refused, and that it is over when there is room again.

Whoever writes to a full account hears of it at RCPT. That is known to authd only by word of account
processes, which come and go, and it forgets it when it starts anew.
"""
import os
import signal
import smtplib
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import Lab, wait_for  # noqa: E402

QUOTA = 8 << 10
REFUSED = (452, b"4.2.2 mailbox full")
ACCEPTED = (250, b"2.1.5 recipient ok")
USERS = ["raised", "everybody", "emptied", "forgotten", "crowded", "small"]


class Quota(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(USERS, settings={"queue.retry_min": "1s", "queue.retry_max": "2s"})
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()
        cls.suite = cls.lab.suite

    def send(self, name, size):
        """The reply to RCPT; if that is a good one, the message goes."""
        address = name + "@example.test"
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], "client.test", timeout=60) as smtp:
            smtp.ehlo()
            smtp.mail("stranger@client.example")
            code, text = smtp.rcpt(address)
            if code == 250:
                line = "x" * 70 + "\r\n"
                self.assertEqual(smtp.data(
                    "From: stranger@client.example\r\n\r\n" + line * (size // len(line)))[0], 250)
            return code, text

    def deferred(self, name):
        return self.suite.tambo("queue", "list", "--to", name + "@example.test").count("mailbox full")

    def fill(self, name, quota=str(QUOTA)):
        """One message lies in the mailbox, one waits for room, a third is refused."""
        self.suite.tambo("user", "quota", name + "@example.test", quota)
        self.send(name, 6 << 10)
        self.lab.messages(name, 1)
        self.send(name, 6 << 10)
        wait_for(lambda: self.deferred(name), what="the second message to wait")
        wait_for(lambda: self.send(name, 100) == REFUSED, what="RCPT to be refused")

    def accepts_again(self, name, messages):
        """Both what waits and what comes."""
        wait_for(lambda: self.send(name, 100)[0] == 250, what="RCPT to be accepted")
        self.suite.tambo("queue", "flush")
        self.lab.messages(name, messages)
        self.assertEqual(self.deferred(name), 0)

    def end_sessions(self, name):
        for order in ("disable", "enable"):
            self.suite.tambo("user", order, name + "@example.test")

    def test_more_room_from_the_administrator(self):
        self.fill("raised")
        self.suite.tambo("user", "quota", "raised@example.test", "1G")
        self.accepts_again("raised", 3)

    def test_more_room_for_all(self):
        """store.quota is for accounts without one of their own."""
        with open(self.suite.config) as f:
            settings = f.read()

        def set_default(quota):
            with open(self.suite.config, "w") as f:
                f.write(settings + 'store.quota = "%s"\n' % quota)
            self.suite.tambo("reload")
        set_default(QUOTA)
        self.fill("everybody", "0")
        set_default("1G")
        self.accepts_again("everybody", 3)

    def test_room_by_expunging(self):
        self.fill("emptied")
        self.end_sessions("emptied")  # the process that knew
        imap = self.lab.imap("emptied")
        imap.store("1", "+FLAGS", "(\\Deleted)")
        imap.expunge()
        imap.logout()
        self.accepts_again("emptied", 2)

    def test_authd_that_starts_anew_is_told(self):
        self.fill("forgotten")
        os.kill(self.suite.pid_of("authd"), signal.SIGKILL)
        # What authd does not know is accepted, and waits.
        wait_for(lambda: self.send("forgotten", 4 << 10) == REFUSED, what="RCPT to be refused")

    def test_one_large_message_keeps_nobody_else_out(self):
        self.suite.tambo("user", "quota", "crowded@example.test", "1M")
        self.send("crowded", 2 << 20)
        wait_for(lambda: self.deferred("crowded"), what="the large message to wait")
        for _ in range(3):
            self.assertEqual(self.send("crowded", 20 << 10)[0], 250)
        self.lab.messages("crowded", 3)
        self.assertEqual(self.deferred("crowded"), 1)

    def test_messages_are_counted(self):
        self.suite.tambo("user", "quota", "small@example.test", "1G", "2")
        for _ in range(2):
            self.assertEqual(self.send("small", 100)[0], 250)
        self.lab.messages("small", 2)
        wait_for(lambda: self.send("small", 100) == REFUSED, what="RCPT to be refused")
        self.suite.tambo("user", "quota", "small@example.test", "1G", "50")
        wait_for(lambda: self.send("small", 100)[0] == 250, what="RCPT to be accepted")


if __name__ == "__main__":
    unittest.main(verbosity=2)
