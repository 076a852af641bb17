// queued(8): owns the spool. Takes messages from smtpd, makes them durable, gives them to deliverd
// and relayd, and tells senders what could not be delivered. Never has a network socket.
#include "common/ipc/admin.h"
#include "common/ipc/control.h"
#include "common/smtp/domain.h"
#include "common/sys/sandbox.h"
#include "queued/server.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace tambo;

namespace {

[[noreturn]] void serve(ipc::Boot& boot) {
    UniqueFd spool = boot.take_file("spool");
    if (::fchdir(spool.get()) != 0) boot.fail("cannot enter the spool directory");
    // Bodies must be readable by the group of the accounts, and by nobody else.
    ::umask(0027);
    smtp::load_unicode_tables();
    // Before anything is made in the spool: it must belong to our own user.
    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{spool.get(), sandbox::Access::read_write | sandbox::Access::refer}};
    const auto isolation = sandbox::enter(sandbox::profiles::queued, entry);

    SystemClock clock;
    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    queued::Server server({loop, nursery, clock, random}, std::move(spool),
                          boot.config<conf::QueuedConfig>(), boot.epoch());
    ipc::Control control(loop, nursery, boot);
    server.connect(control);
    ipc::AdminServer admin(nursery, boot.take_listener("control"));
    server.serve(admin);
    server.start();
    control.report_ready(isolation.missing());
    try {
        loop.run();
    } catch (const std::exception& error) {
        boot.fail(error.what()); // here: the server cannot go while coroutines wait in it
    }
    // What still waits ends with the process; the next start takes it up.
    ::_exit(0);
}

} // namespace

int main() {
    auto boot = ipc::Boot::from_master("queued");
    try {
        serve(boot);
    } catch (const std::exception& error) {
        boot.fail(error.what());
    }
}
