"""The command line as ops staff use it, against a running suite: tables, exit codes, the queue, the
configuration, fsck, trace. sendmail(1) and a suite that is down: sendmail_test.py. Quickstart:
quickstart_test.py."""
import glob
import hashlib
import imaplib
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "harness")]
from sink import Sink  # noqa: E402
from suite import Suite, wait_for  # noqa: E402
from terminal import on_terminal  # noqa: E402

# sysexits(3)
USAGE, DATAERR, NOUSER, NOHOST, UNAVAILABLE, CANTCREAT, NOPERM, CONFIG = (
    64, 65, 67, 68, 69, 73, 77, 78)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = Sink()
        directory = tempfile.mkdtemp(prefix="tambo-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.chmod(directory, 0o755)
        cls.suite = Suite(directory, settings={"relay.smarthost": "127.0.0.1:%d" % cls.sink.port})
        try:
            cls.suite.start()
            cls.tls = ssl.create_default_context(cafile=cls.suite.ca)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.suite.destroy()
        cls.sink.close()

    def run_tambo(self, *words, stdin="", cli=None, **options):
        return subprocess.run([cli or self.suite.cli, *words], input=stdin, text=True,
                              capture_output=True, timeout=60,
                              env={**os.environ, **self.suite.env}, **options)

    def tambo(self, *words, stdin=""):
        """A command that must succeed, and is silent on standard error; its rows."""
        result = self.run_tambo(*words, stdin=stdin)
        self.assertEqual((result.returncode, result.stderr), (0, ""), words)
        return [line.split("\t") for line in result.stdout.splitlines()]

    def json(self, *words):
        result = self.run_tambo(*words, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def refused(self, status, text, *words, stdin=""):
        result = self.run_tambo(*words, stdin=stdin)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn(text, result.stderr)
        self.assertEqual(result.stdout, "")

    def may_log_in(self, address, password):
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=self.tls,
                                 timeout=60)
        try:
            imap.login(address, password)
            return True
        except imaplib.IMAP4.error:
            return False
        finally:
            imap.logout()

    def inbox(self, address, password):
        imap = imaplib.IMAP4_SSL("127.0.0.1", self.suite.ports["imaps"], ssl_context=self.tls,
                                 timeout=60)
        try:
            imap.login(address, password)
            imap.select(readonly=True)
            numbers = imap.search(None, "ALL")[1][0].split()
            return [imap.fetch(n.decode(), "(BODY.PEEK[])")[1][0][1].decode() for n in numbers]
        finally:
            imap.logout()

    def submit(self, to, text="hello"):
        """Alice sends; the queue id."""
        with smtplib.SMTP("127.0.0.1", self.suite.ports["submission"], timeout=60) as smtp:
            smtp.starttls(context=self.tls)
            smtp.login("alice@example.test", "alice-secret")
            smtp.mail("alice@example.test")
            smtp.rcpt(to)
            code, answer = smtp.data("From: alice@example.test\r\nSubject: %s\r\n\r\n%s\r\n"
                                     % (text, text))
        self.assertEqual(code, 250, answer)
        return answer.decode().split()[-1]

    # ---- how answers look

    def test_lines_json_and_tables(self):
        self.tambo("domain", "add", "shown.test")
        row = [row for row in self.tambo("domain", "list") if row[0] == "shown.test"][0]
        self.assertEqual(row[1:4], ["0", "0", "enabled"])
        row = [row for row in self.json("domain", "list") if row["domain"] == "shown.test"][0]
        self.assertEqual((row["accounts"], row["state"]), (0, "enabled"))
        status, shown = on_terminal([self.suite.cli, "domain", "list"], self.suite.env)
        self.assertEqual(status, 0)
        lines = shown.splitlines()
        self.assertEqual(lines[0].split(), ["DOMAIN", "ACCOUNTS", "ALIASES", "STATE", "CREATED"])
        line = [line for line in lines if line.startswith("shown.test ")][0]
        self.assertEqual(line.split()[:4], ["shown.test", "0", "0", "enabled"])
        self.assertEqual(lines[0].index("STATE"), line.index("enabled"))
        status, shown = on_terminal([self.suite.cli, "--tsv", "domain", "list"], self.suite.env)
        self.assertIn("shown.test\t0\t0\tenabled\t", shown)
        self.tambo("domain", "rm", "shown.test")

    def test_usage(self):
        for words in ((), ("nonsense",), ("domain",), ("domain", "add"), ("user", "nonsense"),
                      ("domain", "add", "a.test", "b.test"), ("queue", "list", "--nonsense")):
            with self.subTest(words=words):
                result = self.run_tambo(*words)
                self.assertEqual(result.returncode, USAGE)
                self.assertNotEqual(result.stderr, "")
        for words, text in (
                (("stauts",), 'no command "stauts"; did you mean "status"?'),
                (("--json", "user", "ad", "x"), 'no command "ad" of tambo user; did you mean "add"?'),
                (("frobnicate",), 'no command "frobnicate"; there are quickstart, '),
                (("queue",), "tambo queue takes one of these: list, show, cat, "),
                ((), "tambo takes one of these: quickstart, "),
                (("trace",), "tambo trace: QUEUE_ID|SESSION|ADDRESS is required")):
            with self.subTest(words=words):
                self.refused(USAGE, text, *words)
        result = self.run_tambo("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for noun in ("quickstart", "domain", "user", "passwd", "alias", "queue", "config", "fsck",
                     "reload", "status", "version", "trace"):
            self.assertIn(noun, result.stdout)

    def test_version_needs_no_configuration(self):
        result = subprocess.run([self.suite.cli, "version"], text=True, capture_output=True,
                                env={"TAMBO_CONFIG": "/nonexistent"}, timeout=60)
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"^tambo \d+\.\d+")

    # ---- domains, accounts, aliases

    def test_domains(self):
        self.tambo("domain", "add", "Second.Test")
        self.assertIn("second.test", [row[0] for row in self.tambo("domain", "list")])
        self.refused(CANTCREAT, "exists already", "domain", "add", "second.test")
        self.refused(DATAERR, "is not a domain name", "domain", "add", "not a domain")
        self.tambo("user", "add", "x@second.test", "--stdin", stdin="long enough\n")
        self.refused(CANTCREAT, "still has 1 account", "domain", "rm", "second.test")
        self.tambo("domain", "disable", "second.test")
        row = [row for row in self.json("domain", "list") if row["domain"] == "second.test"][0]
        self.assertEqual(row["state"], "disabled")
        self.tambo("domain", "enable", "second.test")
        self.tambo("user", "rm", "x@second.test")
        self.tambo("domain", "rm", "second.test")
        self.assertNotIn("second.test", [row[0] for row in self.tambo("domain", "list")])
        self.refused(NOHOST, "no domain second.test", "domain", "rm", "second.test")

    def test_a_domain_of_the_world(self):
        self.tambo("domain", "add", "bücher.test")
        self.assertIn("xn--bcher-kva.test", [row[0] for row in self.tambo("domain", "list")])
        self.tambo("domain", "rm", "BÜCHER.test")

    def test_accounts(self):
        self.tambo("user", "add", "carol@example.test", "--stdin", "--quota", "2G",
                   stdin="carol-secret\n")
        shown = self.json("user", "show", "Carol@example.test")[0]
        self.assertEqual(shown["quota_bytes"], 2 << 30)
        self.assertTrue(self.may_log_in("carol@example.test", "carol-secret"))
        self.refused(CANTCREAT, "exists already", "user", "add", "carol@example.test", "--stdin",
                     stdin="carol-secret\n")
        self.tambo("user", "disable", "carol@example.test")
        self.assertFalse(self.may_log_in("carol@example.test", "carol-secret"))
        self.tambo("user", "enable", "carol@example.test")
        self.assertTrue(self.may_log_in("carol@example.test", "carol-secret"))
        self.tambo("user", "quota", "carol@example.test", "10M", "50")
        shown = self.json("user", "show", "carol@example.test")[0]
        self.assertEqual((shown["quota_bytes"], shown["quota_messages"]), (10 << 20, 50))
        self.tambo("user", "rm", "carol@example.test")
        self.assertFalse(self.may_log_in("carol@example.test", "carol-secret"))
        self.refused(NOUSER, "no account carol@example.test", "user", "show", "carol@example.test")
        self.refused(NOUSER, "no account", "user", "rm", "carol@example.test")

    def test_what_no_account_is_made_of(self):
        for status, text, address, password in (
                (DATAERR, "fewer than 8", "dan@example.test", "short"),
                (DATAERR, "fewer than 8", "dan@example.test", ""),
                (NOHOST, "tambo domain add other.test", "dan@other.test", "long enough"),
                (DATAERR, "is not a mail address", "dan", "long enough"),
                (DATAERR, "is not a mail address", "dan@[127.0.0.1]", "long enough")):
            with self.subTest(address=address, password=password):
                self.refused(status, text, "user", "add", address, "--stdin",
                             stdin=password + "\n")
        self.refused(USAGE, "size such as 2G", "user", "add", "dan@example.test", "--stdin",
                     "--quota", "much", stdin="long enough\n")
        self.assertNotIn("dan@example.test", [row[0] for row in self.tambo("user", "list")])

    def test_passwords(self):
        self.tambo("user", "add", "erin@example.test", "--stdin", stdin="first secret\n")
        # Never in argv: there is no operand or option that takes one.
        self.assertEqual(self.run_tambo("passwd", "erin@example.test", "secret").returncode, USAGE)
        self.assertEqual(self.run_tambo("user", "add", "f@example.test", "secret").returncode,
                         USAGE)
        self.refused(USAGE, "--stdin or --generate", "passwd", "erin@example.test")
        self.tambo("passwd", "erin@example.test", "--stdin", stdin="second secret\n")
        self.assertFalse(self.may_log_in("erin@example.test", "first secret"))
        self.assertTrue(self.may_log_in("erin@example.test", "second secret"))
        address, password = self.tambo("passwd", "erin@example.test", "--generate")[0]
        self.assertEqual(address, "erin@example.test")
        self.assertTrue(self.may_log_in("erin@example.test", password))
        self.refused(NOUSER, "no account", "passwd", "nobody@example.test", "--stdin",
                     stdin="long enough\n")
        self.assertFalse([line for line in self.suite.events() if "secret" in line])

    def test_password_prompt(self):
        self.tambo("user", "add", "grace@example.test", "--stdin", stdin="first secret\n")
        command = [self.suite.cli, "passwd", "grace@example.test"]
        ask = "Password for grace@example.test (at least 8 characters): "
        again = "Once more: "
        status, shown = on_terminal(command, self.suite.env, [(ask, "typed secret"),
                                                              (again, "typed secret")])
        self.assertEqual(status, 0, shown)
        self.assertNotIn("typed", shown)  # no echo
        self.assertIn("password of grace@example.test changed", shown)
        self.assertTrue(self.may_log_in("grace@example.test", "typed secret"))
        # Again and again, but not for ever.
        status, shown = on_terminal(command, self.suite.env, [
            (ask, "one of them"), (again, "the other one"), (ask, "short"),
            (ask, "third secret"), (again, "third secret")])
        self.assertEqual(status, 0, shown)
        self.assertIn("the two passwords differ; once again", shown)
        self.assertIn("fewer than 8 characters; once again", shown)
        self.assertTrue(self.may_log_in("grace@example.test", "third secret"))
        status, shown = on_terminal(command, self.suite.env, [(ask, "short")] * 3)
        self.assertEqual(status, DATAERR)
        self.assertEqual(shown.count(ask), 3)
        self.assertTrue(self.may_log_in("grace@example.test", "third secret"))

    def test_no_password_is_typed_for_nothing(self):
        for words, status, text in (
                (("user", "add", "alice@example.test"), CANTCREAT, "exists already"),
                (("user", "add", "x@other.test"), NOHOST, "no domain other.test"),
                (("user", "add", "x"), DATAERR, "is not a mail address"),
                (("user", "add", "x@example.test", "--quota", "much"), USAGE, "such as 2G"),
                (("passwd", "nobody@example.test"), NOUSER, "no account")):
            with self.subTest(words=words):
                result, shown = on_terminal([self.suite.cli, *words], self.suite.env,
                                            [("Password", "long enough")] * 2)
                self.assertEqual(result, status, shown)
                self.assertIn(text, shown)
                self.assertNotIn("Password", shown)

    def test_a_terminal_is_told_that_it_is_done(self):
        for words, text in ((("domain", "add", "done.test"), "domain done.test added"),
                            (("user", "add", "x@done.test", "--generate"),
                             "account x@done.test added"),
                            (("alias", "add", "y@done.test", "x@done.test"),
                             "alias y@done.test: added"),
                            (("alias", "rm", "y@done.test"), "alias y@done.test: removed"),
                            (("user", "quota", "x@done.test", "1G"), "quota of x@done.test set"),
                            (("user", "disable", "x@done.test"), "account x@done.test disabled"),
                            (("user", "rm", "x@done.test"), "account x@done.test removed"),
                            (("domain", "rm", "done.test"), "domain done.test removed"),
                            (("config", "check"), "the configuration has no errors"),
                            (("reload",), "configuration taken into use, generation ")):
            with self.subTest(words=words):
                status, shown = on_terminal([self.suite.cli, *words], self.suite.env)
                self.assertEqual(status, 0, shown)
                self.assertIn(text, shown)
                self.assertNotIn("STATE", shown)

    def test_the_postmaster(self):
        self.assertEqual(self.tambo("postmaster"), [["alice@example.test", "enabled"]])
        self.refused(NOUSER, "is an account of this server", "postmaster", "x@remote.example")
        for local in ("pat", "pit"):
            self.tambo("user", "add", local + "@example.test", "--stdin", stdin="long enough\n")
        self.addCleanup(self.tambo, "postmaster", "alice@example.test")
        self.tambo("postmaster", "pat@example.test")
        self.assertEqual(self.tambo("explain", "root")[0][1], "pat@example.test")
        result = self.run_tambo("user", "disable", "pat@example.test")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertIn("the postmaster, pat@example.test, is disabled", result.stderr)
        self.assertIn("tambo postmaster ADDRESS", result.stderr)
        self.assertIn("pat@example.test, is disabled", self.run_tambo("status").stderr)
        self.assertEqual(self.run_tambo("explain", "root").returncode, 1)
        self.tambo("user", "enable", "pat@example.test")
        self.assertEqual(self.run_tambo("status").stderr, "")
        result = self.run_tambo("user", "rm", "pat@example.test")
        self.assertEqual(result.returncode, 0)
        self.assertIn("pat@example.test was the postmaster; alice@example.test is now",
                      result.stderr)
        self.tambo("user", "rm", "pit@example.test")  # silent: it was nobody

    def test_an_alias_that_takes_the_mail_of_an_account(self):
        self.tambo("user", "add", "ned@example.test", "--stdin", stdin="long enough\n")
        result = self.run_tambo("alias", "add", "ned@example.test", "alice@example.test")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertIn("ned@example.test is an account: from now on its mail goes to "
                      "alice@example.test only", result.stderr)
        self.tambo("alias", "rm", "ned@example.test")
        self.tambo("user", "add", "gone@example.test", "--stdin", stdin="long enough\n")
        self.tambo("user", "disable", "gone@example.test")
        result = self.run_tambo("alias", "add", "ned@example.test", "gone@example.test")
        self.assertIn("from now on its mail is refused;", result.stderr)
        self.tambo("alias", "rm", "ned@example.test")
        self.tambo("user", "rm", "gone@example.test")
        self.run_tambo("alias", "add", "ned@example.test", "alice@example.test")
        self.tambo("alias", "add", "ned@example.test", "ned@example.test")  # silent: it keeps it
        self.tambo("user", "rm", "ned@example.test")
        self.tambo("alias", "rm", "ned@example.test")

    def test_the_aliases_file(self):
        path = os.path.join(self.suite.dir, "aliases")
        with open(path, "w") as f:
            f.write("one: two\ntwo: one\nlist: :include:/x, bob@example.test\nnonsense\n"
                    "gone: nobody@example.test\n")
        self.addCleanup(wait_for, lambda: not self.run_tambo("config", "check").stderr,
                        what="an empty file")
        self.addCleanup(lambda: open(path, "w").close())
        wait_for(lambda: any(" auth.aliases_malformed " in line and 'line="4"' in line
                             for line in self.suite.events()), what="the event")
        self.assertTrue([line for line in self.suite.events()
                         if " auth.aliases_unsupported " in line and
                         'line="3" target=":include:/x"' in line])
        shown = self.run_tambo("config", "check").stderr
        for text in (", line 3: :include:/x is left out", ', line 4: "nonsense" is left out',
                     ": gone leads to nobody@example.test", ": one leads in a circle"):
            self.assertIn("warning: %s%s" % (path, text), shown)
        self.assertIn(["circle", "one@mail.example.test", "", ""], self.tambo("explain", "one"))

    def test_aliases(self):
        self.tambo("alias", "add", "info@example.test", "alice@example.test", "bob@example.test",
                   "away@remote.example")
        rows = self.tambo("alias", "list", "example.test")
        self.assertEqual(sorted(row[1] for row in rows if row[0] == "info@example.test"),
                         ["alice@example.test", "away@remote.example", "bob@example.test"])
        self.refused(CANTCREAT, "already", "alias", "add", "info@example.test",
                     "bob@example.test")
        explained = self.tambo("explain", "info@example.test")
        self.assertEqual(sorted(row[:2] for row in explained),
                         [["local", "alice@example.test"], ["local", "bob@example.test"],
                          ["remote", "away@remote.example"]])
        self.tambo("alias", "rm", "info@example.test", "Bob@example.test")
        self.assertEqual(len(self.tambo("explain", "info@example.test")), 2)
        self.tambo("alias", "rm", "info@example.test")
        self.refused(NOUSER, "no alias info@example.test", "alias", "rm", "info@example.test")
        result = self.run_tambo("explain", "info@example.test")
        self.assertEqual(result.returncode, 1)
        self.assertIn("550 5.1.1 no such user here", result.stdout)
        self.refused(DATAERR, "is not a mail address", "alias", "add", "a@example.test", "nonsense")
        self.refused(NOHOST, "no domain", "alias", "add", "a@other.test", "bob@example.test")
        self.tambo("alias", "add", "*@example.test", "bob@example.test")
        self.assertEqual(self.tambo("explain", "what@example.test")[0][1], "bob@example.test")
        self.tambo("alias", "rm", "*@example.test")

    def test_aliases_that_lead_nowhere(self):
        self.refused(NOUSER, "leads nowhere", "alias", "add", "crew@example.test",
                     "bob@example.test", "bbo@example.test")
        self.tambo("user", "add", "shortly@example.test", "--stdin", stdin="shortly-secret\n")
        self.tambo("alias", "add", "crew@example.test", "bob@example.test",
                   "shortly@example.test")
        dangling = ["crew@example.test", "shortly@example.test", "missing"]
        self.assertEqual(self.tambo("user", "rm", "shortly@example.test"), [dangling])
        self.assertIn(dangling, self.tambo("alias", "list"))
        for words in (("status",), ("config", "check")):
            result = self.run_tambo(*words)
            self.assertEqual(result.returncode, 0)
            self.assertIn("warning: alias crew@example.test leads to shortly@example.test",
                          result.stderr)
        qid = self.submit("crew@example.test", "for the whole crew")
        wait_for(lambda: "queue.target_missing" in self.run_tambo("trace", qid).stdout,
                 what="the event")
        traced = self.run_tambo("trace", qid).stdout
        self.assertIn("target=shortly@example.test", traced)
        self.tambo("alias", "rm", "crew@example.test")
        self.assertEqual(self.run_tambo("status").stderr, "")
        self.assertEqual(self.tambo("explain", "root")[0][0], "local")

    # ---- the queue

    def waiting(self, to, text="hello"):
        """A message that the other server does not want yet; its queue id."""
        qid = self.submit(to, text)
        wait_for(lambda: [row for row in self.tambo("queue", "list", qid) if row[5] == "deferred"],
                 what="the message to be deferred")
        return qid

    def test_queue(self):
        qid = self.waiting("later-1@remote.example", "the text of it")
        row = self.json("queue", "list", qid)[0]
        self.assertEqual((row["queue_id"], row["from"], row["to"], row["status"]),
                         (qid, "alice@example.test", "later-1@remote.example", "deferred"))
        self.assertIn("451 4.2.1 come back later", row["reason"])
        self.assertGreaterEqual(row["attempts"], 1)
        shown = dict(row[:2] for row in self.tambo("queue", "show", qid))
        self.assertEqual(shown["login"], "alice@example.test")
        self.assertIn("later-1@remote.example, attempts", shown["to"])
        text = self.run_tambo("queue", "cat", qid).stdout
        self.assertRegex(text, r"(?s)^Received: .*From: alice@example.test\n.*the text of it\n$")

        self.tambo("queue", "hold", qid)
        self.assertEqual(self.json("queue", "list", qid)[0]["status"], "held")
        self.assertEqual([row[0] for row in self.tambo("queue", "list", "--status", "held")], [qid])
        self.tambo("queue", "release", qid)
        self.assertNotEqual(self.json("queue", "list", qid)[0]["status"], "held")
        attempts = self.json("queue", "list", qid)[0]["attempts"]
        self.tambo("queue", "retry", qid)
        wait_for(lambda: self.json("queue", "list", qid)[0]["attempts"] > attempts,
                 what="another attempt")
        self.tambo("queue", "drop", qid)
        wait_for(lambda: not self.tambo("queue", "list", qid), what="the message to go")
        self.refused(1, "no such message", "queue", "show", qid)
        self.refused(1, "no such message", "queue", "cat", qid)
        self.assertIn("order=dropped", self.run_tambo("trace", qid).stdout)

    def test_queue_filters(self):
        one = self.waiting("later-2@remote.example")
        two = self.waiting("later-3@elsewhere.example")
        ids = lambda *words: {row[0] for row in self.tambo("queue", "list", *words)}
        self.assertEqual(ids("--domain", "elsewhere.example"), {two})
        self.assertEqual(ids("--to", "Later-2@remote.example"), {one})
        self.assertLessEqual({one, two}, ids("--from", "alice@example.test"))
        self.assertEqual(ids("--older", "1h"), set())
        self.refused(USAGE, "not a duration", "queue", "list", "--older", "soon")
        self.refused(USAGE, "not a status", "queue", "list", "--status", "lucky")
        self.refused(USAGE, "not a queue id", "queue", "show", "nonsense")
        # What changes the queue must say what it means.
        for verb in ("hold", "release", "retry", "drop"):
            with self.subTest(verb=verb):
                self.assertEqual(self.run_tambo("queue", verb).returncode, USAGE)
        self.tambo("queue", "drop", "--domain", "elsewhere.example")
        wait_for(lambda: ids() & {one, two} == {one}, what="only one to be left")
        self.tambo("queue", "drop", one)

    # ---- the configuration

    def test_config_check(self):
        self.assertEqual(self.tambo("config", "check"), [])
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "bad.toml")
            with open(path, "w") as f:
                f.write('hostname = "mail.example.test"\n'
                        'smtp.recipient_max = 100\n'
                        '[queue]\n'
                        'lifetime = false\n'
                        '  retry_min = "1 fortnight"\n'
                        '[tls]\n'
                        'certificate = ["%s/nothing.pem"]\n'
                        'key = ["%s/nothing.key"]\n' % (directory, directory))
            result = self.run_tambo("config", "check", path)
            self.assertEqual(result.returncode, CONFIG)
            lines = result.stderr.splitlines()
            for line, column, text in ((2, 6, 'did you mean "smtp.recipients_max"'),
                                       (4, 12, "queue.lifetime: expected a duration"),
                                       (5, 15, "queue.retry_min"),
                                       (7, 1, "tls.certificate: cannot read"),
                                       (8, 1, "tls.key: cannot read")):
                wanted = "%s:%d:%d: error: " % (path, line, column)
                self.assertTrue([x for x in lines if x.startswith(wanted) and text in x],
                                "%s%s not in\n%s" % (wanted, text, result.stderr))
            with open(path, "w") as f:
                f.write('hostname = "mail.example.test"\nhostname = \n')
            result = self.run_tambo("config", "check", path)
            self.assertEqual(result.returncode, CONFIG)
            self.assertRegex(result.stderr, r"bad\.toml:2:\d+: error: ")
            result = self.run_tambo("config", "check", path + ".none")
            self.assertEqual(result.returncode, CONFIG)
            self.assertIn("bad.toml.none", result.stderr)

    def test_config_show_and_explain(self):
        shown = self.run_tambo("config", "show").stdout
        self.assertIn('hostname = "mail.example.test"', shown)
        explained = self.run_tambo("config", "explain", "smtp.recipients_max").stdout
        self.assertIn("Recipients of one message", explained)
        self.assertIn("default  1000", explained)
        self.refused(USAGE, "did you mean smtp.recipients_max?", "config", "explain",
                     "smtp.recipient_max")
        # What it shows is a configuration.
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            f.write(self.run_tambo("config", "show", "--defaults").stdout)
            f.write('\n')
            f.flush()
            result = self.run_tambo("config", "check", f.name)
            self.assertIn("hostname", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_reload_keeps_the_old_generation_when_the_file_is_bad(self):
        with open(self.suite.config) as f:
            good = f.read()
        generation = self.json("status")[0]["generation"]
        try:
            with open(self.suite.config, "w") as f:
                f.write(good + "smtp.greeting_wait = 3\nsmtp.nonsense = 4\n")
            result = self.run_tambo("reload")
            self.assertEqual(result.returncode, CONFIG)
            self.assertIn(self.suite.config + ":", result.stderr)
            for line in result.stderr.splitlines():
                self.assertTrue(line.startswith("tambo: "), line)
            self.assertIn("running configuration (generation %d) is unchanged" % generation,
                          result.stderr.splitlines()[-1])
            # The suite that runs can be asked all the same.
            self.assertEqual(self.json("status")[0]["generation"], generation)
            # Not even the place of the suite can be read in this one.
            with open(self.suite.config, "w") as f:
                f.write(good.replace("directory = ", "directory = !"))
            result = self.run_tambo("status")
            self.assertEqual(result.returncode, CONFIG)
            self.assertIn(self.suite.config + ":", result.stderr)
            result = self.run_tambo("reload")
            self.assertEqual(result.returncode, CONFIG)
            self.assertEqual(result.stderr.splitlines()[-1],
                             "tambo: the running configuration is unchanged")
        finally:
            with open(self.suite.config, "w") as f:
                f.write(good)
        self.assertEqual(self.json("status")[0]["generation"], generation)
        self.assertEqual(self.json("reload")[0]["generation"], generation + 1)

    def test_reload_tells_a_terminal_what_needs_a_restart(self):
        with open(self.suite.config) as f:
            good = f.read()
        try:
            with open(self.suite.config, "w") as f:
                f.write(good + "processes.imap = 3\n")
            status, shown = on_terminal([self.suite.cli, "reload"], self.suite.env)
            self.assertEqual(status, 0, shown)
            self.assertIn("processes.imap: the change takes effect when tambo is restarted", shown)
        finally:
            with open(self.suite.config, "w") as f:
                f.write(good)
            self.suite.tambo("reload")

    # ---- status, trace

    def test_status(self):
        rows = self.json("status")
        self.assertEqual(rows[0]["process"], "master")
        for name in ("queued", "deliverd", "authd", "keeper", "keyd", "dnsd", "logd"):
            row = [row for row in rows if row["process"] == name][0]
            self.assertEqual(row["state"], "running")
            with open("/proc/%d/comm" % row["pid"]) as f:
                self.assertEqual(f.read().strip(), row["program"])
            self.assertEqual(row["isolation"], "full" if os.geteuid() == 0 else "no user of its own")

    def test_certificate(self):
        row = self.json("certificate")[0]
        with open(row["file"]) as f:
            seen = ssl.PEM_cert_to_DER_cert(f.read().partition("-----END")[0] +
                                            "-----END CERTIFICATE-----\n")
        digest = hashlib.sha256(seen).hexdigest().upper()
        self.assertEqual(row["sha256"].replace(":", ""), digest)
        self.assertIn(self.suite.hostname, row["names"].split())
        shown = ssl.get_server_certificate(("127.0.0.1", self.suite.ports["imaps"]))
        self.assertEqual(ssl.PEM_cert_to_DER_cert(shown), seen)

    def test_trace(self):
        qid = self.submit("bob@example.test")
        wait_for(lambda: "queue.delivered" in self.run_tambo("trace", qid).stdout,
                 what="the delivery")
        rows = self.json("trace", qid)
        events = [row["event"] for row in rows]
        for event in ("smtp.connected", "smtp.tls", "auth.accepted", "smtp.accepted",
                      "queue.accepted", "queue.delivered"):
            self.assertIn(event, events)
        session = [row["sid"] for row in rows if row["event"] == "smtp.accepted"][0]
        self.assertLessEqual({"smtp.connected", "smtp.accepted"},
                             {row["event"] for row in self.json("trace", session)})
        by_address = self.json("trace", "BOB@example.test", "--since", "1h")
        self.assertIn(qid, {row["qid"] for row in by_address})
        self.refused(1, "no recent event mentions nobody@nowhere.example", "trace",
                     "nobody@nowhere.example")
        self.refused(USAGE, "duration", "trace", qid, "--since", "yesterday")

    def test_a_command_that_hangs_up_is_no_event(self):
        before = len(self.suite.events())
        for words in (("domain", "list"), ("queue", "list"), ("status",), ("trace", "x")):
            self.run_tambo(*words)
        self.submit("bob@example.test")
        since = lambda name: [line for line in self.suite.events()[before:] if name in line]
        wait_for(lambda: since(" queue.delivered "), what="events")
        self.assertEqual(since(" ipc.peer_lost "), [])

    def test_strangers_are_not_answered(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")
        # A copy: other users may not be able to reach where the repository is.
        public = tempfile.mkdtemp(prefix="tambo-")
        self.addCleanup(shutil.rmtree, public)
        os.chmod(public, 0o755)
        cli = shutil.copy(self.suite.cli, public)
        for words in (("status",), ("queue", "list"), ("user", "list"), ("user", "usage"),
                      ("trace", "x"), ("reload",), ("user", "rm", "bob@example.test")):
            with self.subTest(words=words):
                result = self.run_tambo(*words, cli=cli, user="nobody", group="nogroup",
                                        extra_groups=[])
                self.assertEqual(result.returncode, NOPERM, result.stderr)
                self.assertIn("tambo-admin", result.stderr)

    # ---- fsck

    def account_directory(self, address):
        account = self.json("user", "show", address)[0]["id"]
        return os.path.join(self.suite.state, "mail", account)

    def bodies(self, address):
        return glob.glob(os.path.join(self.account_directory(address), "bodies", "*", "*"))

    def test_fsck(self):
        if os.geteuid() != 0:
            self.skipTest("not run: root")  # who else may plant damage
        self.tambo("user", "add", "heidi@example.test", "--stdin", stdin="heidi-secret\n")
        clean = [["heidi@example.test", "clean"]]
        self.assertEqual(self.tambo("fsck", "heidi@example.test"), clean)
        for i in range(3):
            self.submit("heidi@example.test", "number %d" % i)
        wait_for(lambda: len(self.bodies("heidi@example.test")) == 3, what="three bodies")
        wait_for(lambda: not self.tambo("queue", "list", "--to", "heidi@example.test"),
                 what="the queue to be done")
        self.assertEqual(self.tambo("fsck", "heidi@example.test"), clean)

        # A message's body is gone; another file lies there that no message has.
        gone = self.bodies("heidi@example.test")[0]
        os.unlink(gone)
        stray = os.path.join(self.account_directory("heidi@example.test"), "bodies", "stray")
        with open(stray, "w") as f:
            f.write("not of this place")
        result = self.run_tambo("fsck", "heidi@example.test")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("heidi@example.test\tbody missing: " + os.path.basename(gone), result.stdout)
        self.assertIn("foreign file", result.stdout)
        # All accounts: the others are clean, the exit code tells of the one.
        result = self.run_tambo("fsck")
        self.assertEqual(result.returncode, 1)
        self.assertIn("bob@example.test\tclean", result.stdout)

        result = self.run_tambo("fsck", "--repair", "heidi@example.test")
        self.assertIn("(repaired)", result.stdout)
        if os.path.exists(stray):
            os.unlink(stray)
        self.assertEqual(self.tambo("fsck", "heidi@example.test"), clean)
        self.assertEqual(len(self.inbox("heidi@example.test", "heidi-secret")), 2)
        self.refused(NOUSER, "no account", "fsck", "nobody@example.test")


if __name__ == "__main__":
    unittest.main(verbosity=2)
