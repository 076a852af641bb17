// mailboxd(8): the keeper of accounts and, forked from its zygote, one process for each account in
// use. The keeper never opens an index or a message; account processes never see another account.
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "mailboxd/keeper.h"

#include <unistd.h>

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("mailboxd");
    const UniqueFd mail = boot.take_file("mail");
    if (!mail || ::fchdir(mail.get()) != 0) boot.fail("cannot enter the mail directory");
    auto zygote = mailboxd::Zygote::start(boot, mail.get()); // before any table or socket

    Loop loop;
    Nursery nursery(loop);
    mailboxd::Keeper keeper(nursery, zygote, boot.config<conf::MailboxdConfig>(), boot.epoch());
    ipc::AdminServer admin(nursery, boot.take_listener("control"));
    keeper.serve_admin(admin);
    ipc::Control control(loop, nursery, boot);
    control.bind("authd", keeper.authd());
    control.bind("deliverd", keeper.deliverd());
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::MailboxdConfig>(message.config))
            keeper.configure(*fresh);
    };
    loop.every(1000, [&] { keeper.reap_idle(); });
    FdWatch zygote_watch(
        loop, zygote.fd(), [](void* l, unsigned) { static_cast<Loop*>(l)->stop(); }, &loop);
    zygote_watch.arm_read(0);

    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{mail.get(), sandbox::Access::read_write}};
    control.report_ready(sandbox::enter(sandbox::profiles::keeper, entry).missing());
    loop.run();
    nursery.cancel();
}
