"""What becomes of a message: the table.

Each case says what a client does, the reply it gets (code and enhanced code, at which command),
where the message lands or who is told, and the words in which `tambo trace` gives the reason.
tests/system/cases_test.py runs every row against a running suite.

The suite: domains example.test (alice, bob, jörg, off, full, crowd, post), catch.test (catch-all
to bob), closed.test (disabled); relay.smarthost is a sink inside the test.
"""
from dataclasses import dataclass, field

DOMAIN, HOST = "example.test", "mail.example.test"


@dataclass
class Case:
    name: str
    reply: str                  # code and enhanced code of the last reply
    recipients: list            # forward-paths, without <>
    at: str = "END"             # MAIL, RCPT, DATA or END (of the message): where that reply comes
    door: str = "mx"            # mx, submission (as login), anonymous (submission, no login)
    login: str = ""             # local part of the account that submits
    sender: str = None          # reverse-path; None: one of this case's own
    mail_options: str = ""
    mail_raw: str = None        # the whole argument of MAIL
    header: str = None          # replaces the ordinary From, To, Subject
    body: str = "Hello.\r\n"
    lands: dict = field(default_factory=dict)      # account's local part -> how many copies
    mailbox: str = "INBOX"
    contains: str = ""          # every copy has it
    relayed: list = field(default_factory=list)    # recipients that the sink was given
    told: dict = field(default_factory=dict)       # account -> text in the bounce it gets
    trace_by: str = "sender"    # or "recipient", "id": the queue id of the reply
    trace: list = field(default_factory=list)      # (event, text...): in one line of the trace
    settings: dict = field(default_factory=dict)   # taken into use by reload, for this case
    setup: str = ""             # a method of the driver that runs before


def received(count):
    return "".join("Received: from a%d.example by b%d.example; Mon, 1 Jun 2026 10:00:00 +0000\r\n"
                   % (i, i) for i in range(count))


