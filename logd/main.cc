// logd(8): takes events from all processes, escapes them, writes the journal or a file, and answers
// what happened to a message. Never has a network socket or mail, and never answers a sender.
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "logd/journal.h"
#include "logd/server.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("logd");
    const auto config = boot.config<conf::LogdConfig>();
    const UniqueFd directory = boot.take_file("directory");
    Loop loop;
    Nursery nursery(loop);
    logd::Writer writer(config, directory.get(),
                        config.journal ? logd::connect_journal() : UniqueFd());
    ipc::AdminServer admin(nursery, boot.take_listener("control"));
    logd::Server server(loop, writer, admin);
    server.load_recent();
    ipc::Control control(loop, nursery, boot);
    const auto take = [&](const std::string& name, UniqueFd file) {
        if (name.starts_with("log:")) server.add_source(name.substr(4), std::move(file));
    };
    for (const auto& name : boot.file_names())
        take(name, boot.take_file(name));
    control.on_file = take;
    control.on_configure = [&](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::LogdConfig>(message.config)) writer.configure(*fresh);
    };

    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{directory.get(), sandbox::Access::read_write}};
    control.report_ready(sandbox::enter(sandbox::profiles::logd, entry).missing());
    loop.run();
    server.drain();
    nursery.finish();
}
