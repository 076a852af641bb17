"""A suite on an image, a relay sink, and all that is known about what they were given."""
from image import Image, SuiteOnImage
from imap_load import Changes, Uids, observe
from ledger import Ledger, Sink, queue_is_empty
from suite import SuiteError, crashes, wait_for


class Rig:
    def __init__(self, kind, users, size="512M", options=(), settings=None, environment=None):
        """kind, size, options: of the image. settings, environment: of the suite."""
        self.users = users
        self.sink = Sink()
        self.image = Image(kind, size, options)
        self.suite = SuiteOnImage(self.image, users=users, settings={
            "relay.smarthost": "127.0.0.1:%d" % self.sink.port,
            "queue.retry_min": "1s", "queue.retry_max": "2s", **(settings or {})})
        self.suite.master_env = environment or {}
        self.ledger, self.changes, self.uids = Ledger(), Changes(), Uids()
        self.read = set()
        self.doubled = 0
        self.found = None
        self.suite.start()
        # What was set up is not what is tested.
        self.image.sync()

    def close(self):
        self.suite.destroy()
        self.sink.close()

    def lose_power(self):
        """Until start_again()."""
        self.suite.events()  # what is answered meanwhile counts
        self.power_is_off(True)
        self.suite.lose_power()

    def start_again(self):
        """After lose_power(), when the load has ended."""
        self.power_is_off(False)
        self.suite.start_again()

    def power_is_off(self, off):
        """What clients hear then counts for nothing."""
        for who in (self.ledger, self.changes, self.uids):
            who.power_is_off = off

    def complaints(self):
        """Compares what is there with what was promised, when the queue has become empty."""
        try:
            wait_for(lambda: queue_is_empty(self.suite), 120, "the queue to become empty")
        except SuiteError as error:
            raise SuiteError("%s; it holds\n%s\n%s" % (error, self.suite.tambo("queue", "list"),
                                                      self.suite.log_tail()))
        self.found = observe(self.suite, self.users, self.uids, self.read)
        complaints, self.doubled = self.ledger.check(self.found.inboxes, self.sink.counts)
        complaints += self.changes.check(self.found.states)
        complaints += self.uids.complaints
        self.uids.complaints = []
        fsck = self.suite.tambo("fsck", check=False)
        if fsck.returncode != 0:
            complaints.append("fsck: " + fsck.stdout + fsck.stderr)
        events = self.suite.events()
        complaints += [line for line in events if " process.crash_loop " in line] + crashes(events)
        return complaints

    def everything_is_read(self):
        """All bodies once more, not only new ones; complaints about UIDs."""
        observe(self.suite, self.users, self.uids, set())
        return self.uids.complaints
