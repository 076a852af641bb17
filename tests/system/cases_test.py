"""Every row of tests/system/cases.py against one running suite, one test for each row."""
import imaplib
import json
import os
import re
import smtplib
import ssl
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "harness")]
from cases import CASES, DOMAIN, HOST  # noqa: E402
from sink import Sink  # noqa: E402
from suite import Suite, wait_for  # noqa: E402

ACCOUNTS = ["alice", "bob", "jörg", "full", "crowd", "post"]
PASSWORD = "correct horse"


class Stop(Exception):
    """The command that was refused, and its reply."""


class Client:
    """One SMTP dialogue, command by command: the first refusal of MAIL or DATA ends it."""

    def __init__(self, suite, case, tls):
        port = suite.ports["smtp" if case.door == "mx" else "submission"]
        self.smtp = smtplib.SMTP("127.0.0.1", port, timeout=60)
        self.smtp.command_encoding = "utf-8"
        self.smtp.ehlo("client.example")
        if case.door != "mx":
            self.smtp.starttls(context=tls)
            self.smtp.ehlo("client.example")
        if case.login:
            self.smtp.login("%s@%s" % (case.login, DOMAIN), PASSWORD)

    def run(self, sender, case, data):
        """The command that decided, and its reply as "code enhanced text"."""
        at, reply = "MAIL", self.command("MAIL FROM:<%s>%s" % (sender, case.mail_options))
        if not reply.startswith("2"):
            return at, reply
        replies = [self.command("RCPT TO:<%s>" % to) for to in case.recipients]
        if not any(r.startswith("2") for r in replies) or case.at == "RCPT":
            return "RCPT", replies[-1]
        reply = self.command("DATA")
        if not reply.startswith("354"):
            return "DATA", reply
        self.smtp.send(data + b".\r\n")
        return "END", self.reply()

    def command(self, line):
        self.smtp.putcmd(line)
        return self.reply()

    def reply(self):
        code, text = self.smtp.getreply()
        return "%d %s" % (code, text.decode())

    def close(self):
        try:
            self.smtp.quit()
        except smtplib.SMTPException:
            self.smtp.close()


class Mailboxes:
    """The mail of every account, read by IMAP."""

    def __init__(self, suite, tls):
        self.sessions = {}
        for name in ACCOUNTS:
            imap = imaplib.IMAP4_SSL("127.0.0.1", suite.ports["imaps"], ssl_context=tls, timeout=60)
            plain = "\0%s@%s\0%s" % (name, DOMAIN, PASSWORD)
            imap.authenticate("PLAIN", lambda _, text=plain: text.encode())
            self.sessions[name] = imap

    def messages(self, name, *criteria, mailbox="INBOX"):
        imap = self.sessions[name]
        imap.select(mailbox, readonly=True)
        return imap.search(None, *criteria)[1][0].split()

    def copies(self, name, message_id, mailbox="INBOX"):
        return self.messages(name, "HEADER", "Message-ID", message_id, mailbox=mailbox)

    def reports(self, name, message_id):
        return self.messages(name, "HEADER", "Content-Type", "multipart/report", "BODY", message_id)

    def fetch(self, name, number):
        return self.sessions[name].fetch(number, "(BODY.PEEK[])")[1][0][1].decode()

    def close(self):
        for imap in self.sessions.values():
            try:
                imap.logout()
            except (imaplib.IMAP4.error, OSError):
                pass


