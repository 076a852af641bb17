// deliverd(8): local delivery. Links bodies from the spool into accounts and has them filed by the
// accounts' own processes. Never has a network socket, an index, or a reason to read a message.
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "deliverd/service.h"

#include <sys/stat.h>

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("deliverd");
    UniqueFd spool = boot.take_file("spool"), mail = boot.take_file("mail");
    if (!spool || !mail) boot.fail("no spool or mail directory");
    ::umask(0); // the modes that are asked for
    sandbox::Entry entry;
    entry.identity = boot.identity();
    const unsigned access = sandbox::Access::read_write | sandbox::Access::refer;
    entry.paths = {{spool.get(), access}, {mail.get(), access}};
    const auto isolation = sandbox::enter(sandbox::profiles::deliverd, entry);

    const auto config = boot.config<conf::DeliverdConfig>();
    Loop loop;
    Nursery nursery(loop);
    deliverd::Linker linker(std::move(spool), std::move(mail),
                            static_cast<uint64_t>(config.disk_reserve));
    deliverd::Service service(nursery, std::move(linker));
    ipc::Control control(loop, nursery, boot);
    control.bind("queued", service.queued());
    control.bind("keeper", service.keeper());
    control.on_configure = [&](const ipc::Configure& message) {
        const auto fresh = ipc::decode<conf::DeliverdConfig>(message.config);
        if (fresh) service.linker().set_disk_reserve(static_cast<uint64_t>(fresh->disk_reserve));
    };
    service.on_fault = [&](const std::string& what) { control.report_fault(what, true); };
    control.report_ready(isolation.missing());
    loop.run();
    nursery.cancel();
}
