"""Mail that leaves and mail that comes, over a network with other servers: a real Postfix, a DNS
server with every kind of domain, a second Tambo, and peers that refuse, hang or are not there.

Everything in namespaces of the test's own (tests/harness/network.py); release build.
"""
import email
import email.header
import imaplib
import os
import re
import shutil
import smtplib
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import network  # noqa: E402
from peer import Peer  # noqa: E402
from postfix import Postfix  # noqa: E402
from suite import Suite, SuiteError, wait_for  # noqa: E402
from unpacked import Exim, OpenSmtpd  # noqa: E402

OURS, HUB, BRANCH, POSTFIX, PEER, STALLED, MUTE, NAMES, EXIM, OPENSMTPD = (
    "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.20", "192.0.2.40", "192.0.2.41", "192.0.2.42",
    "192.0.2.53", "192.0.2.60", "192.0.2.70")
POSTFIX6 = "2001:db8::20"
# 192.0.2.30: a host on which nobody listens.
ADDRESSES = [OURS, HUB, BRANCH, POSTFIX, PEER, STALLED, MUTE, NAMES, POSTFIX6, EXIM,
             OPENSMTPD, "192.0.2.30"]
RECORDS = """
example.test. MX 10 mail.example.test.
mail.example.test. A 192.0.2.1
smart.hub.test. A 192.0.2.2
postfix.test. MX 10 dead.postfix.test.
postfix.test. MX 20 mx2.postfix.test.
dead.postfix.test. A 192.0.2.30
mx2.postfix.test. A 192.0.2.20
six.test. MX 10 mx6.postfix.test.
mx6.postfix.test. AAAA 2001:db8::20
implicit.test. A 192.0.2.20
null.test. MX 0 .
nowhere.test. MX 10 nohost.nowhere.test.
ourname.test. MX 10 mail.example.test.
ouraddress.test. MX 10 other.ouraddress.test.
other.ouraddress.test. A 192.0.2.1
backup.test. MX 10 dead.postfix.test.
backup.test. MX 20 mail.example.test.
backup.test. MX 30 mx2.postfix.test.
dead.test. MX 10 dead.postfix.test.
second.test. MX 10 dead.postfix.test.
second.test. MX 20 mx2.postfix.test.
*.peer.test. MX 10 mx.peer.test.
mx.peer.test. A 192.0.2.40
stalled.test. MX 10 mx.stalled.test.
mx.stalled.test. A 192.0.2.41
mute.test. MX 10 mx.mute.test.
mx.mute.test. A 192.0.2.42
exim.test. MX 10 mx.exim.test.
mx.exim.test. A 192.0.2.60
notexim.test. MX 10 mx.exim.test.
osmtpd.test. MX 10 mx.osmtpd.test.
old.osmtpd.test. MX 10 mx.osmtpd.test.
mx.osmtpd.test. A 192.0.2.70
1.2.0.192.in-addr.arpa. PTR mail.example.test.
2.2.0.192.in-addr.arpa. PTR smart.hub.test.
20.2.0.192.in-addr.arpa. PTR mx2.postfix.test.
60.2.0.192.in-addr.arpa. PTR mx.exim.test.
70.2.0.192.in-addr.arpa. PTR mx.osmtpd.test.
"""
ALICE = "alice@example.test"
# What a stalled server did not answer: limits::relay_data_timeout_ms, relay_command_timeout_ms.
DATA_DEADLINE_S, GREETING_DEADLINE_S = 120, 300


class World:
    """What the module starts once."""
    running = []
    directory = names = postfix = peer = suite = hub = branch = None
    stalled = mute = stalled_id = mute_id = None


def start(server):
    World.running.append(server)
    return server


def suite_at(address, hostname, **arguments):
    directory = tempfile.mkdtemp(prefix="tambo-")
    os.chmod(directory, 0o755)
    suite = Suite(directory, domains=["example.test"], hostname=hostname, dns=[NAMES + ":53"],
                  listen={"smtp": [address + ":25"], "submission": [address + ":587"]},
                  **arguments)
    World.running.append(suite)
    return suite.start()


