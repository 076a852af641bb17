// keyd(8): the private keys. Signs TLS handshakes of smtpd, imapd and pop3d, nothing else; never
// gives a key out, never has a network socket or a file by name.
#include "common/conf/small_configs.h"
#include "common/crypto/keys.h"
#include "common/ipc/control.h"
#include "common/sys/clock.h"
#include "common/sys/log.h"
#include "common/sys/sandbox.h"
#include "keyd/server.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("keyd");
    if (!lock_key_memory()) log::Event("keyd.memory_not_locked", log::Level::notice);

    SystemClock clock;
    Loop loop;
    Nursery nursery(loop);
    keyd::Server server(clock);
    const UniqueFd root = boot.take_file("root");
    for (const auto& name : boot.file_names())
        server.take_file(name, boot.take_file(name));

    ipc::Control control(loop, nursery, boot);
    for (const auto* prefix : {"mx.", "submit.", "imapd.", "pop3d."}) {
        control.accept(prefix, [&](ipc::Channel& channel) {
            return std::make_shared<keyd::Peer>(server, channel, clock);
        });
    }
    control.on_file = [&](const std::string& name, const UniqueFd& file) {
        server.take_file(name, file);
    };
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::KeydConfig>(message.config))
            server.set_count(fresh->keys);
    };
    loop.every(60'000, [&] { server.tidy(); });

    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.root_fd = root.get();
    control.report_ready(sandbox::enter(sandbox::profiles::keyd, entry).missing());
    loop.run();
    nursery.finish();
}
