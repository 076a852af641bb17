"""mbsync keeps a Maildir and an account the same: 1,000 messages and their flags, both ways.

It is the client that leans hardest on UIDs, UIDPLUS and APPEND: what it sees twice or misses is
counted here.
"""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import Lab, local_lines, plain_message  # noqa: E402

HALF = 500
# Maildir's letters and IMAP's names; every message gets one of the combinations.
FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen"}
COMBINATIONS = ["".join(letter for bit, letter in enumerate(sorted(FLAGS)) if number >> bit & 1)
                for number in range(16)]
CHANGES = rb">>> \d+ (UID STORE|UID COPY|UID MOVE|UID EXPUNGE|EXPUNGE|APPEND|CREATE|DELETE|UID FETCH .*BODY)"


def flags_for(number):
    return COMBINATIONS[number % 16]


def message(name):
    body = "Line of %s: Grüße\r\n.\r\n" % name
    return plain_message("alice@example.test", "sync@example.test", name, body * 8)


class Sync(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(["sync"])
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()

    def configure(self, tls, port, ca):
        self.rc = self.lab.write("mbsyncrc", """
IMAPAccount account
Host localhost
Port %d
User sync@example.test
Pass sync-secret
SSLType %s
SystemCertificates no
CertificateFile %s
Timeout 30

IMAPStore server
Account account

MaildirStore here
Path %s/
Inbox %s
SubFolders Verbatim

Channel all
Far :server:
Near :here:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""" % (self.lab.ports[port], tls, ca, self.lab.path("mail"), self.lab.path("mail", "INBOX")))

    def mbsync(self, *options):
        result = self.lab.run("mbsync", "-c", self.rc, "--all", *options, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout[-3000:].decode(errors="replace"))
        return result.stdout

    # ---- what is where

    def here(self, mailbox="INBOX"):
        """{subject: (flags, message)} of the Maildir."""
        found = {}
        for folder in ("new", "cur"):
            directory = self.lab.path("mail", mailbox, folder)
            for name in os.listdir(directory):
                flags = name.rpartition(":2,")[2] if ":2," in name else ""
                with open(os.path.join(directory, name), "rb") as f:
                    text = f.read()
                self.add(found, text, "".join(sorted(flags)))
        return found

    def there(self, mailbox="INBOX"):
        """The same of the account."""
        found = {}
        client = self.lab.imap("sync", mailbox)
        try:
            if client.uid("SEARCH", "ALL")[1][0]:
                for part in client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]:
                    if isinstance(part, tuple):
                        names = re.search(rb"FLAGS \(([^)]*)\)", part[0]).group(1).decode().split()
                        flags = sorted(letter for letter, name in FLAGS.items() if name in names)
                        self.add(found, local_lines(part[1]), "".join(flags))
        finally:
            client.logout()
        return found

    def add(self, found, text, flags):
        subject = re.search(rb"^Subject: (.*)$", text, re.M).group(1).decode()
        self.assertNotIn(subject, found, "twice")
        # mbsync marks what it uploads, so that it finds it again.
        found[subject] = (flags, re.sub(rb"^X-TUID: .*\n", b"", text, count=1, flags=re.M))

    def assert_same(self, expected, mailbox="INBOX"):
        """expected is {subject: flags}; the text is that of message()."""
        for side in (self.here(mailbox), self.there(mailbox)):
            self.assertEqual({name: flags for name, (flags, _) in side.items()}, expected)
            for name, (_, text) in side.items():
                self.assertEqual(text, local_lines(message(name)))

    def tree(self):
        return sorted((os.path.join(top, name), os.stat(os.path.join(top, name)).st_mtime_ns)
                      for top, _, names in os.walk(self.lab.path("mail")) for name in names
                      if not name.startswith("."))

    def marks(self):
        client = self.lab.imap("sync", None)
        try:
            return client.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")[1]
        finally:
            client.logout()

    def assert_second_run_does_nothing(self):
        before = self.tree(), self.marks()
        # What it says to the server is part of the output.
        said = self.mbsync("--debug-net")
        self.assertRegex(said, rb">>> \d+ SELECT")
        self.assertEqual(re.findall(CHANGES, said), [])
        self.assertEqual((self.tree(), self.marks()), before)

    # ---- changes

    def file_here(self, name, flags, mailbox="INBOX"):
        self.lab.write("mail/%s/cur/%s.host:2,%s" % (mailbox, name, flags),
                       local_lines(message(name)))

    def change_here(self, name, change):
        """change(flags) is the new set, None removes the message."""
        directory = self.lab.path("mail", "INBOX", "cur")
        old, = [n for n in os.listdir(directory) if n in self.names[name]]
        new = change(old.rpartition(":2,")[2])
        base = old.rpartition(":2,")[0]
        if new is None:
            os.unlink(os.path.join(directory, old))
        else:
            os.rename(os.path.join(directory, old),
                      os.path.join(directory, "%s:2,%s" % (base, new)))

    def learn_names(self):
        """Which file holds which message; new/ becomes cur/, as a mail reader would do it."""
        new, cur = self.lab.path("mail", "INBOX", "new"), self.lab.path("mail", "INBOX", "cur")
        for name in os.listdir(new):
            os.rename(os.path.join(new, name),
                      os.path.join(cur, name if ":2," in name else name + ":2,"))
        self.names = {}
        for name in os.listdir(cur):
            with open(os.path.join(cur, name), "rb") as f:
                subject = re.search(rb"^Subject: (.*)$", f.read(), re.M).group(1).decode()
            self.names.setdefault(subject, []).append(name)

    def fill(self):
        client = self.lab.imap("sync", None)
        try:
            for number in range(HALF):
                names = " ".join(FLAGS[letter] for letter in flags_for(number))
                reply = client.append("INBOX", "(%s)" % names, None, message("far%d" % number))
                self.assertEqual(reply[0], "OK")
            self.assertEqual(client.create('"Archive/2026"')[0], "OK")
            self.assertEqual(client.create("Entw&APw-rfe")[0], "OK")
            self.assertEqual(client.append("Archive/2026", "(\\Seen)", None, message("old"))[0], "OK")
            self.assertEqual(client.append("Entw&APw-rfe", "(\\Draft)", None,
                                           message("draft"))[0], "OK")
        finally:
            client.logout()
        self.lab.make_maildir("mail", "INBOX")
        self.lab.make_maildir("mail", "Local")
        for number in range(HALF):
            self.file_here("near%d" % number, flags_for(number))
        self.file_here("mine", "FS", "Local")

    def test_two_ways(self):
        self.configure("IMAPS", "imaps", self.lab.stranger_ca)
        self.assertNotEqual(self.lab.run("mbsync", "-c", self.rc, "--all").returncode, 0)
        self.configure("IMAPS", "imaps", self.lab.ca)
        self.fill()
        self.mbsync()
        expected = {side + str(number): flags_for(number) for side in ("far", "near")
                    for number in range(HALF)}
        self.assert_same(expected)
        self.assert_same({"old": "S"}, "Archive/2026")
        self.assert_same({"mine": "FS"}, "Local")
        self.assertEqual([flags for flags, _ in self.there("Entw&APw-rfe").values()], ["D"])
        self.assert_second_run_does_nothing()

        # STARTTLS must do for the rest.
        self.configure("STARTTLS", "imap", self.lab.ca)
        self.flags_both_ways(expected)
        self.deletions_both_ways(expected)

    def flags_both_ways(self, expected):
        self.learn_names()
        for number in range(0, HALF, 5):
            for side in ("far", "near"):
                name = side + str(number)
                self.change_here(name, lambda old: "".join(sorted(set(old) ^ {"F"})))
                expected[name] = "".join(sorted(set(expected[name]) ^ {"F"}))
        client = self.lab.imap("sync")
        try:
            uids = self.uids(client)
            for number in range(1, HALF, 5):
                for side in ("far", "near"):
                    name = side + str(number)
                    sign = "-" if "S" in expected[name] else "+"
                    self.assertEqual(client.uid("STORE", uids[name], sign + "FLAGS.SILENT",
                                                "(\\Seen)")[0], "OK")
                    expected[name] = "".join(sorted(set(expected[name]) ^ {"S"}))
        finally:
            client.logout()
        self.mbsync()
        self.assert_same(expected)
        self.assert_second_run_does_nothing()

    def deletions_both_ways(self, expected):
        self.learn_names()
        for number in range(2, HALF, 5):
            for side in ("far", "near"):
                self.change_here(side + str(number), lambda _: None)
                del expected[side + str(number)]
        client = self.lab.imap("sync")
        try:
            uids = self.uids(client)
            gone = [side + str(number) for side in ("far", "near") for number in range(3, HALF, 5)]
            client.uid("STORE", b",".join(uids[name] for name in gone).decode(), "+FLAGS.SILENT",
                       "(\\Deleted)")
            self.assertEqual(client.expunge()[0], "OK")
            for name in gone:
                del expected[name]
        finally:
            client.logout()
        self.assertEqual(len(expected), 2 * HALF * 3 // 5)
        self.mbsync()
        self.assert_same(expected)
        self.assert_second_run_does_nothing()

    def uids(self, client):
        """{subject: UID} of the selected mailbox."""
        found = {}
        for part in client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                uid = re.search(rb"UID (\d+)", part[0]).group(1)
                found[re.search(rb"Subject: (\S+)", part[1]).group(1).decode()] = uid
        return found


if __name__ == "__main__":
    unittest.main(verbosity=2)
