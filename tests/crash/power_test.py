"""Power cuts under load, on ext4 and XFS: nothing acknowledged is lost, nothing is doubled, no UID
comes twice.

The suite's state lies on an image; a cut is the filesystem's own shutdown call, which throws away
all that was not flushed. Ledger, load and the relay sink are outside of the suite and of the image.
Ten cuts for each filesystem, 200 with TAMBO_FULL, in slices of ten on a fresh image that go on where
an interrupted run was. A slice that has failed stays so until the commit is another one or
build/power.json is removed.

What a client hears after the call has begun counts as unknown: a machine without power says nothing,
and a sync that is under way then can return 0 without having done anything. A dozen lines that only
write and fdatasync lose their last one so in a tenth of the cuts, on both filesystems, and none that
was answered before the call.

The controls show that the harness sees loss: the same cuts with a library preloaded that swallows
every sync. And Postfix, cut in the same way, loses nothing either.
"""
import os
import random
import smtplib
import sys
import tempfile
import time
import traceback
import unittest
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import faults  # noqa: E402
import image  # noqa: E402
from imap_load import Changer, Watcher  # noqa: E402
from ledger import Ledger, Sender, connect_mx, connect_submission  # noqa: E402
from postfix import Postfix  # noqa: E402
from progress import Progress  # noqa: E402
from rig import Rig  # noqa: E402
from suite import wait_for  # noqa: E402

FULL = bool(os.environ.get("TAMBO_FULL"))
CUTS = 200 if FULL else 10
SLICE = 10
IN_FLIGHT = 20
STRANGERS, CHANGERS = 20, 4
BARRIER_LOST_WITHIN = 20
SLOW_SYNC_MS = 60  # queued then syncs the files of each batch (queued/syncer.h)
BYTES_MAX = 8_000
USERS = [("user%d@example.test" % i, "secret-%d" % i) for i in range(6)]


class LoadedRig(Rig):
    def __init__(self, kind, seed, environment=None):
        super().__init__(kind, USERS, environment=environment)
        self.random = random.Random(seed)
        self.load = []
        self.least_in_flight = None

    def close(self):
        self.stop_load()
        super().close()

    def in_flight(self):
        return self.ledger.in_flight() + self.changes.in_flight()

    def start_load(self, strangers=STRANGERS, changers=CHANGERS):
        addresses = [address for address, _ in USERS]
        self.load = [Sender(self.ledger, connect_mx(self.suite), "stranger%d@elsewhere.test" % i,
                            addresses, BYTES_MAX, together=3) for i in range(strangers)]
        for address, password in USERS[:2] if changers else []:
            self.load.append(Sender(self.ledger, connect_submission(self.suite, address, password),
                                    address, ["someone@sink.test", USERS[3][0]], BYTES_MAX, 2))
        for i in range(changers):
            self.load.append(Changer(self.suite, USERS[i], self.uids, self.changes))
        for user in USERS[3:5] if changers else []:
            self.load.append(Watcher(self.suite, user, self.uids))
        for thread in self.load:
            thread.start()

    def stop_load(self):
        for thread in self.load:
            thread.stop()
        for thread in self.load:
            thread.join(60)
        self.load = []

    def cut_under_load(self):
        """At any moment of the load; sometimes again while the suite comes up."""
        before = len(self.ledger.acknowledged)
        self.start_load()
        wait_for(lambda: len(self.ledger.acknowledged) > before + 10, what="the first replies")
        time.sleep(self.random.uniform(0, 0.7))
        self.suite.events()  # most of what lose_power() would have to read
        wait_for(lambda: self.in_flight() >= IN_FLIGHT, 10, "enough transactions in flight", 0.0005)
        now = self.in_flight()
        self.least_in_flight = min(now, self.least_in_flight or now)
        self.lose_power()
        self.stop_load()
        if self.random.random() < 0.3:
            self.image.mount()
            self.suite.launch_master()
            time.sleep(self.random.uniform(0, 0.5))
            self.suite.lose_power()
        self.start_again()


