"""Calls to the disk that fail, one at a time: no acknowledgement without durability, no crash loop,
and everything works again when the fault is gone.

Twelve short scripts. For each, every call that a daemon makes meanwhile to write, sync, link, open
or rename fails once, with each of its errors; after that either the power is cut at once, so that
only what is durable is left (is_cut()), or the suite has to recover by itself. Then the ledger is
compared with what lies there. Without TAMBO_FULL a choice of the faults; with it all of them (about
an hour), and an interrupted run goes on where it was. What has failed stays so until the commit is
another one or build/fault.json is removed.

The faults come from a library that is preloaded into the very programs that users get, in their
sandboxes (tests/crash/faults.cc).
"""
import concurrent.futures
import contextlib
import errno
import json
import os
import random
import smtplib
import sys
import tempfile
import time
import traceback
import unittest
import zlib
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import faults  # noqa: E402
import image  # noqa: E402
from imap_load import FAILURES, Changer, can_change, logged_in  # noqa: E402
from ledger import Sender, accepts_within, connect_mx, connect_submission  # noqa: E402
from progress import Progress  # noqa: E402
from rig import Rig  # noqa: E402
from suite import SuiteError, wait_for  # noqa: E402

FULL = bool(os.environ.get("TAMBO_FULL"))
CHOSEN = 4  # faults of each script, without TAMBO_FULL
AT_ONCE = 6 if FULL else 4  # mostly they wait; a user may have 64 processes, and each suite makes some
RECOVERS_WITHIN_S = 20
SILENT_MAX, SILENT_MAX_OF_ONE = 0.1, 0.5  # of all faults, of those of one script
ERRORS = {
    "write": ("EIO", "ENOSPC", "short"), "sync": ("EIO", "ENOSPC"), "link": ("EIO", "ENOSPC"),
    "open": ("EIO", "EMFILE"), "create": ("ENOSPC",), "rename": ("EIO", "ENOSPC"),
}
USERS = [("user%d@example.test" % i, "secret-%d" % i) for i in range(3)]
ADDRESSES = [address for address, _ in USERS]
ABROAD = "someone@sink.test"
EVERYBODY = ("smtpd", "queued", "deliverd", "mailboxd", "authd", "relayd")