CASES = [
    # ---- local addresses
    Case("to_an_account", "250 2.0.0", ["alice@example.test"], lands={"alice": 1},
         contains="Return-Path: <to_an_account@client.example>\r\nDelivered-To: alice@example.test",
         trace=[("smtp.accepted",),
                ("queue.delivered", "rcpt=alice@example.test", "mailbox=INBOX")]),
    Case("case_and_domain_case", "250 2.0.0", ["ALICE@Example.TEST"], lands={"alice": 1},
         trace=[("queue.delivered", "to=alice@example.test")]),
    Case("the_same_recipient_twice", "250 2.0.0", ["alice@example.test", "alice@example.test"],
         lands={"alice": 1}, trace=[("smtp.accepted", "recipients=1")]),
    Case("plus_address", "250 2.0.0", ["alice+shopping@example.test"], lands={"alice": 1},
         contains="X-Original-To: alice+shopping@example.test",
         trace=[("queue.delivered", "rcpt=alice+shopping@example.test", "to=alice@example.test",
                 "mailbox=INBOX")]),
    Case("plus_address_with_a_mailbox", "250 2.0.0", ["bob+Lists@example.test"], lands={"bob": 1},
         mailbox="Lists", setup="make_lists_mailbox",
         trace=[("queue.delivered", "rcpt=bob+Lists@example.test", "mailbox=Lists")]),
    Case("forwarding_alias", "250 2.0.0", ["sales@example.test"], lands={"alice": 1, "bob": 1},
         contains="X-Original-To: sales@example.test",
         trace=[("queue.delivered", "rcpt=sales@example.test", "to=alice@example.test"),
                ("queue.delivered", "rcpt=sales@example.test", "to=bob@example.test")]),
    Case("forwarding_alias_to_another_server", "250 2.0.0", ["away@example.test"],
         relayed=["someone@remote.example"],
         trace=[("queue.relayed", "rcpt=away@example.test", "to=someone@remote.example",
                 "code=250", "enhanced=2.0.0")]),
    Case("alias_that_keeps_a_copy", "250 2.0.0", ["post@example.test"],
         lands={"post": 1}, relayed=["copy@remote.example"],
         trace=[("queue.delivered", "to=post@example.test"),
                ("queue.relayed", "to=copy@remote.example")]),
    Case("alias_loop", "550 5.4.6", ["ring-a@example.test"], at="RCPT",
         trace=[("smtp.refused", "rcpt=ring-a@example.test", "the alias leads in a circle")]),
    Case("catch_all", "250 2.0.0", ["anything@catch.test"], lands={"bob": 1},
         trace=[("queue.delivered", "rcpt=anything@catch.test", "to=bob@example.test")]),
    Case("unknown_user", "550 5.1.1", ["nobody-here@example.test"], at="RCPT",
         trace_by="recipient",
         trace=[("smtp.refused", "rcpt=nobody-here@example.test", "no such user here")]),
    Case("unknown_beside_known", "250 2.0.0", ["nobody-here@example.test", "bob@example.test"],
         lands={"bob": 1},
         trace=[("smtp.refused", "rcpt=nobody-here@example.test", "550 5.1.1"),
                ("queue.delivered", "rcpt=bob@example.test")]),
    Case("disabled_account", "550 5.2.1", ["off@example.test"], at="RCPT",
         trace=[("smtp.refused", "rcpt=off@example.test", "mailbox disabled")]),
    Case("disabled_domain", "550 5.2.1", ["someone@closed.test"], at="RCPT",
         trace=[("smtp.refused", "rcpt=someone@closed.test", "mailbox disabled")]),
    Case("over_quota_account", "452 4.2.2", ["full@example.test"], at="RCPT", setup="fill_full",
         trace=[("smtp.refused", "rcpt=full@example.test", "mailbox full")]),
    Case("over_quota_beside_others", "250 2.0.0", ["team@example.test"], setup="fill_full",
         body=("x" * 70 + "\r\n") * 80, lands={"alice": 1},
         trace=[("queue.delivered", "to=alice@example.test"),
                ("queue.deferred", "to=full@example.test", "code=452", "enhanced=4.2.2",
                 "mailbox full")]),
    Case("utf8_address", "250 2.0.0", ["jörg@example.test"], mail_options=" SMTPUTF8",
         lands={"jörg": 1}, contains="Delivered-To: jörg@example.test",
         trace=[("smtp.accepted", "protocol=UTF8SMTP"),
                ("queue.delivered", "rcpt=jörg@example.test")]),
    Case("utf8_address_without_smtputf8", "553 5.6.7", ["jörg@example.test"], at="RCPT",
         trace=[("smtp.refused", "needs SMTPUTF8")]),

    # ---- names of the host
    Case("root", "250 2.0.0", ["root@" + HOST], lands={"post": 1},
         trace=[("queue.delivered", "rcpt=root@mail.example.test", "to=post@example.test")]),
    Case("user_of_passwd", "250 2.0.0", ["daemon@" + HOST], lands={"post": 1},
         trace=[("queue.delivered", "rcpt=daemon@mail.example.test", "to=post@example.test")]),
    Case("bare_postmaster", "250 2.0.0", ["postmaster"], lands={"post": 1},
         trace=[("queue.delivered", "rcpt=postmaster", "to=post@example.test")]),
    Case("postmaster_of_a_domain", "250 2.0.0", ["Postmaster@catch.test"], lands={"post": 1},
         trace=[("queue.delivered", "rcpt=Postmaster@catch.test", "to=post@example.test")]),
    Case("etc_aliases", "250 2.0.0", ["webteam@" + HOST], lands={"alice": 1},
         trace=[("queue.delivered", "rcpt=webteam@mail.example.test", "to=alice@example.test")]),
    Case("unknown_name_of_the_host", "550 5.1.1", ["nobody-here@" + HOST], at="RCPT",
         trace=[("smtp.refused", "rcpt=nobody-here@mail.example.test", "no such user")]),

    # ---- addresses that try something
    Case("address_literal", "550 5.7.1", ["alice@[127.0.0.1]"], at="RCPT",
         trace=[("smtp.refused", "rcpt=alice@[127.0.0.1]", "relaying denied")]),
    Case("source_route", "550 5.7.1", ["@one.example,@two.example:alice@example.test"], at="RCPT",
         trace=[("smtp.refused", "source routes are not accepted")]),
    Case("percent_hack", "550 5.1.1", ["alice%remote.example@example.test"], at="RCPT",
         trace=[("smtp.refused", "rcpt=alice%remote.example@example.test", "no such user")]),
    Case("bang_path", "550 5.1.1", ["remote.example!alice@example.test"], at="RCPT",
         trace=[("smtp.refused", "rcpt=remote.example!alice@example.test", "no such user")]),
    Case("quoted_local_part_with_an_at", "550 5.1.1", ['"alice@remote.example"@example.test'],
         at="RCPT", trace=[("smtp.refused", "no such user")]),
    Case("no_domain", "501 5.1.3", ["alice"], at="RCPT", trace=[("smtp.refused", "bad recipient")]),
    Case("remote_recipient_without_login", "550 5.7.1", ["someone@remote.example"], at="RCPT",
         trace=[("smtp.refused", "rcpt=someone@remote.example", "relaying denied")]),
    Case("submission_without_login", "530 5.7.0", ["someone@remote.example"], at="MAIL",
         door="anonymous", trace=[("smtp.refused", "authentication required")]),

    # ---- limits
    Case("a_thousand_and_one_recipients", "452 4.5.3",
         ["crowd+%d@example.test" % i for i in range(1001)], at="RCPT",
         trace=[("smtp.refused", "rcpt=crowd+1000@example.test", "too many recipients")]),
    Case("a_thousand_recipients", "250 2.0.0",
         ["crowd+%d@example.test" % i for i in range(1000)], lands={"crowd": 1000}, trace_by="id",
         trace=[("smtp.accepted", "recipients=1000"),
                ("queue.delivered", "rcpt=crowd+999@example.test", "to=crowd@example.test")]),
    Case("too_large_as_announced", "552 5.3.4", ["alice@example.test"], at="MAIL",
         mail_options=" SIZE=52428801", trace=[("smtp.refused", "message too big")]),
    Case("too_large", "552 5.3.4", ["alice@example.test"],
         body="0123456789abcdef" * 4 * 1024 + "\r\n",
         settings={"smtp.message_size_max": "65536"},
         trace=[("smtp.message_refused", "message too big")]),
    Case("sixty_received_fields", "554 5.4.6", ["alice@example.test"],
         header=received(60) + "From: a@client.example\r\n",
         trace=[("smtp.message_refused", "too many hops")]),
    Case("forty_received_fields", "250 2.0.0", ["alice@example.test"],
         header=received(40) + "From: a@client.example\r\n", lands={"alice": 1},
         trace=[("queue.delivered",)]),
    Case("disk_below_its_reserve", "452 4.3.1", ["alice@example.test"], at="DATA",
         settings={"queue.disk_reserve": "1000000G"},
         trace=[("smtp.refused", "insufficient storage")]),

    # ---- senders and authors
    Case("null_sender", "250 2.0.0", ["alice@example.test"], sender="", trace_by="id",
         lands={"alice": 1}, contains="Return-Path: <>\r\n",
         trace=[("smtp.accepted",), ("queue.delivered", "rcpt=alice@example.test")]),
    Case("sender_not_owned_by_the_login", "553 5.7.1", ["bob@example.test"], at="MAIL",
         door="submission", login="alice", sender="bob@example.test",
         trace=[("smtp.refused", "does not belong to your login")]),
    Case("from_not_owned_by_the_login", "550 5.7.1", ["bob@example.test"], door="submission",
         login="alice", header="From: bob@example.test\r\n",
         trace=[("smtp.message_refused", "login=alice@example.test", "is not yours")]),
    Case("two_from_fields", "550 5.7.1", ["alice@example.test"],
         header="From: a@client.example\r\nFrom: b@client.example\r\n",
         trace=[("smtp.message_refused", "exactly one From")]),
    Case("bare_line_feed", "550 5.5.2", ["alice@example.test"], body="one\ntwo\r\n",
         trace=[("smtp.message_refused", "bare CR")]),
    Case("alias_as_sender", "250 2.0.0", ["bob@example.test"], door="submission", login="alice",
         sender="sales@example.test", header="From: sales@example.test\r\n", lands={"bob": 1},
         trace=[("smtp.accepted", "login=alice@example.test"), ("queue.delivered",)]),

    # ---- to other servers
    Case("relayed_for_a_login", "250 2.0.0", ["friend@remote.example"], door="submission",
         login="alice", relayed=["friend@remote.example"],
         trace=[("queue.relayed", "rcpt=friend@remote.example", "code=250", "taken")]),
    Case("refused_by_the_other_server", "250 2.0.0", ["refused@remote.example"],
         door="submission", login="alice", told={"alice": "550 5.1.1 nobody of that name"},
         trace=[("queue.failed", "rcpt=refused@remote.example", "code=550", "enhanced=5.1.1",
                 "nobody of that name"),
                ("queue.report",)]),
    Case("one_of_two_refused", "250 2.0.0", ["refused@remote.example", "friend@remote.example"],
         door="submission", login="alice", relayed=["friend@remote.example"],
         told={"alice": "550 5.1.1 nobody of that name"},
         trace=[("queue.relayed", "rcpt=friend@remote.example"),
                ("queue.failed", "rcpt=refused@remote.example")]),
    Case("deferred_by_the_other_server", "250 2.0.0", ["later@remote.example"],
         door="submission", login="alice",
         trace=[("queue.deferred", "rcpt=later@remote.example", "code=451", "enhanced=4.2.1",
                 "come back later")]),
    Case("stranger_through_an_alias_that_fails", "250 2.0.0", ["gone@example.test"],
         relayed=["stranger@client.example"], sender="stranger@client.example",
         trace=[("queue.failed", "rcpt=gone@example.test", "to=refused@remote.example"),
                ("queue.report",)]),
    Case("nobody_to_tell", "250 2.0.0", ["gone@example.test"], sender="", trace_by="id",
         trace=[("queue.failed", "rcpt=gone@example.test", "to=refused@remote.example"),
                ("queue.double_bounce", "the sender is null")]),
]
