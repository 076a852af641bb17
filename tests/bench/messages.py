"""A mailbox as people have it, the same at every run: seeded, about 4 KiB a message.

Threads, lists, several recipients, UTF-8 subjects, alternative and mixed bodies with attachments.
For searches: the word "xylozephyrine" in the body of every 2,000th message, "quizzacious" in the
subject of every 1,000th, and every 800th is from zebulon.rare@rare.test.
"""
import base64
import email.utils
import random

WORDS = (
    "time year people way day man thing woman life child world school state family student "
    "group country problem hand part place case week company system program question work "
    "government number night point home water room mother area money story fact month lot "
    "right study book eye job word business issue side kind head house service friend father "
    "power hour game line end member law car city community name president team minute idea "
    "body information back parent face others level office door health person art war history "
    "party result change morning reason research girl guy moment air teacher force education "
    "invoice budget server release deadline meeting review contract customer delivery backup "
    "quarter report draft").split()
FIRST = "anna boris carla dmitri elena farid greta hugo ines jonas katya liam mona nils".split()
LAST = "adams becker costa dubois evans fischer garcia hansen ivanov jensen kim lopez".split()
DOMAINS = ["example.com", "mail.test", "corp.example", "uni.example.org", "list.example.net"]
EPOCH = 1_600_000_000


class Box:
    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.history = []  # (subject, message-id, references)

    def person(self):
        r = self.random
        return "%s.%s%d@%s" % (r.choice(FIRST), r.choice(LAST), r.randrange(40), r.choice(DOMAINS))

    def subject(self, number):
        """Subject and the References of what it answers; half of all messages are answers."""
        r = self.random
        if self.history and r.random() < 0.5:
            subject, message_id, references = r.choice(self.history[-500:])
            answer = subject if subject.startswith("Re: ") else "Re: " + subject
            return answer, (references + [message_id])[-10:]
        subject = " ".join(r.choice(WORDS) for _ in range(r.randrange(2, 9))).capitalize()
        if r.random() < 0.05:
            text = ("Übersicht: " + subject[:30]).encode()
            subject = "=?UTF-8?B?" + base64.b64encode(text).decode() + "?="
        return subject + (" quizzacious" if number % 1000 == 77 else ""), []

    def header(self, number, when):
        r = self.random
        subject, references = self.subject(number)
        message_id = "<%d.%d.%x@%s>" % (when, number, r.getrandbits(48), r.choice(DOMAINS))
        self.history.append((subject, message_id, references))
        sender = "zebulon.rare@rare.test" if number % 800 == 33 else self.person()
        to = [self.person() for _ in range(1 if r.random() < 0.8 else r.randrange(2, 6))]
        lines = ["Received: from mx%d.example.net (mx.example.net [192.0.2.%d])\n"
                 "\tby mail.example.test with ESMTPS id %X; %s"
                 % (r.randrange(9), r.randrange(255), r.getrandbits(44),
                    email.utils.formatdate(when)),
                 "From: %s <%s>" % (sender.split(".")[0].title(), sender), "To: " + ", ".join(to)]
        if r.random() < 0.15:
            lines.append("Cc: " + self.person())
        lines += ["Subject: " + subject, "Date: " + email.utils.formatdate(when),
                  "Message-ID: " + message_id]
        if references:
            lines += ["In-Reply-To: " + references[-1], "References: " + "\n ".join(references)]
        if r.random() < 0.3:
            lines += ["List-Id: <list%d.example.net>" % r.randrange(30), "Precedence: list"]
        return lines + ["MIME-Version: 1.0", "X-Mailer: bench/%d" % r.randrange(10)]

    def words(self, size):
        lines, done = [], 0
        while done < size:
            lines.append(" ".join(self.random.choices(WORDS, k=self.random.randrange(6, 13))))
            done += len(lines[-1]) + 1
        return "\n".join(lines) + "\n"

    def body(self, number):
        """Further header lines, and the body."""
        r = self.random
        size = min(60000, max(300, int(r.lognormvariate(7.45, 0.9))))
        text = self.words(size)
        if number % 2000 == 1000:
            text += "the rare word xylozephyrine is here\n"
        plain = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"
        kind = r.random()
        if kind < 0.6:
            return plain.splitlines(), text
        boundary = "=_b%x" % r.getrandbits(60)
        if kind < 0.85:
            form, second = "alternative", (
                "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n"
                "<html><body><p>" + text.replace("\n", "</p>\n<p>") + "</p></body></html>\n")
        else:
            form, second = "mixed", (
                'Content-Type: application/pdf; name="doc%d.pdf"\n'
                "Content-Transfer-Encoding: base64\n"
                'Content-Disposition: attachment; filename="doc%d.pdf"\n\n'
                % (number, number) + base64.encodebytes(r.randbytes(size)).decode())
        return (['Content-Type: multipart/%s; boundary="%s"' % (form, boundary)],
                "--{0}\n{1}\n{2}--{0}\n{3}--{0}--\n".format(boundary, plain, text, second))

    def message(self, number):
        when = EPOCH + number * 600 + self.random.randrange(600)
        header = self.header(number, when)
        more, body = self.body(number)
        return ("\n".join(header + more) + "\n\n" + body).replace("\n", "\r\n").encode()

    def flags(self):
        r = self.random
        return " ".join(flag for flag, share in (("\\Flagged", 0.05), ("\\Answered", 0.1),
                                                 ("\\Seen", 0.7)) if r.random() < share)


def fill(imap, mailbox, count, in_flight=100):
    """APPENDs count messages, several on their way at once."""
    box, tags = Box(), []
    for number in range(count):
        text = box.message(number)
        tags.append(imap.send(b"APPEND %s (%s) {%d+}\r\n%s" % (
            mailbox.encode(), box.flags().encode(), len(text), text)))
        if len(tags) == in_flight:
            imap.wait(tags[-1])
            tags.clear()
    if tags:
        imap.wait(tags[-1])