class FaultyRig(Rig):
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.control = faults.Faults(self.directory.name)
        super().__init__("ext4", USERS, size="160M", environment=self.control.environment)
        self.suite.tambo("alias", "add", "abroad@example.test", ABROAD)

    def close(self):
        super().close()
        self.directory.cleanup()

    def send(self, recipients, counted=None, submitted=False, size=4000):
        """One message. counted: whose mailbox shows what became of it, if not the recipients'."""
        connect, sender = connect_mx(self.suite), "stranger@elsewhere.test"
        if submitted:
            connect, sender = connect_submission(self.suite, *USERS[0]), ADDRESSES[0]
        once = Sender(self.ledger, connect, sender, recipients, size)
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp = once.connect()
            once.send_one(smtp, recipients, counted)
            smtp.close()
        return once.accepted

    def has_fired(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.control.fired():
            time.sleep(0.005)


class Script:
    """What is done while a call fails."""

    programs = EVERYBODY
    settles_s = 2.5  # how long it goes on by itself

    def prepare(self, rig):
        """What has to be there."""

    def run(self, rig):
        raise NotImplementedError

    def after(self, rig):
        """The fault is gone."""

    def end(self):
        """Lets go of what prepare() opened."""


class OneRecipient(Script):
    def run(self, rig):
        rig.send(ADDRESSES[:1])


class ThreeRecipients(Script):
    def run(self, rig):
        rig.send(ADDRESSES)


class AliasAbroad(Script):
    def run(self, rig):
        rig.send(["abroad@example.test"])


class Bounce(Script):
    def run(self, rig):
        # The report comes to the sender's mailbox, and shows the number.
        rig.send(["refused@sink.test"], counted=ADDRESSES[:1], submitted=True)


class OnMail(Script):
    """With an IMAP session and a message of its own."""

    programs = ("mailboxd",)
    settles_s = 0.2

    def prepare(self, rig):
        self.stack = contextlib.ExitStack()
        self.changer = Changer(rig.suite, USERS[0], rig.uids, rig.changes)
        self.changer.use(self.stack.enter_context(logged_in(rig.suite, *USERS[0])))
        self.fill()

    def fill(self):
        self.changer.append()
        self.changer.select("Sent")

    def run(self, rig):
        with contextlib.suppress(*FAILURES):
            self.act()

    def end(self):
        self.stack.close()


class Append(OnMail):
    def fill(self):
        pass

    def act(self):
        self.changer.append()


class Store(OnMail):
    def act(self):
        self.changer.flag()


class Expunge(OnMail):
    def act(self):
        self.changer.expunge()


class Move(OnMail):
    def act(self):
        self.changer.move()


class Rename(OnMail):
    """A mailbox with a message, there and back."""

    def __init__(self):
        self.number = None

    def fill(self):
        if self.number is None:
            self.changer.imap.create("Here")
            self.changer.append("Here")
            self.number = self.changer.mine[0][0]

    def act(self):
        changes = self.changer.changes
        (before,) = changes.allowed[self.number]
        after = ("There" if before[0] == "Here" else "Here", before[1])
        self.changer.change(self.number, before, after,
                            lambda: self.changer.imap.rename(before[0], after[0]))


class Checkpoint(OnMail):
    """Upkeep copies the log of an index into its file, once nothing has happened for two seconds."""

    settles_s = 4

    def fill(self):
        for _ in range(16):
            self.changer.append()

    def run(self, rig):
        with contextlib.suppress(*FAILURES):
            self.changer.flag()
            rig.has_fired(self.settles_s)
            self.changer.flag()


class Restart(Script):
    """With mail in the queue that could not go."""

    programs = ("master", "queued", "mailboxd", "authd", "logd")
    settles_s = 1.5

    def prepare(self, rig):
        rig.sink.busy = True
        rig.send([ABROAD], submitted=True)
        rig.send(ADDRESSES[:1])

    def run(self, rig):
        rig.suite.stop()
        with contextlib.suppress(SuiteError):
            rig.suite.start_master()
        rig.send(ADDRESSES[:1])

    def after(self, rig):
        rig.sink.busy = False
        rig.suite.tambo("queue", "flush", check=False)


class Quota(Script):
    """A message that an account has no room for, until it is given some."""

    def prepare(self, rig):
        def used():
            return json.loads(rig.suite.tambo("user", "usage", ADDRESSES[2], "--json"))["used_bytes"]
        # One for which the whole quota is too small would be refused for good. All are equally long.
        if used() == 0:
            rig.suite.tambo("user", "quota", ADDRESSES[2], "1G")
            rig.send(ADDRESSES[2:], size=9000)
            wait_for(used, what="the first message to be filed")
        rig.suite.tambo("user", "quota", ADDRESSES[2], str(used() + 500))

    def run(self, rig):
        rig.send(ADDRESSES[2:], size=9000)
        rig.has_fired(0.3)
        rig.suite.tambo("user", "quota", ADDRESSES[2], "1G", check=False)
        rig.suite.tambo("queue", "flush", check=False)

    def after(self, rig):
        # Until the suite has seen that the disk works again accounts are not changed.
        wait_for(lambda: rig.suite.tambo("user", "quota", ADDRESSES[2], "1G", check=False)
                 .returncode == 0, RECOVERS_WITHIN_S, "the quota to be raised")
        rig.suite.tambo("queue", "flush", check=False)


SCRIPTS = {
    "one recipient": OneRecipient, "three recipients": ThreeRecipients, "append": Append,
    "store": Store, "expunge": Expunge, "move": Move, "rename": Rename, "bounce": Bounce,
    "alias to remote": AliasAbroad, "restart": Restart, "quota": Quota, "checkpoint": Checkpoint,
}


def is_cut(script, fault):
    """Half of a script's faults end with a power cut, always the same: of two calls that follow each
    other one."""
    program, kind, error, nth = fault
    return (zlib.crc32("/".join((script, program, kind, error)).encode()) + nth) % 2 == 0


def without_faults(figures, silent, share):
    """Complaints about a sweep, or all, that tried little. silent: the faults that never came; some
    do not, as no run of a script is like another, but this share at most."""
    if figures["possible"] == 0:
        return ["no fault is possible: is the library preloaded?"]
    trials = figures["cut"] + figures["recovered"]
    if trials == 0 or len(silent) > max(1, trials * share):
        return ["%d of %d faults never came: %s" % (len(silent), trials, silent)]
    return []


class Sweep:
    """One script on a rig of its own, under one fault after the other."""

    def __init__(self, name, progress, part=0, parts=1):
        """part: of so many, each has every parts-th call."""
        self.name = "%s %d/%d" % (name, part + 1, parts) if parts > 1 else name
        self.script_name, self.script = name, SCRIPTS[name]()
        self.part, self.parts = part, parts
        self.progress = progress
        before = progress.get(self.name, {})
        self.figures = Counter(before.get("figures"))
        self.done = [tuple(fault) for fault in before.get("done", [])]
        self.silent = [tuple(fault) for fault in before.get("silent", [])]
        self.is_complete = before.get("complete", False)

    def run(self):
        if self.is_complete:
            return self
        try:
            self.rig = FaultyRig()
            try:
                self.sweep()
            finally:
                self.rig.close()
        except Exception:
            self.progress.fail(self.name, traceback.format_exc())
        return self

    def sweep(self):
        for fault in self.choose(self.possible()):
            if fault in self.done:
                continue
            cut = is_cut(self.script_name, fault)
            found = self.named_trial(fault, cut)
            for text in found:
                self.progress.fail(self.name, "%s, %s, cut: %s: %s" % (self.name, fault, cut, text))
            self.done.append(fault)
            self.keep()
            if found:
                return
        self.is_complete = True
        self.keep()

    def keep(self):
        self.progress.put(self.name, {"figures": dict(self.figures), "done": list(self.done),
                                      "silent": list(self.silent), "complete": self.is_complete})

    def named_trial(self, fault, cut):
        try:
            return self.trial(fault, cut)
        except (SuiteError, OSError) as error:
            return [repr(error)]

    def possible(self):
        """Runs the script whole, twice; every call of the second time can fail."""
        for _ in range(2):
            self.script.prepare(self.rig)
            self.rig.control.count(self.rig.image.device())
            self.script.run(self.rig)
            time.sleep(self.script.settles_s)
            self.rig.control.disarm()
            self.script.after(self.rig)
            self.script.end()
            complaints = self.rig.complaints()
            if complaints:
                raise SuiteError("without a fault: %s" % complaints)
        calls = self.rig.control.calls()
        return [(program, kind, error, nth) for program in self.script.programs for kind in ERRORS
                for error in ERRORS[kind]
                for nth in range(1 + self.part, calls[program, kind] + 1, self.parts)]

    def choose(self, possible):
        self.figures["possible"] = len(possible)
        if FULL:
            return possible
        # Each (program, kind, error) before any comes twice.
        order = random.Random(self.name)
        order.shuffle(possible)
        seen = Counter()
        rank = {}
        for fault in possible:
            rank[fault] = seen[fault[:3]]
            seen[fault[:3]] += 1
        possible.sort(key=rank.get)
        return [fault for cut in (True, False) for fault in
                [fault for fault in possible if is_cut(self.script_name, fault) == cut][:CHOSEN // 2]]

    def trial(self, fault, cut):
        rig, (program, kind, error, nth) = self.rig, fault
        self.script.prepare(rig)
        seen = len(rig.suite.events())
        rig.control.arm(program, kind, getattr(errno, error, 0), nth, rig.image.device())
        self.script.run(rig)
        rig.has_fired(self.script.settles_s)
        if not rig.control.disarm():
            self.silent.append(fault)
        if cut:
            rig.suite.lose_power()
            rig.image.mount()
        if rig.suite.process is None or rig.suite.process.poll() is not None:
            rig.suite.start_master()
        self.script.after(rig)
        self.script.end()
        complaints = self.recover()
        complaints += rig.complaints()
        complaints += self.events(rig.suite.events()[seen:], error)
        self.figures["cut" if cut else "recovered"] += 1
        return complaints

    def recover(self):
        """Waits until mail is accepted and mailboxes can be written."""
        rig, since = self.rig, time.monotonic()

        def is_writable():
            with contextlib.suppress(*FAILURES):
                for user in USERS:
                    with logged_in(rig.suite, *user) as imap:
                        if not can_change(imap):
                            return False
                return True
            return False
        try:
            wait_for(is_writable, RECOVERS_WITHIN_S, "every mailbox to be writable")
        except SuiteError as error:
            return [str(error)]
        took = accepts_within(rig.suite, RECOVERS_WITHIN_S, rig.ledger, ADDRESSES[1], since)
        return [] if took else ["no message is accepted"]

    def events(self, lines, error):
        """Neither of these says anything about the disk."""
        return [line for line in lines
                if " process.fault " in line and error in ("EMFILE", "short")]


class A_Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not image.there():
            raise unittest.SkipTest("not run: root")
        faults.preload()

    def sweeps(self, names, progress):
        """The long ones first, in parts, so that all end together."""
        parts = {name: AT_ONCE if FULL and name == "restart" else 1 for name in names}
        return [Sweep(name, progress, part, parts[name])
                for name in sorted(names, key=parts.get, reverse=True)
                for part in range(parts[name])]

    def test_scripts(self):
        wanted = os.environ.get("TAMBO_SCRIPT")
        names = [name for name in SCRIPTS if not wanted or name == wanted]
        progress = Progress("fault")
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            sweeps = {sweep.name: pool.submit(sweep.run) for sweep in self.sweeps(names, progress)}
        self.assertTrue(sweeps)
        totals, silent = Counter(), []
        for name, running in sweeps.items():
            with self.subTest(script=name):
                sweep = running.result()
                print("%s: %s; never came: %s" % (name, dict(sweep.figures), sweep.silent))
                totals.update(sweep.figures)
                silent += sweep.silent
                self.assertEqual(progress.failures(name), [], progress.path)
                self.assertEqual(without_faults(sweep.figures, sweep.silent, SILENT_MAX_OF_ONE),
                                 [])
        if all(running.result().is_complete for running in sweeps.values()):
            progress.finish(sweeps)
        print("figures: %d scripts, %d faults possible, %d cut, %d recovered, %d never came" % (
            len(names), totals["possible"], totals["cut"], totals["recovered"], len(silent)))
        self.assertEqual(without_faults(totals, silent, SILENT_MAX), [])


if __name__ == "__main__":
    image.enter()
    unittest.main(verbosity=2)