class PostfixOnImage:
    """All of it, with its mailboxes, lies on the image. Messages have one recipient each: Postfix
    may deliver again what it had delivered (that is no loss)."""
    HOST, DOMAIN = "127.0.0.1", "postfix.test"

    def __init__(self, kind):
        self.image = image.Image(kind)
        self.ledger, self.doubled, self.postfix = Ledger(), 0, None
        self.random = random.Random(kind)

    def __enter__(self):
        try:
            self.postfix = Postfix("mx." + self.DOMAIN, [self.HOST], [self.DOMAIN],
                                   {"smtpd_peername_lookup": "no"},
                                   top=os.path.join(self.image.top, "postfix"))
            self.image.sync()
        except BaseException:
            self.image.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.postfix.stop()
        self.image.destroy()

    def connect(self):
        smtp = smtplib.SMTP(self.HOST, 25, "load.test", timeout=30)
        smtp.ehlo()
        return smtp

    def cut_under_load(self):
        before = len(self.ledger.acknowledged)
        load = [Sender(self.ledger, self.connect, "stranger%d@elsewhere.test" % i,
                       ["user@" + self.DOMAIN], BYTES_MAX) for i in range(STRANGERS)]
        for thread in load:
            thread.start()
        wait_for(lambda: len(self.ledger.acknowledged) > before + 10, 60, "the first replies")
        time.sleep(self.random.uniform(0, 0.7))
        self.ledger.power_is_off = True
        self.image.cut()
        self.postfix.kill()
        for thread in load:
            thread.stop()
        for thread in load:
            thread.join(60)
        self.image.unmount()
        self.image.mount()
        self.ledger.power_is_off = False
        self.postfix.launch()

    def lost(self):
        wait_for(self.postfix.queue_is_empty, 60, "Postfix to deliver")
        found = self.postfix.numbers()
        self.doubled = sum(count - 1 for count in found.values())
        return [number for number in self.ledger.acknowledged if number not in found]


def added(figures, more):
    """Of slices of one campaign."""
    least = [f["least in flight"] for f in (figures, more) if f["least in flight"]]
    figures = figures + more
    figures["least in flight"] = min(least, default=0)
    return figures


COMPLETE = []  # kinds of which all cuts were made


def tearDownModule():
    Progress("power").finish(COMPLETE)


class OnAnImage(unittest.TestCase):
    def setUp(self):
        if not image.there():
            self.skipTest("not run: root")

    def rig(self, kind, seed, environment=None):
        rig = LoadedRig(kind, seed, environment)
        self.addCleanup(rig.close)
        return rig


class A_Power(OnAnImage):
    def slice(self, kind, cuts, seed):
        rig = self.rig(kind, seed)
        for cut in range(cuts):
            rig.cut_under_load()
            complaints = rig.complaints()
            self.assertEqual(complaints, [], "%s, seed %r, cut %d: %d complaints\n%s" % (
                kind, seed, cut, len(complaints), rig.suite.log_tail()))
        self.assertEqual(rig.everything_is_read(), [])
        ledger = rig.ledger
        figures = Counter({
            "cuts": cuts, "acknowledged": len(ledger.acknowledged), "refused": len(ledger.refused),
            "unknown": len(ledger.unknown), "doubled at the sink": rig.doubled,
            "least in flight": rig.least_in_flight, "changes": rig.changes.done["OK"],
            "messages found": rig.found.messages, "uids remembered": len(rig.uids.known)})
        for name, reasons in (("refused", ledger.reasons), ("changes", rig.changes.reasons)):
            print(kind, name, dict(reasons))
        self.doCleanups()
        return figures

    def cuts(self, kind):
        progress = Progress("power")
        figures = Counter(progress.get(kind, {}))
        while figures["cuts"] < CUTS:
            done = figures["cuts"]
            cuts, seed = (min(SLICE, CUTS - done),
                          "%s %d %s" % (kind, done, os.environ.get("TAMBO_SEED", "")))
            try:
                figures = added(figures, self.slice(kind, cuts, seed))
            except Exception:
                progress.fail(kind, "%r: %s" % (seed, traceback.format_exc()))
                progress.put(kind, figures + Counter(cuts=cuts))  # a next run goes on behind it
                raise
            progress.put(kind, figures)
        self.assertEqual(progress.failures(kind), [], progress.path)
        COMPLETE.append(kind)
        print("figures: %s: %s" % (kind, ", ".join("%d %s" % (n, what)
                                                   for what, n in figures.items())))
        self.assertGreater(figures["acknowledged"], 10 * CUTS)
        self.assertGreater(figures["unknown"], 0)
        self.assertGreater(figures["changes"], CUTS)

    def test_ext4(self):
        self.cuts("ext4")

    def test_xfs(self):
        self.cuts("xfs")