def setUpModule():
    if not network.there():
        raise unittest.SkipTest("not run: root")
    World.directory = tempfile.mkdtemp(prefix="tambo-network-")
    os.chmod(World.directory, 0o755)
    try:
        set_up_world()
    except BaseException:
        tearDownModule()
        raise


def set_up_world():
    network.set_up(ADDRESSES, NAMES, World.directory)
    World.names = start(network.NameServer(NAMES, RECORDS))
    World.stalled = start(Peer(STALLED, {"DATA": [None, ""]}))
    World.mute = start(Peer(MUTE, {"greeting": [None, ""]}))
    World.peer = start(Peer(PEER))
    World.suite = suite_at(OURS, "mail.example.test", settings={
        "queue.retry_min": "500ms", "queue.retry_max": "1s", "smtp.greeting_wait": "1s"})
    # These wait while the other tests run.
    World.stalled_id = send(World.suite, ["someone@stalled.test"], message("stalled"))
    World.mute_id = send(World.suite, ["someone@mute.test"], message("mute"))
    World.postfix = start(Postfix(
        "mx2.postfix.test", [POSTFIX, POSTFIX6], ["postfix.test", "second.test", "implicit.test",
                                                   "six.test"], {
            "smtpd_recipient_restrictions":
                "check_recipient_access inline:{"
                "{no@postfix.test = 550 5.7.1 the moon is full}}",
            "smtp_tls_security_level": "verify",
            "smtp_tls_CAfile": World.suite.ca,
            "always_add_missing_headers": "no"}))
    World.hub = suite_at(HUB, "smart.hub.test", settings={
        "queue.retry_min": "500ms", "queue.retry_max": "1s", "queue.lifetime": "8s",
        "queue.delay_notice": "2s"})


def tearDownModule():
    for server in reversed(World.running):
        try:
            server.destroy() if isinstance(server, Suite) else server.stop()
        except Exception as error:  # the others are to be stopped too
            print(error, file=sys.stderr)
    if World.directory:
        shutil.rmtree(World.directory, ignore_errors=True)


# ---- words for the tests

def message(token, to="someone@elsewhere.test", subject="An interop test"):
    """Everything that a server may be tempted to touch; ends of lines are CRLF."""
    return ("From: Alice <alice@example.test>\r\n"
            "To: <%s>\r\n"
            "Subject: %s\r\n"
            "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
            "Message-ID: <%s@token.test>\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n"
            "\r\n"
            "--=_b\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n"
            "\r\n"
            ".\r\n..\r\n.dot, trailing blank \r\n"
            "\tGr\u00fc\u00dfe aus K\u00f6ln, \u65e5\u672c\u8a9e\r\n"
            "From here on: no mbox quoting.\r\n"
            "%s\r\n"
            "--=_b\r\n"
            "Content-Type: application/octet-stream\r\n"
            "Content-Transfer-Encoding: base64\r\n"
            "\r\n"
            "%s\r\n"
            "--=_b--\r\n"
            "\r\n\r\n" % (to, subject, token, "x" * 900, "QUJD" * 18)).encode()


def tls_of(suite):
    return ssl.create_default_context(cafile=suite.ca)


def send(suite, recipients, data, sender=ALICE, options=("BODY=8BITMIME",)):
    """By submission, logged in; returns the queue id."""
    with smtplib.SMTP("localhost", suite.ports["submission"], timeout=30) as smtp:
        smtp.starttls(context=tls_of(suite))
        smtp.ehlo()
        smtp.login(*suite.users[0])
        if "SMTPUTF8" in options:
            smtp.command_encoding = "utf-8"
        check_reply(smtp.mail(sender, options))
        for recipient in recipients:
            check_reply(smtp.docmd("RCPT TO:<%s>" % recipient))
        code, text = smtp.data(data)
    check_reply((code, text))
    return text.decode().split()[-1]


def check_reply(reply):
    if reply[0] != 250:
        raise AssertionError("refused: %s" % (reply,))


