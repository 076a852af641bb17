// deliverd(8): links message bodies from the spool into accounts and has them filed. Never reads or
// writes mail, never opens an index, has no network.
#include "common/conf/small_configs.h"
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "deliverd/deliverer.h"
#include "deliverd/linker.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("deliverd");
    const UniqueFd bodies = boot.take_file("spool/bodies");
    const UniqueFd mail = boot.take_file("mail");
    if (!bodies || !mail) boot.fail("no spool or mail directory");

    Loop loop;
    Nursery nursery(loop);
    ipc::Channel queued(nursery, "queued"), keeper(nursery, "keeper");
    const deliverd::Linker linker(bodies.get(), mail.get());
    deliverd::Deliverer deliverer(linker, queued, keeper);
    ipc::Control control(loop, nursery, boot);
    control.bind("queued", queued);
    control.bind("keeper", keeper);

    sandbox::Entry entry;
    entry.identity = boot.identity();
    // Landlock lets nothing be linked to where more may be done with it: hence write on the bodies,
    // which nobody may write (0440), and whose modes deliverd has no call to change. queue.db, which
    // is writable for the same user, lies elsewhere.
    entry.paths = {{bodies.get(), sandbox::Access::read_only | sandbox::Access::write |
                                     sandbox::Access::refer},
                   {mail.get(), sandbox::Access::read_write | sandbox::Access::refer}};
    control.report_ready(sandbox::enter(sandbox::profiles::deliverd, entry).missing());
    loop.run();
    nursery.finish();
}
