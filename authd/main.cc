// authd(8): accounts, passwords, address resolution, the right to send, limits. Never has a network
// socket or mail; everything it knows about a client was told by the daemon that serves it.
#include "authd/admin.h"
#include "authd/files.h"
#include "authd/peer.h"
#include "authd/service.h"
#include "common/ipc/admin.h"
#include "common/ipc/control.h"
#include "common/sys/clock.h"
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

    SystemClock clock;
    Loop loop;
    authd::Directory directory("accounts.db", clock);
    Workers workers(loop, 2);
    Nursery nursery(loop);
    authd::Service service(nursery, directory, workers, clock, boot.config<conf::AuthdConfig>());
    ipc::Control control(loop, nursery, boot);
    control.bind("keeper", service.keeper());
    authd::Peer keeper_peer(service, service.keeper());
    for (const auto* prefix : {"mx.", "submit.", "imapd.", "pop3d.", "queued"}) {
        control.accept(prefix, [&](ipc::Channel& channel) {
            return std::make_shared<authd::Peer>(service, channel);
        });
    }
    ipc::AdminServer admin_server(nursery, boot.take_listener("control"));
    authd::Admin admin(service, admin_server);
    service.local_door().listen(boot.take_listener("submit"));

    authd::take_files(service, control, boot);
    directory.on_fault = [&](const std::string& what) { control.report_fault(what); };
    control.on_storage_state = [&](bool read_only) { directory.set_read_only(read_only); };
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::AuthdConfig>(message.config)) service.configure(*fresh);
    };
    loop.every(60'000, [&] { service.throttle().tidy(); });

    control.report_ready(isolation.missing());
    try {
        loop.run();
    } catch (const db::DbError& error) {
        boot.fail(error.what()); // here: the service cannot go while coroutines wait in it
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