def mail_of(suite, user=0):
    """All messages in the INBOX, as bytes."""
    with imaplib.IMAP4_SSL("localhost", suite.ports["imaps"], ssl_context=tls_of(suite),
                           timeout=30) as imap:
        imap.login(*suite.users[user])
        if imap.select("INBOX", readonly=True)[1] == [b"0"]:
            return []
        return [part[1] for part in imap.fetch("1:*", "(BODY.PEEK[])")[1]
                if isinstance(part, tuple)]


def reports(suite, queue_id, action):
    """Of the reports with this action about the message: (text for people, fields by recipient)."""
    found = []
    for data in mail_of(suite):
        report = email.message_from_bytes(data)
        if report.get_content_type() != "multipart/report" or queue_id.encode() not in data:
            continue
        people, status = report.get_payload()[:2]
        fields = {block["Final-Recipient"].split(";")[1].strip(): block
                  for block in status.get_payload() if block["Final-Recipient"]}
        if all(block["Action"] == action for block in fields.values()):
            found.append((people.get_payload(decode=True).decode(), fields))
    return found


class Case(unittest.TestCase):
    def events(self, queue_id, *wanted, suite=None, seconds=30):
        """Waits until a line of the trace has all words of each wanted string."""
        suite = suite or World.suite
        trace = ""

        def missing(line_words):
            return not any(all(word in line for word in line_words.split(" & "))
                           for line in trace.splitlines())

        def complete():
            nonlocal trace
            trace = suite.tambo("trace", queue_id, check=False).stdout
            return not [words for words in wanted if missing(words)]
        try:
            wait_for(complete, seconds, "trace", 0.2)
        except Exception:
            self.fail("the trace lacks %s:\n%s\n%s" % (
                [words for words in wanted if missing(words)], trace,
                World.postfix.tail()[-1500:] if World.postfix else ""))
        return trace

    def bounce(self, queue_id, recipients, suite=None, seconds=30):
        """The one report of failure, about just these recipients: (text, fields)."""
        suite = suite or World.suite
        found = wait_for(lambda: reports(suite, queue_id, "failed"), seconds,
                         "a report about " + queue_id, 0.3)
        self.assertEqual(len(found), 1)
        self.assertEqual(sorted(found[0][1]), sorted(recipients))
        return found[0]

    def assert_bounces(self, recipient, status, *words):
        """At once, with this status and these words in report and trace."""
        queue_id = send(World.suite, [recipient], message("bounce-" + recipient))
        text, fields = self.bounce(queue_id, [recipient])
        self.assertEqual(fields[recipient]["Status"], status)
        for word in words:
            self.assertIn(word, text)
        trace = self.events(queue_id, "queue.failed & %s & enhanced=%s" % (recipient, status),
                            "relay.refused & " + recipient)
        self.assertNotIn("queue.deferred", trace)
        self.assertIn("attempts=1", trace)
        self.events(queue_id, "queue.report & kind=failure & about=" + queue_id,
                    "queue.delivered & alice@example.test & mailbox=INBOX")
        return queue_id, text

    def assert_at(self, server, data):
        """Below what servers put on top lies what was sent, byte for byte; returns the top."""
        wanted = data.replace(b"\r\n", b"\n")
        found = wait_for(lambda: [text for text in server.mail() if text.endswith(wanted)], 20,
                         "the message at the other server")
        self.assertEqual(len(found), 1)
        return found[0][:-len(wanted)].decode()

    def assert_at_postfix(self, data):
        return self.assert_at(World.postfix, data)

    def comes_through(self, server, address, hostname, data, options=(),
                      sender="carol@postfix.test"):
        """Given to that server, it arrives at bob here, byte for byte; returns our queue id."""
        with smtplib.SMTP(address, 25, source_address=(network.CLIENT, 0), timeout=30) as smtp:
            smtp.ehlo("client.postfix.test")
            if "SMTPUTF8" in options:
                smtp.command_encoding = "utf-8"
            check_reply(smtp.mail(sender, options))
            check_reply(smtp.docmd("RCPT TO:<bob@example.test>"))
            check_reply(smtp.data(data))
        try:
            found = wait_for(lambda: [m for m in mail_of(World.suite, 1) if m.endswith(data)], 30,
                             "the message in bob's INBOX", 0.3)
        except SuiteError as error:
            self.fail("%s\n%s\n%s" % (error, server.tail(), World.suite.log_tail()))
        self.assertEqual(len(found), 1)
        top = found[0][:-len(data)].decode()
        self.assertIn("Return-Path: <%s>" % sender, top)
        ours = email.message_from_string(top)["Received"]
        self.assertRegex(ours, r"from %s[\s\S]*TLSv1\.3" % re.escape(hostname))
        return re.search(r"by mail\.example\.test[\s\S]*?id ([0-9A-Za-z-]+)", ours).group(1)


