"""A call to the disk that fails once in authd: what it is told later is durable all the same."""
import contextlib
import errno
import json
import os
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
import faults  # noqa: E402
import image  # noqa: E402
import fault_test  # noqa: E402
from fault_test import ADDRESSES, FaultyRig  # noqa: E402
from imap_load import logged_in  # noqa: E402
from suite import SuiteError, wait_for  # noqa: E402

del fault_test.USERS[1:]  # one is enough


class Accounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not image.there():
            raise unittest.SkipTest("not run: root")
        faults.preload()

    def rig(self):
        rig = FaultyRig()
        self.addCleanup(rig.close)
        self.log_in(rig)  # makes the account
        return rig

    def log_in(self, rig):
        with logged_in(rig.suite, *fault_test.USERS[0]) as imap:
            self.assertEqual(imap.select("INBOX", readonly=True)[0], "OK")

    def set_quota(self, rig, quota):
        return rig.suite.tambo("user", "quota", ADDRESSES[0], quota, check=False)

    def quota(self, rig):
        shown = rig.suite.tambo("user", "show", ADDRESSES[0], "--json")
        return int(json.loads(shown.splitlines()[0])["quota_bytes"])

    def syncs_of_a_change(self, rig, quota):
        rig.control.count(rig.image.device())
        self.assertEqual(self.set_quota(rig, quota).returncode, 0)
        rig.control.disarm()
        return rig.control.calls()["authd", "sync"]

    def fail(self, rig, *command, error=errno.EIO, stdin=None):
        """The next sync of authd, in this command."""
        rig.control.arm("authd", "sync", error, 1, rig.image.device())
        failed = rig.suite.tambo(*command, stdin=stdin, check=False)
        self.assertTrue(rig.control.disarm())
        self.assertEqual(failed.returncode, os.EX_IOERR)
        self.assertIn("nothing was changed", failed.stderr)

    def is_another(self, rig, authd):
        with contextlib.suppress(SuiteError):
            return rig.suite.pid_of("authd") != authd
        return False

    def wait_until_over(self, rig, authd):
        wait_for(lambda: self.is_another(rig, authd), 60, "another authd")
        wait_for(lambda: self.set_quota(rig, "2G").returncode == 0, 60, "a change")

    def test_changes_after_a_failed_sync_are_durable(self):
        """Also when it was that of a change in several steps, which is rolled back."""
        rig = self.rig()
        self.assertGreater(self.syncs_of_a_change(rig, "1G"), 0)
        authd = rig.suite.pid_of("authd")
        self.fail(rig, "passwd", ADDRESSES[0], "--stdin", "--weak", stdin="other\n")
        with self.subTest("until it starts anew it changes nothing, and answers"):
            self.assertEqual(self.set_quota(rig, "3G").returncode, os.EX_IOERR)
            self.assertEqual(self.quota(rig), 1 << 30)
            self.assertEqual(rig.suite.pid_of("authd"), authd)
            self.log_in(rig)
        self.wait_until_over(rig, authd)
        with self.subTest("master was told"):
            self.assertTrue(any(" process.fault " in line and "authd" in line
                                for line in rig.suite.events()))
        with self.subTest("it is synced"):
            self.assertGreater(self.syncs_of_a_change(rig, "3G"), 0)
        with self.subTest("it survives a power cut"):
            rig.suite.tambo("user", "quota", ADDRESSES[0], "4G")
            rig.suite.lose_power()
            rig.image.mount()
            rig.suite.start_master()
            self.assertEqual(self.quota(rig), 4 << 30)

    def test_what_was_refused_is_not_there_after_a_kill(self):
        rig = self.rig()
        for error in (errno.EIO, errno.ENOSPC):
            with self.subTest(errno.errorcode[error]):
                self.assertEqual(self.set_quota(rig, "2G").returncode, 0)
                authd = rig.suite.pid_of("authd")
                self.fail(rig, "user", "quota", ADDRESSES[0], "5G", error=error)
                os.kill(authd, signal.SIGKILL)
                wait_for(lambda: self.is_another(rig, authd), 60, "another authd")
                wait_for(lambda: rig.suite.tambo("user", "list", check=False).returncode == 0, 60,
                         "an answer")
                self.assertEqual(self.quota(rig), 2 << 30)
                self.wait_until_over(rig, authd)

    def test_a_disk_that_stays_broken_is_no_loop(self):
        """Mail is refused with 451 meanwhile, logins go on, and authd is not started for nothing."""
        rig = self.rig()
        authd = rig.suite.pid_of("authd")
        self.fail(rig, "user", "quota", ADDRESSES[0], "5G")
        rig.control.arm("master", "sync", errno.EIO, 1, rig.image.device(), sticky=True)
        until = time.monotonic() + 15  # master looks at the disk thrice
        while time.monotonic() < until:
            self.assertFalse(rig.send([ADDRESSES[0]]))
            self.assertEqual(self.set_quota(rig, "2G").returncode, os.EX_IOERR)
            self.log_in(rig)
            time.sleep(1)
        self.assertEqual(rig.suite.pid_of("authd"), authd)
        self.assertGreater(rig.control.disarm(), 1)
        self.wait_until_over(rig, authd)
        self.assertFalse(any(" process.crash_loop " in line for line in rig.suite.events()))


if __name__ == "__main__":
    image.enter()
    unittest.main(verbosity=2)
