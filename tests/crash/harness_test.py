"""What the crash tests rest on, seen to notice what they are there for: events across a power cut,
processes that crashed, faults that never came, failures of a run that was interrupted.
"""
import os
import sys
import tempfile
import unittest
from collections import Counter
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import fault_test  # noqa: E402
import power_test  # noqa: E402
import suite  # noqa: E402
from image import SuiteOnImage  # noqa: E402
from progress import Progress  # noqa: E402


class Events(unittest.TestCase):
    def setUp(self):
        self.dir = self.top = self.enterContext(tempfile.TemporaryDirectory())
        self.suite = SuiteOnImage(self)
        os.makedirs(os.path.dirname(self.suite.log_file()))

    def append(self, text):
        with open(self.suite.log_file(), "a") as f:
            f.write(text)

    # ---- what an image has

    def cut(self):
        os.truncate(self.suite.log_file(), self.left)

    def unmount(self):
        pass

    # ----

    def lose_power(self, left):
        """left: so many bytes of the log."""
        self.left = left
        self.suite.lose_power()
        with mock.patch.object(suite.Suite, "launch_master"):
            self.suite.launch_master()

    def test_those_that_a_cut_takes_are_known_and_those_behind_it_are_new(self):
        self.append("one\ntwo\nthree\n")
        seen = len(self.suite.events())
        self.append("crash\nfour\n")
        self.lose_power(len("one\n"))
        self.append("five\n")
        self.assertEqual(self.suite.events()[seen:], ["crash", "four", "five"])

    def test_a_torn_line_hides_no_event(self):
        self.append("one\ntwo\n")
        self.lose_power(len("one\ntw"))
        self.append("three\n")
        self.assertEqual(self.suite.events(), ["one", "two", "twthree"])

    def test_a_cut_that_takes_nothing_doubles_nothing(self):
        self.append("one\ntwo\n")
        self.lose_power(len("one\ntwo\n"))
        self.lose_power(len("one\ntwo\n"))
        self.append("three\n")
        self.assertEqual(self.suite.events(), ["one", "two", "three"])

    def test_a_signal_that_nobody_sent_is_a_crash(self):
        told = 't crit process.ended process="mx.0" pid="7" how="%s"'
        account = 't err account.process_ended directory="x" pid="8" how="%s"'
        crashed = [line % how for line in (told, account) for how in ("signal 6", "signal 11",
                                                                      "signal 31", "signal 7")]
        fine = [line % how for line in (told, account) for how in ("signal 9", "status 1")]
        other = ['t info smtp.refused text="how=signal 6"']
        self.assertEqual(suite.crashes(crashed + fine + other), crashed)


class Faults(unittest.TestCase):
    def test_none_possible_is_no_success(self):
        figures = Counter(possible=0)
        self.assertTrue(fault_test.without_faults(figures, [], 0.5))

    def test_none_that_came_is_no_success(self):
        figures = Counter(possible=40, cut=10, recovered=10)
        self.assertEqual(fault_test.without_faults(figures, ["a", "b"], 0.1), [])
        (complaint,) = fault_test.without_faults(figures, ["a", "b", "c"], 0.1)
        self.assertIn("3 of 20", complaint)
        self.assertTrue(fault_test.without_faults(Counter(possible=40), [], 0.1))

    def test_half_of_them_end_with_a_cut_and_each_always_in_the_same_way(self):
        for script in fault_test.SCRIPTS:
            for kind, errors in fault_test.ERRORS.items():
                for error in errors:
                    ways = [fault_test.is_cut(script, ("mailboxd", kind, error, nth))
                            for nth in range(1, 11)]
                    self.assertEqual(ways, [ways[0], not ways[0]] * 5)
        # The same in every process, as hash() is not.
        self.assertFalse(fault_test.is_cut("append", ("mailboxd", "write", "EIO", 1)))

    def test_the_choice_has_both_ways(self):
        sweep = fault_test.Sweep("append", Progress("none", "/nowhere"))
        possible = [("mailboxd", "write", "EIO", nth) for nth in range(1, 50)]
        with mock.patch.object(fault_test, "FULL", False):
            chosen = sweep.choose(list(possible))
            self.assertEqual(chosen, sweep.choose(list(possible)))
        ways = Counter(fault_test.is_cut("append", fault) for fault in chosen)
        self.assertEqual(ways, {True: fault_test.CHOSEN // 2, False: fault_test.CHOSEN // 2})


class Slices(unittest.TestCase):
    def test_one_that_failed_is_neither_repeated_nor_forgotten(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        campaign, seeds = power_test.A_Power("test_ext4"), []

        def play(_, cuts, seed):
            seeds.append(seed)
            if len(seeds) == 2:
                raise AssertionError("lost")
            return Counter({"cuts": cuts, "least in flight": 20})
        with (mock.patch.object(power_test, "Progress", lambda test: Progress(test, directory, "c1")),
              mock.patch.object(power_test, "CUTS", 40), mock.patch.object(campaign, "slice", play)):
            for _ in range(3):
                with self.assertRaisesRegex(AssertionError, "lost"), mock.patch("builtins.print"):
                    campaign.cuts("ext4")
        self.assertEqual([seed.split()[1] for seed in seeds], ["0", "10", "20", "30"])


class TheProgress(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())

    def progress(self, commit="c1", seed=""):
        with mock.patch.dict(os.environ, TAMBO_SEED=seed):
            return Progress("x", self.directory, commit)

    def test_a_failure_stays_though_the_run_goes_on(self):
        before = self.progress()
        before.put("a", 1)
        before.fail("a", "lost")
        after = self.progress()
        self.assertEqual((after.get("a", 0), after.failures("a")), (1, ["lost"]))
        after.put("a", 2)
        after.finish(["a"])
        self.assertEqual(self.progress().failures("a"), ["lost"])
        self.assertEqual(self.progress(commit="c2").failures("a"), [])

    def test_a_whole_run_leaves_nothing(self):
        before = self.progress()
        before.put("a", 1)
        before.put("b", 2)
        before.finish(["a"])
        self.assertEqual(self.progress().get("a", 0), 0)
        self.assertEqual(self.progress().get("b", 0), 2)
        before.finish(["b"])
        self.assertEqual(os.listdir(self.directory), [])

    def test_another_seed_is_another_run(self):
        self.progress().put("a", 1)
        self.progress(seed="../7").put("a", 2)
        self.assertEqual(self.progress().get("a", 0), 1)
        self.assertEqual(self.progress(seed="../7").get("a", 0), 2)
        self.assertEqual(self.progress(seed="8").get("a", 0), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