class ToPostfix(Case):
    def test_second_exchanger_after_a_dead_one(self):
        data = message("second")
        queue_id = send(World.suite, ["carol@second.test"], data)
        self.events(
            queue_id, "smtp.accepted", "relay.attempt_failed & host=dead.postfix.test & refused",
            "relay.connected & host=mx2.postfix.test & ip=192.0.2.20 & tls=TLSv1.3",
            "relay.sent & carol@second.test & code=250 & queued as",
            "queue.relayed & host=mx2.postfix.test & tls=TLSv1.3")
        top = self.assert_at_postfix(data)
        self.assertIn("Return-Path: <alice@example.test>", top)
        self.assertRegex(top, r"using TLSv1\.3")
        self.assertRegex(top, r"Received: from mail\.example\.test \(mx2\.postfix\.test")
        self.assertIn("id " + queue_id, top)
        self.assertNotIn("Delivered-To: alice", top)

    def test_implicit_exchanger(self):
        data = message("implicit")
        queue_id = send(World.suite, ["carol@implicit.test"], data)
        self.events(queue_id, "relay.sent & host=implicit.test & ip=192.0.2.20")
        self.assert_at_postfix(data)

    def test_ipv6_only(self):
        data = message("six")
        queue_id = send(World.suite, ["carol@six.test"], data)
        self.events(queue_id, "relay.sent & host=mx6.postfix.test & 2001:db8::20")
        self.assert_at_postfix(data)

    def test_internationalised_address(self):
        data = message("utf8", to="m\u00fcller@postfix.test", subject="Gr\u00fc\u00dfe")
        queue_id = send(World.suite, ["m\u00fcller@postfix.test"], data,
                        options=("BODY=8BITMIME", "SMTPUTF8"))
        self.events(queue_id, "relay.sent & host=mx2.postfix.test")
        top = self.assert_at_postfix(data)
        self.assertIn("Delivered-To: m\u00fcller@postfix.test", top)

    def test_many_recipients(self):
        recipients = ["r%d@postfix.test" % i for i in range(60)]
        data = message("many")
        queue_id = send(World.suite, recipients, data)
        self.events(queue_id, *["relay.sent & " + one for one in recipients])
        wait_for(lambda: len([1 for text in World.postfix.mail()
                              if text.endswith(data.replace(b"\r\n", b"\n"))]) == 60,
                 20, "60 copies at Postfix")

    def test_a_big_message(self):
        data = message("big") + b"0123456789abcdef" * 4 + b"\r\n"
        data += (b"." * 70 + b"\r\n") * 100_000
        queue_id = send(World.suite, ["carol@implicit.test"], data)
        self.events(queue_id, "relay.sent & host=implicit.test", seconds=60)
        self.assert_at_postfix(data)


class NoRoad(Case):
    def test_null_exchanger(self):
        queue_id, _ = self.assert_bounces("x@null.test", "5.1.10", "accepts no mail")
        self.assertNotIn("relay.connected", World.suite.tambo("trace", queue_id))

    def test_no_such_domain(self):
        self.assert_bounces("x@nonexistent.test", "5.1.2", "does not exist")

    def test_exchanger_without_an_address(self):
        self.assert_bounces("x@nowhere.test", "5.4.4", "has an address")

    def test_ourselves_by_name(self):
        queue_id, _ = self.assert_bounces("x@ourname.test", "5.4.6", "loops back")
        self.assertNotIn("relay.connected", World.suite.tambo("trace", queue_id))

    def test_ourselves_by_address(self):
        queue_id, _ = self.assert_bounces("x@ouraddress.test", "5.4.6", "loops back")
        self.assertNotIn("relay.connected", World.suite.tambo("trace", queue_id))

    def test_nothing_worse_than_ourselves(self):
        queue_id = send(World.suite, ["x@backup.test"], message("backup"))
        trace = self.events(queue_id, "queue.deferred & attempts=2 & dead.postfix.test")
        self.assertNotIn("relay.connected", trace)
        self.assertNotIn("mx2.postfix.test", trace)
        World.suite.tambo("queue", "drop", queue_id)


