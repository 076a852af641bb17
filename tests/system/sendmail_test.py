"""sendmail(1), mailq(1) and newaliases(1) as local programs call them, and what the command line
can do while the suite is down."""
import glob
import imaplib
import os
import pwd
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "harness")]
from suite import Suite, wait_for  # noqa: E402

# sysexits(3)
USAGE, NOUSER, UNAVAILABLE, TEMPFAIL, NOPERM = 64, 67, 69, 75, 77
HOST = "mail.example.test"


class Local(unittest.TestCase):
    """A suite whose postmaster is alice; programs of this host reach it by the name sendmail."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(directory, 0o755)
        cls.suite = Suite(directory)
        try:
            cls.suite.start()
            cls.suite.tambo("alias", "add", "postmaster@example.test", "alice@example.test")
            # Copied: other users may not be able to reach where the repository is.
            shutil.copy(cls.suite.cli, os.path.join(directory, "sendmail"))
            for name in ("mailq", "newaliases"):
                os.symlink(cls.suite.cli, os.path.join(directory, name))
        except BaseException:
            cls.suite.destroy()
            raise
        cls.me = pwd.getpwuid(os.geteuid()).pw_name

    @classmethod
    def tearDownClass(cls):
        cls.suite.destroy()

    def call(self, program, *words, stdin="", user=None):
        """The program's result; user: the name of whom it runs as (needs root)."""
        who = {}
        if user is not None and user != self.me:
            if os.geteuid() != 0:
                self.skipTest("not run: root")
            entry = pwd.getpwnam(user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        path = self.suite.cli if program == "tambo" else os.path.join(self.suite.dir, program)
        return subprocess.run([path, *words], input=stdin, text=True, capture_output=True,
                              timeout=60, env={**os.environ, **self.suite.env}, cwd="/", **who)

    def send(self, *words, stdin, user=None, status=0):
        result = self.call("sendmail", *words, stdin=stdin, user=user)
        self.assertEqual(result.returncode, status, result.stderr)
        if status == 0:  # cron mails what a program says: nothing
            self.assertEqual((result.stdout, result.stderr), ("", ""))
        return result

    def find(self, address, subject):
        tls = ssl.create_default_context(cafile=self.suite.ca)
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=tls,
                                 timeout=60)
        try:
            imap.login(address, address.split("@")[0] + "-secret")
            imap.select(readonly=True)
            numbers = imap.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()
            return [imap.fetch(n.decode(), "(BODY.PEEK[])")[1][0][1].decode() for n in numbers]
        finally:
            imap.logout()

    def arrived(self, address, subject):
        found = wait_for(lambda: self.find(address, subject), what="%s to get %r"
                         % (address, subject))
        self.assertEqual(len(found), 1)
        return found[0]


