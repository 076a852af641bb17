// mailboxd(8): the keeper of accounts and, forked from its zygote, one process for each account in
// use. The keeper never opens an index or a message; account processes never see another account.
#include "common/ipc/control.h"
#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/sys/sandbox.h"
#include "mailboxd/keeper.h"

#include <unistd.h>

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("mailboxd");
    const UniqueFd mail = boot.take_file("mail");
    if (!mail || ::fchdir(mail.get()) != 0) boot.fail("cannot enter the mail directory");
    // Before any table or socket.
    auto zygote = mailboxd::Zygote::start(boot.identity(), mail.get());

    SystemClock clock;
    Loop loop;
    Nursery nursery(loop);
    mailboxd::Keeper keeper(nursery, zygote, clock, boot.config<conf::MailboxdConfig>(),
                            boot.epoch());
    ipc::AdminServer admin(nursery, boot.take_listener("control"));
    keeper.serve_admin(admin);
    ipc::Control control(loop, nursery, boot);
    control.bind("authd", keeper.authd());
    control.bind("deliverd", keeper.deliverd());
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::MailboxdConfig>(message.config))
            keeper.configure(*fresh);
    };
    control.on_storage_state = [&](bool read_only) { keeper.set_read_only(read_only); };
    control.on_drain = [&](int64_t) { keeper.drain([&] { loop.stop(); }); };
    keeper.on_storage_fault = [&](const std::string& what) { control.report_fault(what); };
    loop.every(1000, [&] { keeper.tick(); });
    FdWatch zygote_watch(
        loop, zygote.fd(), [](void* l, unsigned) { static_cast<Loop*>(l)->stop(); }, &loop);
    zygote_watch.arm_read(0);

    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{mail.get(), sandbox::Access::read_write}};
    const auto isolation = sandbox::enter(sandbox::profiles::keeper, entry);
    control.report_ready(isolation.missing());
    loop.run();
    nursery.cancel();
    zygote.end();
    ::_exit(0); // what still waits ends with the process
}
