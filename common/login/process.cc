#include "common/login/process.h"

#include "common/ipc/control.h"
#include "common/login/server.h"
#include "common/sys/sandbox.h"
#include "common/tls/server_tls.h"

namespace tambo::login {

void run_process(const char* program, const Protocol& protocol) {
    auto boot = ipc::Boot::from_master(program);

    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel authd(nursery, "authd");
    ipc::Control control(loop, nursery, boot);
    control.bind("authd", authd);
    const std::string name(protocol.clear_door);
    ServerTls tls(name, {name});
    tls.attach(boot, control);

    Service service(protocol, nursery, authd, random, boot.config<conf::LoginConfig>());
    service.tls = tls.context();
    Server server(service);
    for (const auto& door : boot.listener_names())
        server.listen(door, boot.take_listener(door));
    server.on_retired = [&](uint32_t connections) { control.report_retired(connections); };
    server.on_finished = [&] { loop.stop(); };
    control.on_drain = [&](int64_t grace_ms) { server.drain(grace_ms); };
    control.on_file = [&](const std::string& word, const UniqueFd& file) {
        tls.take_file(word, file);
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

} // namespace tambo::login
