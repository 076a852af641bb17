"""A call to the disk that fails once in authd: what it is told later is durable all the same."""
import os
import sys
import errno
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))
import faults  # noqa: E402
import image  # noqa: E402
import fault_test  # noqa: E402
from fault_test import ADDRESSES, FaultyRig  # noqa: E402

del fault_test.USERS[1:]  # one is enough


class Accounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not image.there():
            raise unittest.SkipTest("not run: root")
        faults.preload()

    def syncs_of_a_change(self, rig, quota):
        rig.control.count(rig.image.device())
        rig.suite.tambo("user", "quota", ADDRESSES[0], quota)
        rig.control.disarm()
        return rig.control.calls()["authd", "sync"]

    def test_changes_after_a_failed_sync_are_durable(self):
        """Also when it was that of a change in several steps, which is rolled back."""
        rig = FaultyRig()
        self.addCleanup(rig.close)
        self.assertGreater(self.syncs_of_a_change(rig, "1G"), 0)
        rig.control.arm("authd", "sync", errno.EIO, 1, rig.image.device())
        failed = rig.suite.tambo("passwd", ADDRESSES[0], "--stdin", "--weak", stdin="other\n",
                                 check=False)
        self.assertTrue(rig.control.disarm())
        self.assertNotEqual(failed.returncode, 0)
        with self.subTest("it is synced"):
            self.assertGreater(self.syncs_of_a_change(rig, "3G"), 0)
        with self.subTest("it survives a power cut"):
            rig.suite.tambo("user", "quota", ADDRESSES[0], "4G")
            rig.suite.lose_power()
            rig.image.mount()
            rig.suite.start_master()
            self.assertIn(str(4 << 30), rig.suite.tambo("user", "show", ADDRESSES[0]))


if __name__ == "__main__":
    image.enter()
    unittest.main(verbosity=2)
