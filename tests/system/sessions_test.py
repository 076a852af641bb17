"""Several clients in one account at the same time.

A delivery in another's IDLE, flags of one seen by the other, POP3's lock beside IMAP.
"""
import imaplib
import os
import poplib
import re
import signal
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import (Lab, first_difference, plain_message, rich_message,  # noqa: E402
                     trace_and_rest, wait_for)

USERS = ["alice", "idle", "many", "flags", "expunge", "pop"]


class Idling:
    """IDLE in imaplib, which has none: lines() collects until one matches."""

    def __init__(self, client):
        self.client = client
        self.tag = client._new_tag()
        client.send(self.tag + b" IDLE\r\n")
        line = client.readline()
        if not line.startswith(b"+"):
            raise AssertionError("no IDLE: %r" % line)

    def lines_until(self, pattern):
        lines = []
        while True:
            line = self.client.readline()  # the connection has a time limit
            if not line:
                raise AssertionError("connection lost after %r" % lines)
            lines.append(line)
            if re.search(pattern, line):
                return lines

    def done(self):
        self.client.send(b"DONE\r\n")
        return self.lines_until(b"^" + self.tag + b" OK")


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(USERS)
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()

    def connect(self, name, mailbox="INBOX"):
        client = self.lab.imap(name, mailbox)
        self.addCleanup(self.leave, client)
        return client

    def leave(self, client):
        try:
            client.logout()
        except (client.abort, client.error, OSError):
            client.shutdown()

    def append(self, client, count):
        for number in range(count):
            message = plain_message("alice@example.test", "flags@example.test", "m%d" % number)
            self.assertEqual(client.append("INBOX", None, None, message)[0], "OK")

    def untagged(self, client, pattern):
        """What a NOOP of this client brings, as one text."""
        tag = client._new_tag()
        client.send(tag + b" NOOP\r\n")
        lines = []
        while not lines or not lines[-1].startswith(tag):
            lines.append(client.readline())
        self.assertRegex(b"".join(lines), pattern)
        return b"".join(lines)

    def left(self, messages, expunged):
        """Each number counts in what the ones before it left (RFC 3501 7.4.1)."""
        for number in expunged:
            del messages[int(number) - 1]
        return messages

    def test_a_delivery_shows_in_idle_at_once(self):
        client = self.connect("idle")
        message = rich_message("alice@example.test", "idle@example.test", "while idling")
        for number in (1, 2, 3):
            idling = Idling(client)
            self.lab.submit("alice", "idle@example.test", message, ["BODY=8BITMIME"])
            # Nobody asks; the server tells.
            idling.lines_until(rb"^\* %d EXISTS\r\n" % number)
            idling.done()
            raw = client.fetch(str(number), "(BODY.PEEK[])")[1][0][1]
            self.assertIsNone(first_difference(trace_and_rest(raw)[1], message))

    def test_every_idling_client_is_told(self):
        clients = [self.connect("many") for _ in range(8)]
        idlers = [Idling(client) for client in clients]
        message = plain_message("alice@example.test", "many@example.test", "to all")
        self.lab.submit("alice", "many@example.test", message)
        for idling in idlers:
            idling.lines_until(rb"^\* 1 EXISTS")
        # What one of them does the others see, still idling.
        idlers[0].done()
        clients[0].store("1", "+FLAGS", "(\\Seen)")
        for idling in idlers[1:]:
            lines = idling.lines_until(rb"^\* 1 FETCH")
            self.assertIn(b"\\Seen", lines[-1])
        clients[0].store("1", "+FLAGS.SILENT", "(\\Deleted)")
        clients[0].expunge()
        for idling in idlers[1:]:
            idling.lines_until(rb"^\* 1 EXPUNGE")
            idling.done()

    def test_two_clients_see_each_others_flags(self):
        one, other = self.connect("flags"), self.connect("flags")
        self.append(one, 3)
        self.untagged(other, rb"\* 3 EXISTS")
        one.store("1", "+FLAGS", "(\\Flagged \\Seen)")
        self.untagged(other, rb"\* 1 FETCH \([^)]*FLAGS \([^)]*\\Flagged[^)]*\)")
        other.store("2", "+FLAGS.SILENT", "(\\Answered $Label1)")
        self.untagged(one, rb"\* 2 FETCH \([^)]*FLAGS \([^)]*\\Answered[^)]*\)")
        other.store("1", "-FLAGS.SILENT", "(\\Flagged)")
        self.untagged(one, rb"\* 1 FETCH \([^)]*FLAGS \([^)]*\\Seen[^)]*\)")
        for client in (one, other):
            flags = [set(re.search(rb"FLAGS \(([^)]*)\)", line).group(1).split()) - {b"\\Recent"}
                     for line in client.fetch("1:*", "(FLAGS)")[1]]
            self.assertEqual(flags, [{b"\\Seen"}, {b"\\Answered", b"$Label1"}, set()])

    def test_an_expunge_keeps_the_others_numbers_until_they_may_hear(self):
        one, other = self.connect("expunge"), self.connect("expunge")
        self.append(one, 4)
        self.untagged(other, rb"\* 4 EXISTS")
        one.store("1,3", "+FLAGS.SILENT", "(\\Deleted)")
        self.assertEqual(self.left([1, 2, 3, 4], one.expunge()[1]), [2, 4])
        # RFC 3501 7.4.1: no EXPUNGE during FETCH; the numbers still mean what they did.
        subject = other.fetch("4", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1]
        self.assertEqual(subject, b"Subject: m3\r\n\r\n")
        heard = self.untagged(other, rb"EXPUNGE")
        self.assertEqual(self.left([1, 2, 3, 4], re.findall(rb"\* (\d+) EXPUNGE", heard)), [2, 4])
        subject = other.fetch("2", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1]
        self.assertEqual(subject, b"Subject: m3\r\n\r\n")

    def pop3(self):
        client = poplib.POP3_SSL("127.0.0.1", self.lab.ports["pop3s"], timeout=30,
                                 context=self.lab.context())
        self.addCleanup(client.close)
        client.user("pop@example.test")
        return client

    def test_pop3_and_imap_together(self):
        imap = self.connect("pop")
        self.append(imap, 3)
        first = self.pop3()
        first.pass_("pop-secret")
        self.assertEqual(first.stat()[0], 3)
        # RFC 1939 section 4: the maildrop is locked for another POP3 session.
        with self.assertRaisesRegex(poplib.error_proto, "IN-USE"):
            self.pop3().pass_("pop-secret")
        first.dele(2)
        idling = Idling(imap)
        first.quit()
        idling.lines_until(rb"^\* 2 EXPUNGE")
        idling.done()
        again = self.pop3()
        again.pass_("pop-secret")
        self.assertEqual(again.stat()[0], 2)
        again.quit()

    def test_deliveries_of_many_senders_reach_one_idling_client(self):
        client = self.connect("idle", None)
        client.create("Elsewhere")
        client.select("INBOX")
        before = int(client.untagged_responses["EXISTS"][-1])
        idling = Idling(client)

        def send(sender):
            for number in range(5):
                self.lab.submit("alice", "idle@example.test", plain_message(
                    "alice@example.test", "idle@example.test", "s%d-%d" % (sender, number)))
        senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in senders:
            thread.start()
        idling.lines_until(rb"^\* %d EXISTS" % (before + 20))
        for thread in senders:
            thread.join()
        idling.done()
        subjects = [part[1] for part in client.fetch(
            "%d:*" % (before + 1), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if len(part) == 2]
        self.assertEqual(sorted(subjects), sorted(
            b"Subject: s%d-%d\r\n\r\n" % (sender, number) for sender in range(4)
            for number in range(5)))


class Limits(unittest.TestCase):
    """limits.sessions_per_login_per_address, with loopback not exempt."""

    def setUp(self):
        self.lab = Lab(["alice", "bob"], settings={
            "limits.loopback": "true", "limits.connection_rate_per_minute": "1000",
            "limits.sessions_per_login_per_address": "2"})
        self.addCleanup(self.lab.destroy)
        self.lab.start()

    def imap(self, name="alice"):
        client = imaplib.IMAP4_SSL("127.0.0.1", self.lab.ports["imaps"], timeout=30,
                                   ssl_context=self.lab.context())
        self.addCleanup(client.sock.close)
        client.login(name + "@example.test", name + "-secret")
        return client

    def pop3(self):
        client = poplib.POP3_SSL("127.0.0.1", self.lab.ports["pop3s"], timeout=30,
                                 context=self.lab.context())
        self.addCleanup(client.close)
        client.user("alice@example.test")
        return client

    def refused(self):
        with self.assertRaisesRegex(imaplib.IMAP4.error, r"\[LIMIT\] too many sessions"):
            self.imap()
        with self.assertRaisesRegex(poplib.error_proto, r"\[SYS/TEMP\] too many sessions"):
            self.pop3().pass_("alice-secret")

    def served_again(self, connect):
        """Authd may hear of the end of the last session a moment after its client."""
        def served():
            try:
                return connect()
            except (imaplib.IMAP4.error, OSError):
                return None
        return wait_for(served, what="a session after another has ended")

    def test_sessions_of_a_login_are_limited_while_they_last(self):
        first, second = self.imap(), self.imap()
        self.refused()
        self.imap("bob")
        first.logout()
        self.served_again(self.imap)
        self.refused()
        second.shutdown()  # without a word
        self.served_again(self.imap)
        self.refused()

    def test_imap_and_pop3_count_together_and_end_with_their_process(self):
        maildrop = self.pop3()
        maildrop.pass_("alice-secret")
        self.imap()
        self.refused()
        for row in self.lab.suite.status():
            if row["process"].startswith("imapd.") and row["pid"]:
                os.kill(int(row["pid"]), signal.SIGKILL)
        self.lab.suite.wait_ports()
        self.served_again(self.imap)
        self.refused()
        maildrop.quit()
        self.served_again(self.imap)
        self.assertTrue([e for e in self.lab.suite.events() if " auth.too_many_sessions " in e])


if __name__ == "__main__":
    unittest.main(verbosity=2)