class Refusals(Case):
    def test_words_of_the_other_side(self):
        queue_id, text = self.assert_bounces("no@postfix.test", "5.7.1", "the moon is full",
                                             "mx2.postfix.test")
        _, fields = self.bounce(queue_id, ["no@postfix.test"])
        block = fields["no@postfix.test"]
        self.assertEqual(block["Remote-MTA"], "dns; mx2.postfix.test")
        self.assertRegex(block["Diagnostic-Code"], r"smtp; 550 5\.7\.1 [\s\S]*the moon is full")

    def test_one_of_two(self):
        data = message("mix")
        queue_id = send(World.suite, ["dave@postfix.test", "no@postfix.test"], data)
        self.bounce(queue_id, ["no@postfix.test"])
        self.events(queue_id, "relay.sent & dave@postfix.test",
                    "queue.failed & no@postfix.test & code=550")
        self.assertIn("Delivered-To: dave@postfix.test", self.assert_at_postfix(data))
        self.assertEqual(World.suite.tambo("queue", "list").count(queue_id), 0)

    def retried(self, script, *wanted, recipient):
        World.peer.script.update(script)
        data = message("retry-" + recipient)
        queue_id = send(World.suite, [recipient], data)
        self.events(queue_id, *wanted, "relay.sent & " + recipient)
        copies = [m.data for m in World.peer.messages if m.data.endswith(data)]
        self.assertEqual(len(copies), 1)
        self.assertEqual(reports(World.suite, queue_id, "failed"), [])

    def test_put_off_at_rcpt(self):
        recipient = "x@later.peer.test"
        self.retried({recipient: ["450 4.2.0 greylisted", "450 4.2.0 greylisted", ""]},
                     "queue.deferred & attempts=1 & code=450 & greylisted",
                     "queue.deferred & attempts=2", recipient=recipient)

    def test_put_off_at_the_greeting(self):
        self.retried({"greeting": ["421 4.3.2 too busy", ""]},
                     "queue.deferred & too busy", recipient="x@busy.peer.test")

    def test_put_off_after_the_message(self):
        self.retried({"message": ["451 4.3.0 disk trouble", ""]},
                     "queue.deferred & disk trouble", recipient="x@disk.peer.test")

    def test_refused_after_the_message(self):
        World.peer.script["message"] = ["554 5.6.0 not this", ""]
        queue_id, _ = self.assert_bounces("x@body.peer.test", "5.6.0", "not this")

    def test_reply_without_enhanced_code(self):
        World.peer.script["x@old.peer.test"] = "550 go away"
        self.assert_bounces("x@old.peer.test", "5.0.0", "go away")

    def test_starttls_that_fails(self):
        World.peer.offers.append("STARTTLS")
        try:
            World.peer.script["STARTTLS"] = "220 go"
            self.retried({}, "relay.attempt_failed & TLS handshake", recipient="x@tls.peer.test")
        finally:
            World.peer.offers.remove("STARTTLS")

    def test_a_server_of_seven_bits(self):
        World.peer.offers.remove("8BITMIME")
        try:
            queue_id = send(World.suite, ["x@seven.peer.test"], message("seven"))
            self.events(queue_id, "relay.sent")
        finally:
            World.peer.offers.append("8BITMIME")
        sent = [m for m in World.peer.messages if b"<seven@token.test>" in m.data][0]
        self.assertTrue(sent.data.isascii())
        self.assertNotIn("BODY=", sent.reverse_path)
        part = email.message_from_bytes(sent.data).get_payload()[0]
        text = email.message_from_bytes(message("seven")).get_payload()[0]
        self.assertEqual(part.get_payload(decode=True), text.get_payload(decode=True))

    def test_an_address_that_the_other_side_cannot_take(self):
        queue_id = send(World.suite, ["m\u00fcller@utf.peer.test"], message("no-utf8"),
                        options=("BODY=8BITMIME", "SMTPUTF8"))
        self.events(queue_id, "queue.failed & enhanced=5.6.7")