class Sendmail(Local):
    def test_recipients_of_the_header(self):
        self.send("-t", "-i", stdin="To: bob@example.test\nCc: Alice <alice@example.test>\n"
                                    "Bcc: postmaster\nSubject: of the header\n\n.\nafter a dot\n")
        mail = self.arrived("bob@example.test", "of the header")
        self.assertIn("Return-Path: <%s@%s>\r\n" % (self.me, HOST), mail)
        self.assertIn("\r\n.\r\nafter a dot\r\n", mail)
        self.assertNotIn("Bcc", mail)
        for field in ("From: %s@%s\r\n" % (self.me, HOST), "Date: ", "Message-ID: <",
                      "Received: "):
            self.assertEqual(mail.count("\r\n" + field), 1, field)
        # Once to alice by Cc, once as the postmaster of Bcc.
        wait_for(lambda: len(self.find("alice@example.test", "of the header")) == 2,
                 what="both copies")

    def test_a_lone_dot_ends_the_message_without_i(self):
        self.send("bob@example.test", stdin="Subject: ends at a dot\n\nbefore\n.\nbehind\n")
        mail = self.arrived("bob@example.test", "ends at a dot")
        self.assertIn("before\r\n", mail)
        self.assertNotIn("behind", mail)

    def test_without_header(self):
        self.send("-F", "Some \"Body\"", "bob@example.test", stdin="just text\nSubject: no, text\n")
        wait_for(lambda: "queue.delivered" in self.call("tambo", "trace",
                                                        "%s@%s" % (self.me, HOST)).stdout,
                 what="the delivery")

    def test_the_uid_of_the_caller_names_the_sender(self):
        self.send("-i", "bob@example.test", user="nobody",
                  stdin="Subject: of nobody\nFrom: nobody\n\nx\n")
        mail = self.arrived("bob@example.test", "of nobody")
        self.assertIn("Return-Path: <nobody@%s>\r\n" % HOST, mail)
        uid = pwd.getpwnam("nobody").pw_uid
        self.assertRegex(mail, r"Received: from localhost \(uid %d\)" % uid)
        self.assertIn("smtp.local_user", self.call("tambo", "trace", "nobody@" + HOST).stdout)

    def test_nobody_sends_as_another(self):
        result = self.send("-f", "alice@example.test", "bob@example.test", user="nobody",
                           stdin="Subject: as alice\n\nx\n", status=NOPERM)
        self.assertIn("does not belong to your login", result.stderr)
        result = self.send("bob@example.test", user="nobody", status=NOPERM,
                           stdin="Subject: from alice\nFrom: alice@example.test\n\nx\n")
        self.assertIn("From address is not yours", result.stderr)
        self.assertEqual(self.find("bob@example.test", "as alice"), [])

    def test_root_may_send_as_anybody_here(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        self.send("-f", "alice@example.test", "bob@example.test",
                  stdin="Subject: root as alice\nFrom: alice@example.test\n\nx\n")
        self.assertIn("Return-Path: <alice@example.test>",
                      self.arrived("bob@example.test", "root as alice"))

    def test_cron(self):
        """As cron of Debian calls it, for a user that has no account."""
        self.send("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "daemon", user="daemon",
                  stdin="To: daemon\nSubject: Cron <daemon@host> run\n"
                        "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
                        "Content-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\n"
                        "grüße\n")
        mail = self.arrived("alice@example.test", "Cron")
        self.assertIn("grüße\r\n", mail)
        self.assertIn("X-Original-To: daemon@" + HOST, mail)

    def test_cron_of_a_user_names_root_as_author(self):
        """vixie-cron runs sendmail as the user, but writes "From: root (Cron Daemon)"."""
        self.send("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "nobody", user="nobody",
                  stdin="From: root (Cron Daemon)\nTo: nobody\nSubject: Cron by root\n\nx\n")
        mail = self.arrived("alice@example.test", "Cron by root")
        self.assertIn("Return-Path: <nobody@%s>" % HOST, mail)

    def test_root_has_mail(self):
        self.send("root", stdin="Subject: for root\n\nx\n")
        self.assertIn("X-Original-To: root@" + HOST, self.arrived("alice@example.test", "for root"))

    def test_refusals(self):
        self.send("nobody-here@example.test", stdin="Subject: x\n\nx\n", status=NOUSER)
        self.send(stdin="Subject: no recipient\n\nx\n", status=USAGE)
        self.send("-t", stdin="Subject: no recipient\n\nx\n", status=USAGE)
        self.send("--nonsense", stdin="", status=USAGE)

    def test_a_configuration_with_a_slip_of_the_pen(self):
        """What runs goes on, and whoever sends mail does not notice."""
        with open(self.suite.config) as f:
            good = f.read()
        try:
            with open(self.suite.config, "w") as f:
                f.write("log.level = debug\n" + good)
            self.send("bob@example.test", stdin="Subject: beside a slip\n\nx\n")
            self.arrived("bob@example.test", "beside a slip")
            status = self.call("tambo", "status")
            self.assertEqual((status.returncode, status.stderr), (0, ""))
            reload = self.call("tambo", "reload")
            self.assertEqual(reload.returncode, 78)
            self.assertRegex(reload.stderr, r"tambo\.toml:1:\d+: error: .*text stands in quotes: "
                                            r'log\.level = "debug"')
        finally:
            with open(self.suite.config, "w") as f:
                f.write(good)

    def test_what_is_put_off_is_kept(self):
        """cron does not try again."""
        self.suite.tambo("user", "quota", "bob@example.test", "1G", "1")
        self.addCleanup(self.suite.tambo, "user", "quota", "bob@example.test", "0")
        self.send("bob@example.test", stdin="Subject: fills it\n\nx\n")
        drop = os.path.join(self.suite.state, "drop", "*")
        wait_for(lambda: self.send("bob@example.test", stdin="Subject: put off\n\nx\n")
                 and glob.glob(drop), what="a message to be refused for the moment")
        self.suite.tambo("user", "quota", "bob@example.test", "0")
        self.suite.tambo("restart")
        wait_for(lambda: not glob.glob(drop), what="the drop to be empty")
        wait_for(lambda: self.find("bob@example.test", "put off"), what="what was put off to come")

    def test_smtp_over_standard_input(self):
        result = self.call("sendmail", "-bs", stdin="EHLO here\r\nQUIT\r\n")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"(?s)^220 mail.example.test .*250.*221 2.0.0 bye\n$")

    def test_mailq_and_newaliases(self):
        self.assertEqual(self.call("newaliases").returncode, 0)
        self.assertEqual(self.call("sendmail", "-bi").returncode, 0)
        self.assertEqual(self.call("mailq").returncode, 0)
        self.assertEqual(self.call("sendmail", "-bp").returncode, 0)

    def test_aliases_are_live(self):
        def targets():
            return self.call("tambo", "explain", "oncall@" + HOST).stdout
        self.assertIn("550 5.1.1", targets())
        path = os.path.join(self.suite.dir, "aliases")
        with open(path, "a") as f:
            f.write("oncall: bob@example.test\n")
        wait_for(lambda: "bob@example.test" in targets(), what="the alias")
        self.send("oncall", stdin="Subject: for oncall\n\nx\n")
        self.arrived("bob@example.test", "for oncall")


