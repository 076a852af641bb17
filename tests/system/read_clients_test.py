"""Clients that read: curl, mutt, fetchmail, getmail, imaplib, poplib, their certificate check on.

Each must hand out the messages byte for byte as they went in, below the trace fields.
"""
import glob
import imaplib
import os
import poplib
import re
import ssl
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
from clients import (Lab, first_difference, local_lines, maildir, plain_message,  # noqa: E402
                     rich_message, trace_and_rest)

READERS = ["imap", "pop", "mutt", "fetch-pop3", "fetch-imap", "fetch-pop3s", "fetch-imaps",
           "get-pop3", "get-imap"]
POP3_TLS = {"pop3": False, "pop3s": True}
IMAP_TLS = {"imap": False, "imaps": True}


def as_getmail(message):
    """A message as getmail files it: white space of its header fields anew, a field of its own."""
    head, body = message.split(b"\n\n", 1)
    head = re.sub(rb"(?m)^([!-9;-~]+):[ \t]*", rb"\1: ", head)
    head = re.sub(rb"\nX-getmail-retrieved-from-mailbox: [^\n]*", b"", head)
    return re.sub(rb"(?m)[ \t]+$", b"", head) + b"\n\n" + body


class Reading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(["alice", *READERS])
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()
        to = [name + "@example.test" for name in READERS]
        cls.sent = [rich_message("alice@example.test", to[0], "first"),
                    rich_message("alice@example.test", to[0], "second", utf8_headers=True),
                    plain_message("alice@example.test", to[0], "third", ".\r\n..\r\n\r\nend\r\n")]
        for message in cls.sent:
            for recipient in to:
                cls.lab.submit("alice", recipient, message, ["SMTPUTF8", "BODY=8BITMIME"])
        # As the server has them, trace fields and all.
        cls.raw = {name: sorted(cls.lab.messages(name, len(cls.sent)), key=len)
                   for name in READERS}

    def succeed(self, result, text=b""):
        self.assertEqual(result.returncode, 0, result.stdout.decode(errors="replace"))
        self.assertIn(text, result.stdout)
        return result.stdout

    def assert_as_sent(self, found, lines=lambda message: message):
        """The bytes below the trace fields; lines says how this client ends lines."""
        rests = [trace_and_rest(message) for message in found]
        for trace, _ in rests:
            self.assertEqual(trace, [b"return-path", b"delivered-to", b"received"])
        self.assert_same([rest for _, rest in rests], map(lines, self.sent))

    def assert_same(self, found, expected):
        """Messages in any order; those of these tests differ in length."""
        found, expected = sorted(found, key=len), sorted(expected, key=len)
        self.assertEqual(len(found), len(expected))
        for one, other in zip(found, expected):
            self.assertIsNone(first_difference(one, other))

    def test_what_went_in(self):
        for name in READERS:
            self.assert_as_sent(self.raw[name])

    # ---- Python

    def test_imaplib(self):
        for port, tls in IMAP_TLS.items():
            with self.subTest(port):
                if tls:
                    client = imaplib.IMAP4_SSL("127.0.0.1", self.lab.ports[port], timeout=30,
                                               ssl_context=self.lab.context())
                else:
                    client = imaplib.IMAP4("127.0.0.1", self.lab.ports[port], timeout=30)
                    client.starttls(self.lab.context())
                self.read_with_imaplib(client)

    def read_with_imaplib(self, client):
        client.login("imap@example.test", "imap-secret")
        self.assertEqual(client.select("INBOX", readonly=True), ("OK", [b"3"]))
        whole = [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if len(part) == 2]
        self.assert_same(whole, self.raw["imap"])
        for number, message in enumerate(whole, 1):
            line, = client.fetch(str(number), "(RFC822.SIZE)")[1]
            self.assertIn(b"RFC822.SIZE %d)" % len(message), line)
            head = client.fetch(str(number), "(BODY.PEEK[HEADER])")[1][0][1]
            text = client.fetch(str(number), "(BODY.PEEK[TEXT])")[1][0][1]
            self.assertIsNone(first_difference(head + text, message))
            pieces = [client.fetch(str(number), "(BODY.PEEK[]<%d.10000>)" % at)[1][0][1]
                      for at in range(0, len(message), 10000)]
            self.assertIsNone(first_difference(b"".join(pieces), message))
        self.assertEqual(client.logout()[0], "BYE")

    def test_poplib(self):
        for port, tls in POP3_TLS.items():
            with self.subTest(port):
                if tls:
                    client = poplib.POP3_SSL("127.0.0.1", self.lab.ports[port], timeout=30,
                                             context=self.lab.context())
                else:
                    client = poplib.POP3("127.0.0.1", self.lab.ports[port], timeout=30)
                    client.stls(self.lab.context())
                self.read_with_poplib(client)

    def read_with_poplib(self, client):
        client.user("pop@example.test")
        client.pass_("pop-secret")
        count, octets = client.stat()
        self.assertEqual(count, 3)
        self.assertEqual(octets, sum(map(len, self.raw["pop"])))
        whole = []
        for number in range(1, 4):
            lines = client.retr(number)[1]
            whole.append(b"\r\n".join([*lines, b""]))
            head = client.top(number, 0)[1]
            self.assertEqual(head, lines[:lines.index(b"") + 1])
        self.assert_same(whole, self.raw["pop"])
        self.assertEqual(len({line.split()[1] for line in client.uidl()[1]}), 3)
        self.assertTrue(client.quit().startswith(b"+OK"))

    def test_python_trusts_only_the_right_ca(self):
        stranger = ssl.create_default_context(cafile=self.lab.stranger_ca)
        with self.assertRaises(ssl.SSLCertVerificationError):
            imaplib.IMAP4_SSL("127.0.0.1", self.lab.ports["imaps"], timeout=30,
                              ssl_context=stranger)
        with self.assertRaises(ssl.SSLCertVerificationError):
            poplib.POP3_SSL("127.0.0.1", self.lab.ports["pop3s"], timeout=30, context=stranger)

    # ---- curl

    def curl(self, service, path, *options, ca=None):
        user = "pop" if service.startswith("pop") else "imap"
        return self.lab.run("curl", "--silent", "--show-error", "--max-time", "30", "--cacert",
                            ca or self.lab.ca, "--ssl-reqd", "--user",
                            "%s@example.test:%s-secret" % (user, user),
                            "%s://127.0.0.1:%d/%s" % (service, self.lab.ports[service], path),
                            *options)

    def test_curl_imap(self):
        for service in IMAP_TLS:
            with self.subTest(service):
                self.assertIn(b'"/" INBOX', self.succeed(self.curl(service, "")).replace(
                    b'"INBOX"', b"INBOX"))
                self.assertEqual(self.succeed(self.curl(service, "INBOX?ALL")),
                                 b"* SEARCH 1 2 3\r\n")
                found = [self.succeed(self.curl(service, "INBOX;MAILINDEX=%d" % number))
                         for number in (1, 2, 3)]
                self.assert_same(found, self.raw["imap"])
                part = self.succeed(self.curl(service, "INBOX;MAILINDEX=1;SECTION=1.1"))
                self.assertIn("日本語, Ελληνικά, 🐙\r\n".encode(), part)
                # What is uploaded is appended.
                path = "Uploads-" + service
                self.succeed(self.curl(service, "", "--request", "CREATE " + path))
                self.succeed(self.curl(service, path, "--upload-file", self.lab.write(
                    service + ".eml", self.sent[1])))
                self.assertIsNone(first_difference(
                    self.succeed(self.curl(service, path + ";MAILINDEX=1")), self.sent[1]))
                self.assertIn(b"\\Flagged", self.succeed(self.curl(
                    service, path, "--request", "STORE 1 +FLAGS (\\Flagged)")))
                # 60: the certificate does not verify.
                self.assertEqual(self.curl(service, "", ca=self.lab.stranger_ca).returncode, 60)

    def test_curl_pop3(self):
        for service in POP3_TLS:
            with self.subTest(service):
                self.assertEqual(len(self.succeed(self.curl(service, "")).splitlines()), 3)
                found = [self.succeed(self.curl(service, str(number))) for number in (1, 2, 3)]
                self.assert_same(found, self.raw["pop"])
                listed = self.succeed(self.curl(service, "", "--request", "UIDL"))
                self.assertEqual(len(listed.splitlines()), 3)
                self.assertEqual(self.curl(service, "", ca=self.lab.stranger_ca).returncode, 60)

    def test_curl_without_tls_is_refused(self):
        for service in ("imap", "pop3"):
            with self.subTest(service):
                result = self.lab.run(
                    "curl", "--silent", "--show-error", "--max-time", "30", "--user",
                    "imap@example.test:imap-secret",
                    "%s://127.0.0.1:%d/" % (service, self.lab.ports[service]))
                # 67: login denied. It had nothing to log in with.
                self.assertEqual(result.returncode, 67, result.stdout)

    # ---- mutt

    def mutt(self, service, keys, ca, answer=None):
        # Without a folder of its own it would first ask whether to make one.
        rc = self.lab.write(service + "/muttrc", """
set imap_user="mutt@example.test" imap_pass="mutt-secret"
set ssl_ca_certificates_file="%s" ssl_starttls=yes ssl_force_tls=yes
set charset=utf-8 mbox_type=Maildir confirmappend=no delete=yes quit=yes move=no
set wait_key=no folder="%s"
push "%s"
""" % (ca, self.lab.home, keys))
        return self.lab.run_on_terminal(
            "mutt", "-n", "-F", rc, "-f",
            "%s://127.0.0.1:%d/INBOX" % (service, self.lab.ports[service]), answer=answer)

    def test_mutt(self):
        for service in IMAP_TLS:
            with self.subTest(service):
                # It shows the certificate that it cannot verify, and asks.
                refused = self.mutt(service, "<quit>", self.lab.stranger_ca, (b"(r)eject", b"r"))
                self.assertIn(b"(r)eject", refused.stdout)
                self.assertNotIn(b"Selecting INBOX", refused.stdout)
                copies = self.lab.make_maildir(service, "copies")
                result = self.mutt(
                    service, "<tag-pattern>~A<enter><tag-prefix><copy-message>" + copies +
                    "<enter><tag-prefix><flag-message><quit>", self.lab.ca)
                self.assertEqual(result.returncode, 0, result.stdout)
                # mutt notes both in a copy that it files.
                added = rb"Content-Length: \d+\nLines: \d+\n(?=\n)"
                self.assert_as_sent([re.sub(added, b"", copy, count=1) for copy in maildir(copies)],
                                    local_lines)
                client = self.lab.imap("mutt")
                flags = client.fetch("1:*", "(FLAGS)")[1]
                self.assertEqual(sum(b"\\Flagged" in line for line in flags), 3, flags)
                client.store("1:*", "-FLAGS", "(\\Flagged)")
                client.logout()

    # ---- fetchmail

    def fetchmail(self, service, options, ca=None):
        """One poll of account fetch-SERVICE; what it delivered."""
        mda = self.lab.write("deliver", '#!/bin/sh\nexec cat > "$(mktemp "$1/XXXXXXXX")"\n', 0o700)
        folder = self.lab.make_directory(self.lab.path("fetched", service))
        tls = ("ssl sslproto TLS1.2+" if service.endswith("s") else "sslproto TLS1.2+")
        rc = self.lab.write("fetchmailrc-" + service, """
set no syslog
set no bouncemail
poll localhost protocol %s port %d timeout 30
    user "fetch-%s@example.test" password "fetch-%s-secret"
    %s sslcertck sslcertfile "%s" no rewrite fetchall no mimedecode
    mda "%s %s" %s
""" % (service.removesuffix("s"), self.lab.ports[service], service, service, tls, ca or self.lab.ca,
       mda, folder, options))
        return self.lab.run("fetchmail", "--fetchmailrc", rc, "--nodetach", "--invisible",
                            "--pidfile", self.lab.path("pid-" + service), "--idfile",
                            self.lab.path("ids-" + service)), folder

    def test_fetchmail(self):
        for service in ("pop3", "pop3s", "imap", "imaps"):
            with self.subTest(service):
                result, _ = self.fetchmail(service, "keep", self.lab.stranger_ca)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(b"self-signed certificate", result.stdout.replace(
                    b"self signed", b"self-signed"))
                result, folder = self.fetchmail(service, "no keep")
                self.succeed(result)
                found = []
                for name in os.listdir(folder):
                    with open(os.path.join(folder, name), "rb") as f:
                        found.append(f.read())
                self.assert_as_sent(found, local_lines)
                # 1: there was no mail; the first run took it off the server.
                self.assertEqual(self.fetchmail(service, "no keep")[0].returncode, 1)
                self.assertEqual(self.lab.messages("fetch-" + service, 0), [])

    # ---- getmail

    def getmail(self, protocol, port, options, ca=None):
        user = "get-" + protocol.lower()
        rc = self.lab.write("getmail-%s/getmailrc" % protocol, """
[retriever]
type = Simple%sSSLRetriever
server = localhost
port = %d
username = %s@example.test
password = %s-secret
ca_certs = %s
ssl_cert_hostname = localhost
timeout = 30
[destination]
type = Maildir
path = %s/
[options]
delivered_to = false
received = false
verbose = 2
%s
""" % (protocol, self.lab.ports[port], user, user, ca or self.lab.ca, self.lab.path(user), options))
        result = self.lab.run("getmail", "--getmaildir", os.path.dirname(rc))
        # getmail forks for each message and now and then misses the end of its child, if that comes
        # between its look and its wait (baseclasses.py, _wait_for_child): once more, from nothing.
        if b"waiting child pid" not in result.stdout:
            return result
        for path in glob.glob(self.lab.path(user, "new", "*")) if "delete = false" in options else []:
            os.unlink(path)
        for path in glob.glob(os.path.join(os.path.dirname(rc), "oldmail-*")):
            os.unlink(path)
        return self.lab.run("getmail", "--getmaildir", os.path.dirname(rc))

    def test_getmail(self):
        for protocol, port in (("POP3", "pop3s"), ("IMAP", "imaps")):
            user = "get-" + protocol.lower()
            with self.subTest(port):
                folder = self.lab.make_maildir(user)
                result = self.getmail(protocol, port, "", self.lab.stranger_ca)
                self.assertIn(b"certificate verify failed", result.stdout)
                keep = "delete = false\nread_all = false\n"
                self.assertIn(b"3 messages", self.succeed(self.getmail(protocol, port, keep)))
                self.assert_same([as_getmail(trace_and_rest(m)[1]) for m in maildir(folder)],
                                 [as_getmail(local_lines(m)) for m in self.sent])
                # What it knows it does not take again: UIDs and unique-ids are lasting.
                self.assertRegex(self.succeed(self.getmail(protocol, port, keep)),
                                 rb"0 messages \(0 bytes\) retrieved, 3 skipped")
                take = "delete = true\nread_all = true\n"
                self.succeed(self.getmail(protocol, port, take))
                self.assertGreaterEqual(len(maildir(folder)), 6)  # more if it had to be run again
                self.assertEqual(self.lab.messages(user, 0), [])


