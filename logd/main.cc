// logd(8): takes events from all processes, escapes them, writes the journal or a file, and answers
// what happened to a message. Never has a network socket or mail, and never answers a sender.
#include "common/ipc/control.h"
#include "common/sys/sandbox.h"
#include "logd/server.h"

using namespace tambo;

int main() {
    auto boot = ipc::Boot::from_master("logd");
    const auto config = boot.config<conf::LogdConfig>();
    const UniqueFd directory = boot.take_file("directory");
    // Before the log is opened: whoever may write to its directory must not have root follow a name
    // in there. The journal's socket cannot be reached afterwards.
    UniqueFd journal = config.journal ? logd::connect_journal() : UniqueFd();
    sandbox::Entry entry;
    entry.identity = boot.identity();
    entry.paths = {{directory.get(), sandbox::Access::read_write}};
    const auto isolation = sandbox::enter(sandbox::profiles::logd, entry);

    Loop loop;
    Nursery nursery(loop);
    logd::Writer writer(config, directory.get(), std::move(journal));
    if (!writer.can_write()) boot.fail("cannot write the log: its directory must be _tambo-log's");
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

    control.report_ready(isolation.missing());
    loop.run();
    server.drain();
    nursery.finish();
}