class OtherServers(Case):
    @classmethod
    def setUpClass(cls):
        cls.exim = start(Exim("mx.exim.test", EXIM, "exim.test", NAMES, World.suite.ca))
        cls.opensmtpd = start(OpenSmtpd("mx.osmtpd.test", OPENSMTPD, "osmtpd.test", NAMES,
                                        World.suite.ca))

    def test_to_exim(self):
        data = message("to-exim", subject="Gr\u00fc\u00dfe")
        queue_id = send(World.suite, ["m\u00fcller@exim.test"], data,
                        options=("BODY=8BITMIME", "SMTPUTF8"))
        self.events(queue_id, "relay.sent & host=mx.exim.test & tls=TLSv1.3 & id=")
        self.assertIn("Return-path: <alice@example.test>", self.assert_at(self.exim, data))

    def test_from_exim(self):
        data = message("from-exim", subject="Gr\u00fc\u00dfe")
        queue_id = self.comes_through(self.exim, EXIM, "mx.exim.test", data,
                                      ("BODY=8BITMIME", "SMTPUTF8"), "m\u00fcller@exim.test")
        self.events(queue_id, "queue.delivered & bob@example.test")

    def test_refused_by_exim(self):
        # Not one of its domains: a route that points to the wrong server.
        self.assert_bounces("x@notexim.test", "5.0.0", "relay not permitted", "mx.exim.test")

    def test_to_opensmtpd_with_its_broken_tls(self):
        data = message("to-opensmtpd")
        queue_id = send(World.suite, ["carol@old.osmtpd.test"], data)
        self.events(queue_id, "relay.attempt_failed & TLS handshake with mx.osmtpd.test",
                    "relay.sent & host=mx.osmtpd.test & Message accepted for delivery")
        self.assert_at(self.opensmtpd, data)

    def test_header_converted_for_opensmtpd(self):
        """It knows 8BITMIME and no SMTPUTF8."""
        data = message("convert", subject="Gr\u00fc\u00dfe")
        queue_id = send(World.suite, ["carol@osmtpd.test"], data,
                        options=("BODY=8BITMIME", "SMTPUTF8"))
        self.events(queue_id, "relay.sent & host=mx.osmtpd.test")
        body = data.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
        found = wait_for(lambda: [m for m in self.opensmtpd.mail() if b"<convert@" in m], 20,
                         "the message at OpenSMTPD")[0]
        self.assertTrue(found.endswith(body))
        header = found[:-len(body)]
        self.assertTrue(header.isascii())
        subject = email.message_from_bytes(header)["Subject"]
        self.assertEqual(str(email.header.make_header(email.header.decode_header(subject))),
                         "Gr\u00fc\u00dfe")

    def test_from_opensmtpd(self):
        queue_id = self.comes_through(self.opensmtpd, OPENSMTPD, "mx.osmtpd.test",
                                      message("from-opensmtpd"), sender="carol@osmtpd.test")
        self.events(queue_id, "queue.delivered & bob@example.test")


class FromPostfix(Case):
    def deliver(self, *arguments, **more):
        return self.comes_through(World.postfix, POSTFIX, "mx2.postfix.test", *arguments, **more)

    def test_over_verified_tls(self):
        queue_id = self.deliver(message("in"), ("BODY=8BITMIME",))
        self.events(queue_id, "smtp.accepted", "queue.delivered & bob@example.test")
        self.assertIn("Verified TLS connection established to mail.example.test[192.0.2.1]:25",
                      World.postfix.tail())

    def test_smtputf8(self):
        data = message("in-utf8", subject="Gr\u00fc\u00dfe \u65e5\u672c")
        self.deliver(data, ("BODY=8BITMIME", "SMTPUTF8"), sender="m\u00fcller@postfix.test")

    def test_unknown_recipient_comes_back_from_postfix(self):
        with smtplib.SMTP(POSTFIX, 25, source_address=(network.CLIENT, 0), timeout=30) as smtp:
            smtp.sendmail("carol@postfix.test", ["nobody@example.test"], message("in-unknown"))
        found = wait_for(lambda: [t for t in World.postfix.mail()
                                  if b"nobody@example.test" in t and b"multipart/report" in t],
                         20, "a bounce at Postfix")
        self.assertIn(b"5.1.1", found[0])