class BeforeTls(unittest.TestCase):
    """STARTTLS and STLS come first: what would show a password is neither offered nor accepted."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(["alice"])
        cls.addClassCleanup(cls.lab.destroy)
        cls.lab.start()

    def test_imap(self):
        client = imaplib.IMAP4("127.0.0.1", self.lab.ports["imap"], timeout=30)
        self.assertIn("LOGINDISABLED", client.capabilities)
        self.assertIn("STARTTLS", client.capabilities)
        self.assertFalse([c for c in client.capabilities if c.startswith("AUTH=")])
        with self.assertRaisesRegex(imaplib.IMAP4.error, "PRIVACYREQUIRED"):
            client.login("alice@example.test", "alice-secret")
        with self.assertRaises(imaplib.IMAP4.error):
            client.authenticate("PLAIN", lambda _: b"\0alice@example.test\0alice-secret")
        client.starttls(self.lab.context())
        self.assertNotIn("LOGINDISABLED", client.capabilities)
        self.assertNotIn("STARTTLS", client.capabilities)
        self.assertIn("AUTH=PLAIN", client.capabilities)
        self.assertEqual(client.authenticate(
            "PLAIN", lambda _: b"\0alice@example.test\0alice-secret")[0], "OK")
        client.logout()

    def test_pop3(self):
        client = poplib.POP3("127.0.0.1", self.lab.ports["pop3"], timeout=30)
        offered = client.capa()
        self.assertIn("STLS", offered)
        self.assertNotIn("USER", offered)
        self.assertNotIn("SASL", offered)
        with self.assertRaises(poplib.error_proto):
            client.user("alice@example.test")
            client.pass_("alice-secret")
        client.stls(self.lab.context())
        offered = client.capa()
        self.assertNotIn("STLS", offered)
        self.assertIn("USER", offered)
        self.assertIn("PLAIN", offered["SASL"])
        client.user("alice@example.test")
        self.assertTrue(re.match(rb"\+OK", client.pass_("alice-secret")))
        client.quit()


if __name__ == "__main__":
    unittest.main(verbosity=2)
