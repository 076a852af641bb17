#include "authd/files.h"

namespace tambo::authd {

void take_files(Service& service, ipc::Control& control, ipc::Boot& boot) {
    control.on_file = [&service, &control](const std::string& name, UniqueFd file) {
        if (!name.starts_with(ipc::kDropPrefix)) return service.take_file(name, file);
        const std::string dropped = name.substr(ipc::kDropPrefix.size());
        const bool passed = service.local_door().pass_file(dropped, std::move(file));
        if (!passed) control.report_drop(dropped, ipc::DropOutcome::not_now);
    };
    for (const auto* name : {"aliases", "passwd"}) {
        if (const UniqueFd file = boot.take_file(name)) service.take_file(name, file);
    }
}

} // namespace tambo::authd
