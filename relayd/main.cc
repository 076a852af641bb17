// relayd(8): sends mail to other servers. It gets each message from queued as an open file, asks
// dnsd where it goes, and keeps nothing: no files, no keys, no listening socket.
#include "common/ipc/control.h"
#include "common/smtp/domain.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "common/sys/sandbox.h"
#include "relayd/service.h"

using namespace tambo;

constexpr size_t kBundleMax = 8u << 20;

int main() {
    auto boot = ipc::Boot::from_master("relayd");
    SystemClock clock;
    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel dnsd(nursery, "dnsd"), queued(nursery, "queued");
    relayd::ChannelNames names(dnsd);
    relayd::Service service(nursery, names, clock, random);
    const auto local_addresses = relayd::interface_addresses();
    service.configure(boot.config<conf::RelaydConfig>(), local_addresses);
    const auto ports = service.ports();
    const auto take_file = [&](const std::string& name, const UniqueFd& file) {
        if (name == "ca-bundle" && file) {
            service.set_trusted(read_whole(file.get(), kBundleMax, name));
        }
    };
    take_file("ca-bundle", boot.take_file("ca-bundle"));
    smtp::load_unicode_tables();

    ipc::Control control(loop, nursery, boot);
    queued.on<ipc::Relay>(service, &relayd::Service::relay);
    control.bind("dnsd", dnsd);
    control.bind("queued", queued);
    const auto stop = [&] { loop.stop(); };
    control.on_file = take_file;
    control.on_configure = [&](const ipc::Configure& message) {
        auto fresh = ipc::decode<conf::RelaydConfig>(message.config);
        if (fresh) service.configure(std::move(*fresh), local_addresses);
        // The sandbox lets nobody connect to other ports: a successor does.
        if (service.ports() != ports) service.drain(stop);
    };
    control.on_drain = [&](int64_t) { service.drain(stop); };

    const UniqueFd root = boot.take_file("root");
    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.root_fd = root.get();
    entry.connect_ports = ports;
    control.report_ready(sandbox::enter(sandbox::profiles::relayd, entry).missing());
    loop.run();
    nursery.finish();
}
