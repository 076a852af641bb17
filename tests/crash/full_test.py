"""A full disk, and one without inodes: mail is refused with 452, reading and deleting go on, and
everything works again when there is room.

A whole suite on a small image; what fills it lies beside the suite's state.
"""
import contextlib
import os
import signal
import smtplib
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import image  # noqa: E402
from imap_load import FAILURES, logged_in  # noqa: E402
from ledger import Sender, connect_mx, connect_submission  # noqa: E402
from rig import Rig  # noqa: E402
from suite import wait_for  # noqa: E402

USERS = [("user%d@example.test" % i, "secret-%d" % i) for i in range(2)]
RESERVE = 16 << 20  # of the harness's configuration
RESERVE_INODES = 5000
MESSAGES = 12


class Filler:
    """Takes what is free, down to what is to be left."""

    def __init__(self, top):
        self.top, self.number = os.path.join(top, "filler"), 0
        os.mkdir(self.top)

    def free(self):
        found = os.statvfs(self.top)
        return found.f_bavail * found.f_frsize, found.f_favail

    def next(self):
        self.number += 1
        return os.path.join(self.top, str(self.number))

    def take_bytes(self, left):
        with contextlib.suppress(OSError), open(self.next(), "wb", buffering=0) as f:
            while self.free()[0] > left:
                f.write(bytes(min(1 << 20, max(4096, self.free()[0] - left))))
            os.fsync(f.fileno())

    def take_inodes(self, left):
        with contextlib.suppress(OSError):
            while self.free()[1] > left:
                with open(self.next(), "wb"):
                    pass

    def give_back(self):
        for name in os.listdir(self.top):
            os.unlink(os.path.join(self.top, name))
        wait_for(lambda: self.free()[0] > RESERVE * 2, what="the space to come back")


def children(pid):
    with open("/proc/%s/task/%s/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


class Full(unittest.TestCase):
    def setUp(self):
        if not image.there():
            self.skipTest("not run: root")
        self.rig = Rig("ext4", USERS, size="128M", options=["-N", "16000"])
        self.addCleanup(self.rig.close)
        self.filler = Filler(self.rig.image.top)
        self.send(MESSAGES)
        wait_for(lambda: self.count() == MESSAGES, what="the first messages")

    def send(self, count):
        """Returns how many were accepted."""
        sender = Sender(self.rig.ledger, connect_mx(self.rig.suite), "stranger@elsewhere.test",
                        [USERS[0][0]])
        smtp = sender.connect()
        for _ in range(count):
            sender.send_one(smtp)
        smtp.quit()
        return sender.accepted

    def count(self):
        with self.imap() as imap:
            return int(imap.select("INBOX", readonly=True)[1][0])

    def imap(self):
        return logged_in(self.rig.suite, *USERS[0])

    def replies(self, connect, sender):
        """To MAIL, RCPT and DATA, as far as it goes."""
        smtp = connect()
        try:
            found = [smtp.mail(sender), smtp.rcpt(USERS[0][0])]
            if found[-1][0] == 250:
                found.append(smtp.data(b"Subject: no room\r\n\r\nx\r\n"))
        except smtplib.SMTPDataError as error:
            found.append((error.smtp_code, error.smtp_error))
        finally:
            smtp.close()
        return found

    def assert_refused(self):
        for connect, sender in ((connect_mx(self.rig.suite), "stranger@elsewhere.test"),
                                (connect_submission(self.rig.suite, *USERS[0]), USERS[0][0])):
            code, text = self.replies(connect, sender)[-1]
            self.assertEqual((code, text[:5]), (452, b"4.3.1"))
        with self.imap() as imap:
            answer, text = imap.append("Sent", None, None, b"Subject: no room\r\n\r\nx\r\n")
            self.assertEqual(answer, "NO", text)

    def assert_reads_and_deletes(self, deletes=True):
        """In the account process that is there, and in one that begins now."""
        self.reads_and_deletes(deletes)
        self.end_account_process()
        self.reads_and_deletes(deletes)

    def end_account_process(self):
        (keeper,) = [row["pid"] for row in self.rig.suite.status() if row["process"] == "keeper"]
        for zygote in children(keeper):
            for account in children(zygote):
                os.kill(account, signal.SIGKILL)
        wait_for(self.can_log_in, 20, "a login after the account's process was killed")

    def can_log_in(self):
        with contextlib.suppress(*FAILURES), self.imap():
            return True
        return False

    def reads_and_deletes(self, deletes):
        with self.imap() as imap:
            before = int(imap.select("INBOX")[1][0])
            answer, parts = imap.fetch("1:*", "(BODY.PEEK[])")
            self.assertEqual((answer, len([p for p in parts if isinstance(p, tuple)])),
                             ("OK", before))
            if not deletes:
                return
            numbers = self.numbers(imap)
            self.assertEqual(imap.store("1", "+FLAGS", "(\\Deleted)")[0], "OK")
            self.assertEqual(imap.expunge()[0], "OK")
            self.assertEqual(int(imap.select("INBOX")[1][0]), before - 1)
            (gone,) = numbers - self.numbers(imap)
            del self.rig.ledger.acknowledged[gone]

    def numbers(self, imap):
        parts = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-LEDGER)])")[1]
        return {p[1].split()[1].decode() for p in parts if isinstance(p, tuple)}

    def assert_recovers(self):
        self.filler.give_back()
        wait_for(lambda: self.send(1) == 1, 20, "mail to be accepted again")
        with self.imap() as imap:
            self.assertEqual(imap.append("Sent", None, None,
                                         b"X-Ledger: again\r\n\r\nx\r\n")[0], "OK")
        self.rig.changes.allowed["again"] = {("Sent", frozenset())}
        self.assertEqual(self.rig.complaints(), [])
        bad = [line for line in self.rig.suite.events()
               if " process.ended " in line or " process.fault " in line]
        self.assertEqual(bad, [])

    def test_disk(self):
        self.filler.take_bytes(RESERVE // 2)
        self.assert_refused()
        self.assert_reads_and_deletes()
        self.filler.take_bytes(0)
        self.assertLess(self.filler.free()[0], 4096)
        self.assert_refused()
        # The log of an index may have to grow for a change: that is what the reserve is for.
        self.assert_reads_and_deletes(deletes=False)
        self.assert_recovers()

    def test_inodes(self):
        self.filler.take_inodes(RESERVE_INODES - 100)
        code, text = self.replies(connect_mx(self.rig.suite), "stranger@elsewhere.test")[-1]
        self.assertEqual((code, text[:5]), (452, b"4.3.1"))
        self.assert_reads_and_deletes()
        self.filler.take_inodes(0)
        self.assertEqual(self.filler.free()[1], 0)
        self.assert_refused()
        self.assert_reads_and_deletes()
        self.assert_recovers()

    def test_it_fills_while_mail_is_in_the_queue(self):
        """What was accepted is delivered when there is room again."""
        self.rig.suite.tambo("queue", "list")
        accepted = 0
        while self.filler.free()[0] > RESERVE:
            self.filler.take_bytes(self.filler.free()[0] - (8 << 20))
            accepted += self.send(20)
        self.filler.take_bytes(0)
        self.assertGreater(accepted, 20)
        self.assert_recovers()


if __name__ == "__main__":
    image.enter()
    unittest.main(verbosity=2)
