// smtpd(8): SMTP intake, as mx or as submission. Holds no file, no key, no password; what it
// accepts goes straight into descriptors that queued passes.
#include "common/ipc/control.h"
#include "common/smtp/domain.h"
#include "common/sys/sandbox.h"
#include "common/tls/server_tls.h"
#include "smtpd/drop.h"
#include "smtpd/server.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("smtpd");
    auto config = boot.config<conf::SmtpdConfig>();
    sandbox::Entry entry;
    entry.identity = boot.identity();
    const UniqueFd root = boot.take_file("root");
    entry.root_fd = root.get();

    SystemClock clock;
    SystemRandom random;
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel authd(nursery, "authd"), queued(nursery, "queued"), dnsd(nursery, "dnsd");
    ipc::Control control(loop, nursery, boot);
    control.bind("authd", authd);
    control.bind("queued", queued);
    control.bind("dnsd", dnsd);
    ServerTls tls("smtp", {"smtp"});
    tls.attach(boot, control);

    smtpd::Service service{nursery,
                           authd,
                           queued,
                           &dnsd,
                           clock,
                           random,
                           smtpd::role_of(boot.instance()),
                           std::move(config),
                           tls.context()};
    smtpd::Server server(service);
    for (const auto& name : boot.listener_names())
        server.listen(name, boot.take_listener(name));
    smtpd::Drops drops(server, [&](const auto& n, auto what) { control.report_drop(n, what); });
    server.on_drop = [&](ipc::LocalArrival message) { drops.take(std::move(message)); };
    control.on_file = [&](const auto& name, const UniqueFd& file) { tls.take_file(name, file); };
    control.on_configure = [&](const ipc::Configure& message) {
        tls.apply();
        service.tls = tls.context();
        if (auto fresh = ipc::decode<conf::SmtpdConfig>(message.config)) service.config = *fresh;
    };
    control.on_drain = [&](int64_t grace) { server.drain(grace, [&] { loop.stop(); }); };

    smtp::load_unicode_tables();
    control.report_ready(sandbox::enter(sandbox::profiles::smtpd, entry).missing());
    loop.run();
    nursery.finish();
}
