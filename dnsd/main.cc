// dnsd(8): the only process that talks DNS. It answers smtpd and relayd, keeps nothing but a cache,
// and has no files, no keys, no mail and no listening socket.
#include "common/ipc/control.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "common/sys/sandbox.h"
#include "dnsd/service.h"

using namespace tambo;

constexpr size_t kResolvConfMax = 64 * 1024;

int main() {
    auto boot = ipc::Boot::from_master("dnsd");
    SystemClock clock;
    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    dnsd::Service service(nursery, clock, random);
    service.configure(boot.config<conf::DnsdConfig>());
    const auto take_file = [&](const std::string& name, const UniqueFd& file) {
        if (name != "resolv.conf" || !file) return;
        service.set_resolv_conf(read_whole(file.get(), kResolvConfMax, name));
    };
    take_file("resolv.conf", boot.take_file("resolv.conf"));
    const auto ports = service.ports();

    ipc::Control control(loop, nursery, boot);
    for (const auto* prefix : {"mx.", "submit.", "relayd."}) {
        control.accept(prefix, [&](ipc::Channel& peer) {
            service.serve(peer);
            return std::shared_ptr<void>();
        });
    }
    // The sandbox lets nobody connect to other ports: a successor does.
    const auto changed = [&] {
        if (service.ports() != ports) loop.stop();
    };
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::DnsdConfig>(message.config)) service.configure(*fresh);
        changed();
    };
    control.on_file = [&](const std::string& name, const UniqueFd& file) {
        take_file(name, file);
        changed();
    };

    const UniqueFd root = boot.take_file("root");
    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.root_fd = root.get();
    entry.connect_ports = ports;
    control.report_ready(sandbox::enter(sandbox::profiles::dnsd, entry).missing());
    loop.run();
    nursery.finish();
    return 0;
}