class Lifetime(Case):
    """The hub has a short patience: queue.delay_notice 2 s, queue.lifetime 8 s."""

    def test_notice_and_then_the_end(self):
        queue_id = send(World.hub, ["x@dead.test"], message("dead"))
        notice = wait_for(lambda: reports(World.hub, queue_id, "delayed"), 30, "a notice", 0.3)
        text, fields = notice[0]
        self.assertIn("tried again until", " ".join(text.split()))
        self.assertEqual(fields["x@dead.test"]["Status"][:2], "4.")
        self.assertTrue(fields["x@dead.test"]["Will-Retry-Until"])
        text, fields = self.bounce(queue_id, ["x@dead.test"], suite=World.hub)
        self.assertEqual(fields["x@dead.test"]["Status"], "4.4.7")
        self.assertIn("dead.postfix.test", text)
        self.assertEqual(len(reports(World.hub, queue_id, "delayed")), 1)
        self.events(queue_id, "queue.deferred & refused", "queue.failed",
                    "queue.report & kind=delay", "queue.report & kind=failure", suite=World.hub)
        self.assertEqual(World.hub.tambo("queue", "list").count(queue_id), 0)


class Smarthost(Case):
    @classmethod
    def setUpClass(cls):
        cls.password = os.path.join(World.directory, "smarthost-password")
        cls.write_password("wrong")
        World.branch = suite_at(BRANCH, "branch.example.test", settings={
            "queue.retry_min": "500ms", "queue.retry_max": "1s",
            "relay.smarthost": "smart.hub.test", "relay.smarthost_user": ALICE,
            "relay.smarthost_password_file": cls.password, "relay.ca_file": World.hub.ca})

    @classmethod
    def write_password(cls, password):
        with open(cls.password, "w") as f:
            f.write(password + "\n")
        os.chmod(cls.password, 0o600)

    def test_login_refused_then_right(self):
        data = message("smart")
        first = send(World.branch, ["erin@postfix.test"], data)
        self.events(first, "queue.deferred & code=535", suite=World.branch)
        self.write_password(World.hub.users[0][1])
        World.branch.tambo("reload")
        trace = self.events(first, "relay.connected & host=smart.hub.test & verified=yes",
                            "relay.sent & host=smart.hub.test", suite=World.branch, seconds=60)
        second = re.search(r"relay\.sent.*?([0-9A-Za-z]{16,})\"?\s*$", trace, re.M).group(1)
        self.events(second, "smtp.accepted", "relay.sent & host=mx2.postfix.test",
                    suite=World.hub)
        top = self.assert_at_postfix(data)
        self.assertIn("id " + first, top)
        self.assertIn("id " + second, top)


class WaitsForTheStalled(Case):
    """Last, because these were sent before everything else: a server that falls silent."""

    def deferred_and_delivered(self, queue_id, peer, stage, seconds):
        self.events(queue_id, "relay.attempt_failed & timed out while waiting for " + stage,
                    "queue.deferred & timed out", "relay.sent & code=250",
                    seconds=seconds + 60)
        self.assertEqual(len(peer.messages), 1)
        self.assertEqual(reports(World.suite, queue_id, "failed"), [])

    def test_after_data(self):
        self.deferred_and_delivered(World.stalled_id, World.stalled, "the reply to DATA",
                                    DATA_DEADLINE_S)

    @unittest.skipUnless(os.environ.get("TAMBO_FULL"), "a campaign of 5 minutes: ./dev test --full")
    def test_before_the_greeting(self):
        self.deferred_and_delivered(World.mute_id, World.mute, "the greeting",
                                    GREETING_DEADLINE_S)


if __name__ == "__main__":
    network.enter()
    unittest.main(verbosity=2)
