// imapd(8): IMAP for strangers. Speaks TLS and the commands before the login; after it the client's
// bytes go to the account process, unread. Holds no mail, no key, no password.
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "common/tls/server_tls.h"
#include "imapd/server.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("imapd");

    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel authd(nursery, "authd");
    ipc::Control control(loop, nursery, boot);
    control.bind("authd", authd);
    ServerTls tls("imap", {"imap"});
    tls.attach(boot, control);

    imapd::Service service{.nursery = nursery,
                           .authd = authd,
                           .random = random,
                           .config = boot.config<conf::LoginConfig>(),
                           .tls = tls.context()};
    imapd::Server server(service);
    for (const auto& name : boot.listener_names())
        server.listen(name, boot.take_listener(name));
    server.on_retired = [&](uint32_t connections) { control.report_retired(connections); };
    server.on_finished = [&] { loop.stop(); };
    control.on_drain = [&](int64_t grace_ms) { server.drain(grace_ms); };
    control.on_file = [&](const std::string& name, const UniqueFd& file) {
        tls.take_file(name, file);
    };
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::LoginConfig>(message.config)) service.config = *fresh;
        tls.apply();
        service.tls = tls.context();
    };

    sandbox::Entry entry;
    entry.identity = boot.identity();
    const UniqueFd root = boot.take_file("root");
    entry.root_fd = root.get();
    control.report_ready(sandbox::enter(sandbox::profiles::login, entry).missing());
    loop.run();
    service.on_connection_ended = nullptr;
    nursery.finish();
}
