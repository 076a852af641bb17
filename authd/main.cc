// authd(8): accounts, passwords, address resolution, the right to send, limits. Never has a network
// socket or mail; everything it knows about a client was told by the daemon that serves it.
#include "authd/server.h"
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"

#include <malloc.h>
#include <unistd.h>

using namespace tambo;

namespace {

void serve(ipc::Boot& boot) {
    // What a hash needs goes back to the kernel with it: malloc would keep it for the next.
    ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
    const UniqueFd accounts = boot.take_file("accounts");
    if (::fchdir(accounts.get()) != 0) boot.fail("cannot enter the accounts directory");
    // Before the database is opened: whoever may write to its directory must not have root follow
    // a name in there.
    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{accounts.get(), sandbox::Access::read_write}};
    const auto isolation = sandbox::enter(sandbox::profiles::authd, entry);

    Loop loop;
    Nursery nursery(loop);
    authd::Server server(loop, nursery, boot.config<conf::AuthdConfig>());
    server.on_failed = [&boot](const std::string& what) { boot.fail(what); };
    ipc::Control control(loop, nursery, boot);
    server.connect(control, boot);
    control.report_ready(isolation.missing());
    try {
        loop.run();
    } catch (const db::DbError& error) {
        boot.fail(error.what()); // here: the server cannot go while coroutines wait in it
    }
    nursery.finish();
}

} // namespace

int main() {
    auto boot = ipc::Boot::from_master("authd");
    try {
        serve(boot);
    } catch (const db::DbError& error) {
        boot.fail(error.what());
    }
}