class Down(Local):
    """Each test stops the suite and starts it again."""

    def setUp(self):
        self.assertEqual(self.suite.stop(), 0)

    def tearDown(self):
        self.suite.settings.pop("dns.servers", None)
        if self.suite.process is None:
            self.suite.start_master()

    def drop(self):
        return glob.glob(os.path.join(self.suite.state, "drop", "*"))

    def test_mail_waits_in_drop(self):
        self.send("-i", "bob@example.test", stdin="Subject: while down\n\n.\nx\n")
        self.assertEqual(len(self.drop()), 1)
        self.suite.start_master()
        mail = self.arrived("bob@example.test", "while down")
        self.assertIn("Return-Path: <%s@%s>" % (self.me, HOST), mail)
        wait_for(lambda: not self.drop(), what="the drop to be empty")

    def test_the_owner_of_the_file_is_the_sender(self):
        self.send("-i", "-t", user="nobody",
                  stdin="To: bob@example.test\nSubject: nobody while down\n\nx\n")
        name = self.drop()[0]
        # A second link to another's file, a directory and a fifo are not submitted.
        planted = os.path.join(self.suite.state, "drop", "f" * 32)
        os.mkdir(planted)
        os.mkfifo(planted[:-1] + "e")
        self.suite.start_master()
        mail = self.arrived("bob@example.test", "nobody while down")
        self.assertIn("Return-Path: <nobody@%s>" % HOST, mail)
        wait_for(lambda: not os.path.exists(name), what="the file to go")
        os.rmdir(planted)
        os.unlink(planted[:-1] + "e")

    def test_links_are_not_submitted(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")  # somebody else's file
        self.send("bob@example.test", stdin="Subject: linked twice\n\nx\n", user="nobody")
        name = self.drop()[0]
        os.link(name, os.path.join(self.suite.dir, "second-link"))
        os.symlink(os.path.join(self.suite.dir, "second-link"),
                   os.path.join(self.suite.state, "drop", "a" * 32))
        self.send("bob@example.test", stdin="Subject: after the links\n\nx\n")
        self.suite.start_master()
        self.arrived("bob@example.test", "after the links")
        self.assertEqual(self.find("bob@example.test", "linked twice"), [])
        self.suite.stop()
        for path in self.drop() + [os.path.join(self.suite.dir, "second-link")]:
            os.unlink(path)

    def test_what_is_refused_comes_back(self):
        self.send("-i", "nobody-here@example.test", "bob@example.test",
                  stdin="Subject: half refused\n\nthe text of it\n")
        self.send("-i", "nobody-else@example.test", user="nobody",
                  stdin="Subject: all refused\n\nthe other text\n")
        nonsense = os.path.join(self.suite.state, "drop", "b" * 32)
        with open(nonsense, "w") as f:
            f.write("nonsense\r\n")
        self.suite.start_master()
        self.arrived("bob@example.test", "half refused")
        # Neither has a mailbox: the postmaster reads for them.
        reports = wait_for(lambda: len(self.find("alice@example.test", "not sent")) == 2 and
                           self.find("alice@example.test", "not sent"), what="both reports")
        half = [r for r in reports if "nobody-here@example.test" in r][0]
        self.assertIn("The other recipients get it.", half)
        self.assertIn("X-Original-To: %s@%s" % (self.me, HOST), half)
        full = [r for r in reports if "nobody-else@example.test" in r][0]
        self.assertIn("550 5.1.1 no such user here", full)
        self.assertIn("the other text", full)
        self.assertIn("X-Original-To: nobody@" + HOST, full)
        wait_for(lambda: not self.drop(), what="the drop to be empty")
        aside = os.path.join(self.suite.state, "drop-refused")
        self.assertEqual(os.listdir(aside), ["b" * 32])
        os.unlink(os.path.join(aside, "b" * 32))

    def test_what_works(self):
        self.assertEqual(self.call("tambo", "version").returncode, 0)
        self.assertEqual(self.call("tambo", "config", "check").returncode, 0)
        self.assertIn("example.test\t2\t", self.call("tambo", "domain", "list").stdout)
        added = self.call("tambo", "user", "add", "ivan@example.test", "--stdin",
                          stdin="ivan-secret\n")
        self.assertEqual(added.returncode, 0, added.stderr)
        self.assertIn("ivan@example.test", self.call("tambo", "user", "list").stdout)
        self.assertEqual(self.call("tambo", "passwd", "ivan@example.test", "--stdin",
                                   stdin="ivan-secret\n").returncode, 0)
        self.assertEqual(self.call("tambo", "alias", "add", "iv@example.test",
                                   "ivan@example.test").returncode, 0)
        again = self.call("tambo", "alias", "add", "iv@example.test", "ivan@example.test")
        self.assertEqual(again.returncode, 73)
        # Nothing is left behind, and the suite takes it over as its own.
        self.assertEqual(glob.glob(os.path.join(self.suite.state, "offline-*")), [])
        self.suite.start_master()
        with smtplib.SMTP("127.0.0.1", self.suite.ports["smtp"], timeout=60) as smtp:
            smtp.sendmail("x@client.example", ["iv@example.test"], "Subject: for ivan\r\n\r\nx\r\n")
        self.arrived("ivan@example.test", "for ivan")

    def test_fsck_and_trace(self):
        self.suite.start_master()
        self.send("bob@example.test", stdin="Subject: before the end\n\nx\n")
        self.arrived("bob@example.test", "before the end")
        self.assertEqual(self.suite.stop(), 0)
        traced = self.call("tambo", "trace", "bob@example.test")
        self.assertEqual((traced.returncode, traced.stderr), (0, ""))
        self.assertIn("\tqueue.delivered\t", traced.stdout)
        checked = self.call("tambo", "fsck", "bob@example.test")
        self.assertEqual((checked.returncode, checked.stdout),
                         (0, "bob@example.test\tclean\n"), checked.stderr)
        bodies = glob.glob(os.path.join(self.suite.state, "mail", "*", "bodies", "*", "*"))
        kept = os.path.join(self.suite.dir, "kept-body")
        os.rename(bodies[0], kept)
        checked = self.call("tambo", "fsck")
        self.assertEqual(checked.returncode, 1)
        self.assertIn("body missing: " + os.path.basename(bodies[0]), checked.stdout)
        os.rename(kept, bodies[0])
        self.assertEqual(self.call("tambo", "fsck").returncode, 0)

    def test_queue(self):
        # A name server that is not there: the message can be neither sent nor returned.
        self.suite.settings["dns.servers"] = "127.0.0.1:9"
        self.suite.start_master()
        self.send("someone@remote.example", stdin="Subject: waits\n\nx\n")
        rows = lambda: self.call("tambo", "--tsv", "queue", "list").stdout.splitlines()
        wait_for(rows, what="a message that waits")
        self.assertEqual(self.suite.stop(), 0)
        waiting = rows()
        self.assertEqual(len(waiting), 1)
        qid = waiting[0].split("\t")[0]
        self.assertIn(qid, self.call("mailq").stdout)
        self.assertNotIn("empty", self.call("mailq").stdout)
        self.assertIn("remote.example", self.call("tambo", "queue", "show", qid).stdout)
        dropped = self.call("tambo", "queue", "drop", qid)
        self.assertEqual(dropped.returncode, 0, dropped.stderr)
        self.assertEqual(self.call("mailq").stdout, "Mail queue is empty\n")
        self.assertEqual(rows(), [])
        self.suite.start_master()
        self.assertEqual(rows(), [])
        # tearDown starts it again, with a name server.
        self.assertEqual(self.suite.stop(), 0)

    def test_what_does_not(self):
        for words in (("status",), ("reload",), ("user", "usage")):
            with self.subTest(words=words):
                result = self.call("tambo", *words)
                self.assertEqual(result.returncode, UNAVAILABLE)
                self.assertIn("is tambo running?", result.stderr)
        self.assertEqual(self.call("sendmail", "-bs").returncode, TEMPFAIL)


if __name__ == "__main__":
    unittest.main(verbosity=2)