class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = Sink()
        directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(directory, 0o755)
        users = [("%s@%s" % (name, DOMAIN), PASSWORD) for name in ACCOUNTS]
        cls.suite = Suite(directory, domains=[DOMAIN, "catch.test", "closed.test"], users=users,
                          settings={"relay.smarthost": "127.0.0.1:%d" % cls.sink.port})
        cls.lasting = dict(cls.suite.settings)
        try:
            cls.start()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def start(cls):
        suite = cls.suite
        os.makedirs(suite.dir, exist_ok=True)
        with open(os.path.join(suite.dir, "aliases"), "w") as f:
            f.write("webteam: alice@%s\n" % DOMAIN)
        suite.start()
        with open(suite.config) as f:
            cls.config = f.read()
        suite.tambo("user", "add", "off@" + DOMAIN, "--stdin", stdin=PASSWORD + "\n")
        suite.tambo("user", "disable", "off@" + DOMAIN)
        suite.tambo("user", "quota", "full@" + DOMAIN, "8K", "1")
        suite.tambo("domain", "disable", "closed.test")
        for alias, *targets in (("sales", "alice", "bob"), ("away", "someone@remote.example"),
                                ("ring-a", "ring-b"), ("ring-b", "ring-a"),
                                ("team", "alice", "full"), ("gone", "refused@remote.example"),
                                ("post", "post", "copy@remote.example"),
                                ("postmaster", "post")):
            targets = [t if "@" in t else "%s@%s" % (t, DOMAIN) for t in targets]
            suite.tambo("alias", "add", "--force", "%s@%s" % (alias, DOMAIN), *targets)
        suite.tambo("alias", "add", "*@catch.test", "bob@" + DOMAIN)
        cls.tls = ssl.create_default_context(cafile=suite.ca)
        cls.mail = Mailboxes(suite, cls.tls)
        cls.expected = {name: set() for name in ACCOUNTS}

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "mail"):
            cls.mail.close()
        cls.suite.destroy()
        cls.sink.close()

    # ---- what some rows need first

    def make_lists_mailbox(self):
        self.mail.sessions["bob"].create("Lists")

    def fill_full(self):
        """The one message that its quota allows; then RCPT is refused."""
        def is_known():
            with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], timeout=60) as smtp:
                smtp.ehlo()
                smtp.mail("filler@client.example")
                return smtp.rcpt("full@" + DOMAIN)[0] == 452
        if is_known():
            return
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("filler@client.example", "full@" + DOMAIN,
                          "From: filler@client.example\r\n\r\nfills it\r\n")
        wait_for(is_known, what="the account to be full")

    def take_settings(self, settings):
        """They stand before the suite's own: TOML has each key once."""
        lines = [line for line in self.config.splitlines()
                 if line.split(" = ")[0] not in settings]
        with open(self.suite.config, "w") as f:
            f.write("".join("%s = %s\n" % (k, json.dumps(v)) for k, v in settings.items()))
            f.write("\n".join(lines) + "\n")
        self.suite.tambo("reload")

    # ---- one row

    def message(self, case, sender, message_id):
        header = case.header
        if header is None:
            header = "From: %s\r\nTo: someone@client.example\r\nSubject: %s\r\n" % (
                sender or "null@client.example", case.name)
        return (header + "Message-ID: %s\r\n\r\n" % message_id + case.body).encode()

    def trace(self, what):
        result = self.suite.tambo("trace", what, "--json", check=False)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return ["%s rcpt=%s %s" % (r["event"], r["rcpt"], r["fields"]) for r in rows]

    def traced(self, what, wanted):
        """True when each wanted line is there; else the lines are kept for the failure's text."""
        self.lines = self.trace(what)
        return all(any(line.split(" ")[0] == event and all(t in line for t in texts)
                       for line in self.lines) for event, *texts in wanted)

    def check(self, case):
        message_id = "<%s@id.example>" % case.name
        sender = case.sender
        if sender is None and case.login:
            sender = "%s+%s@%s" % (case.login, case.name, DOMAIN)
        elif sender is None:
            sender = case.name + "@client.example"
        client = Client(self.suite, case, self.tls)
        try:
            at, reply = client.run(sender, case, self.message(case, sender, message_id))
        finally:
            client.close()
        self.assertEqual((at, " ".join(reply.split(" ")[:2])), (case.at, case.reply), reply)

        for name, copies in case.lands.items():
            found = wait_for(lambda: len(self.mail.copies(name, message_id, case.mailbox)) >= copies
                             and self.mail.copies(name, message_id, case.mailbox),
                             60, "%s to get %d copies" % (name, copies))
            self.assertEqual(len(found), copies)
            if case.contains:
                self.assertIn(case.contains, self.mail.fetch(name, found[-1].decode()))
        if case.relayed:
            wait_for(lambda: {r for m in self.sink.find(message_id) for r in m.recipients}
                     >= set(case.relayed), what="the sink to get it")
        for name, text in case.told.items():
            found = wait_for(lambda: self.mail.reports(name, message_id), what="a report")
            self.assertEqual(len(found), 1)
            report = self.mail.fetch(name, found[0].decode())
            self.assertIn(text, re.sub(r"\r\n[ \t]+", " ", report))

        key = {"sender": sender, "recipient": case.recipients[-1],
               "id": reply.split(" ")[-1]}[case.trace_by]
        try:
            wait_for(lambda: self.traced(key, case.trace), 20, "the trace")
        except Exception:
            self.fail("tambo trace %s: %s not in\n%s" % (key, case.trace, "\n".join(self.lines)))

        # Nobody else has it. What is still under way shows itself in the last test.
        self.assertEqual(self.where(message_id, case.mailbox), self.expectation(case))

    def expectation(self, case):
        return {name: case.lands.get(name, 0) for name in ACCOUNTS}

    def where(self, message_id, mailbox):
        in_inbox = {name: len(self.mail.copies(name, message_id)) for name in ACCOUNTS}
        if mailbox != "INBOX":
            in_inbox["bob"] += len(self.mail.copies("bob", message_id, mailbox))
        return in_inbox

    def test_zz_nothing_came_where_it_does_not_belong(self):
        for case in CASES:
            with self.subTest(case=case.name):
                message_id = "<%s@id.example>" % case.name
                self.assertEqual(self.where(message_id, case.mailbox), self.expectation(case))
                told = {name for name in ACCOUNTS if self.mail.reports(name, message_id)}
                self.assertEqual(told, set(case.told))
                given = {r for m in self.sink.find(message_id) for r in m.recipients}
                self.assertEqual(given, set(case.relayed))


def row_test(case):
    def test(self):
        if case.setup:
            getattr(self, case.setup)()
        if case.settings:
            self.take_settings(case.settings)
        try:
            self.check(case)
        finally:
            if case.settings:
                self.take_settings({})
    return test


for number, row in enumerate(CASES):
    setattr(Table, "test_%02d_%s" % (number, row.name), row_test(row))

if __name__ == "__main__":
    unittest.main(verbosity=2)
