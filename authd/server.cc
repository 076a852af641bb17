#include "authd/server.h"

#include "authd/files.h"
#include "common/ipc/codec.h"
#include "common/sys/log.h"

#include <memory>

namespace tambo::authd {

Server::Server(Loop& loop, Nursery& nursery, const conf::AuthdConfig& config)
    : nursery_(nursery), directory_("accounts.db", clock_), workers_(loop, 2),
      service_(nursery, directory_, workers_, clock_, config),
      keeper_(service_, service_.keeper()) {
    nursery.on_error = [this](const std::exception& error) { unexpected(error); };
    loop.every(60'000, [this] { service_.throttle().tidy(); });
}

void Server::connect(ipc::Control& control, ipc::Boot& boot) {
    control.bind("keeper", service_.keeper());
    for (const auto* prefix : {"mx.", "submit.", "imapd.", "pop3d.", "queued"}) {
        control.accept(prefix, [this](ipc::Channel& channel) {
            return std::make_shared<Peer>(service_, channel);
        });
    }
    admin_server_.emplace(nursery_, boot.take_listener("control"));
    admin_.emplace(service_, *admin_server_);
    service_.local_door().listen(boot.take_listener("submit"));

    take_files(service_, control, boot);
    directory_.on_fault = [&control](const std::string& what) { control.report_fault(what); };
    control.on_storage_state = [this](bool read_only) { directory_.set_read_only(read_only); };
    control.on_configure = [this](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::AuthdConfig>(message.config)) {
            service_.configure(*fresh);
        }
    };
}

void Server::unexpected(const std::exception& error) {
    log::Event("auth.unexpected", log::Level::error).with("error", error.what());
    const bool of_the_database = dynamic_cast<const db::DbError*>(&error) != nullptr;
    if (of_the_database && on_failed) on_failed(error.what());
}

} // namespace tambo::authd