class B_Controls(OnAnImage):
    """With the library preloaded."""

    def setUp(self):
        super().setUp()
        faults.preload()

    def faulty_rig(self, kind, seed):
        control = faults.Faults(self.enterContext(tempfile.TemporaryDirectory()))
        return self.rig(kind, seed, control.environment), control

    def test_loss_is_seen_without_the_barrier(self):
        for kind in ("ext4", "xfs"):
            rig, control = self.faulty_rig(kind, kind)
            for cut in range(1, BARRIER_LOST_WITHIN + 1):
                control.swallow_syncs(True)
                before = len(rig.ledger.acknowledged)
                rig.start_load(strangers=4, changers=0)
                wait_for(lambda: len(rig.ledger.acknowledged) > before, what="a reply", step=0.0005)
                rig.lose_power()
                control.swallow_syncs(False)
                rig.stop_load()
                rig.start_again()
                complaints = rig.complaints()
                if complaints:
                    break
            print("figures: %s without a barrier: loss at cut %d of %d (%s)"
                  % (kind, cut, BARRIER_LOST_WITHIN, complaints[:1]))
            self.assertTrue(any(" was acknowledged and is there 0 times" in c for c in complaints),
                            "%s: no loss within %d cuts" % (kind, BARRIER_LOST_WITHIN))
            self.doCleanups()

    def test_where_syncfs_is_slow(self):
        """Then each batch syncs its files, and deliveries wait for a barrier beside."""
        rig, control = self.faulty_rig("ext4", "slow " + os.environ.get("TAMBO_SEED", ""))
        control.delay_syncfs(SLOW_SYNC_MS)
        rig.start_load()
        wait_for(lambda: any(" queue.barrier " in line and 'kind="files"' in line
                             for line in rig.suite.events()), 60, "queued to sync files")
        rig.stop_load()
        for _ in range(CUTS // 5):
            rig.cut_under_load()
            self.assertEqual(rig.complaints(), [], rig.suite.log_tail())
        print("figures: ext4 with a slow syncfs: %d cuts, %d acknowledged, %d unknown"
              % (CUTS // 5, len(rig.ledger.acknowledged), len(rig.ledger.unknown)))


class C_Postfix(OnAnImage):
    def test_loses_nothing(self):
        """Another server's durability, seen by the same cuts and the same ledger."""
        for kind in ("ext4", "xfs"):
            with PostfixOnImage(kind) as rig:
                for _ in range(CUTS // 5):
                    rig.cut_under_load()
                    self.assertEqual(rig.lost(), [], rig.postfix.tail())
                print("figures: Postfix on %s: %d cuts, %d acknowledged, %d unknown, %d doubled"
                      % (kind, CUTS // 5, len(rig.ledger.acknowledged), len(rig.ledger.unknown), rig.doubled))


if __name__ == "__main__":
    image.enter()
    unittest.main(verbosity=2)
