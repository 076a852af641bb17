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
    const UniqueFd spool = boot.take_file("spool");
    const UniqueFd mail = boot.take_file("mail");
    if (!spool || !mail) boot.fail("no spool or mail directory");

    Loop loop;
    Nursery nursery(loop);
    ipc::Channel queued(nursery, "queued"), keeper(nursery, "keeper");
    const deliverd::Linker linker(spool.get(), mail.get());
    deliverd::Deliverer deliverer(linker, queued, keeper);
    ipc::Control control(loop, nursery, boot);
    control.bind("queued", queued);
    control.bind("keeper", keeper);

    sandbox::Entry entry;
    entry.identity = boot.identity();
    // Landlock lets nothing be linked to where more may be done with it: hence write on the spool,
    // whose files belong to nobody who may (0440), and which deliverd has no call to change.
    entry.paths = {{spool.get(), sandbox::Access::read_only | sandbox::Access::write |
                                     sandbox::Access::refer},
                   {mail.get(), sandbox::Access::read_write | sandbox::Access::refer}};
    control.report_ready(sandbox::enter(sandbox::profiles::deliverd, entry).missing());
    loop.run();
    nursery.finish();
}
