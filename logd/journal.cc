#include "logd/journal.h"

#include "common/base/text.h"
#include "common/sys/file.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace tambo::logd {

namespace {

constexpr const char* kSocket = "/run/systemd/journal/socket";

int priority_of(log::Level level) {
    switch (level) {
    case log::Level::debug:
        return 7;
    case log::Level::info:
        return 6;
    case log::Level::notice:
        return 5;
    case log::Level::warning:
        return 4;
    case log::Level::error:
        return 3;
    case log::Level::critical:
        return 2;
    }
    return 6;
}

} // namespace

UniqueFd connect_journal() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, kSocket, sizeof address.sun_path - 1);
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (!socket.valid() || ::connect(socket.get(), raw, sizeof address) != 0) return UniqueFd();
    return socket;
}

std::string journal_datagram(const log::Record& r, std::string_view line) {
    std::string out =
        cat("MESSAGE=", line, "\nPRIORITY=", priority_of(r.level), "\nSYSLOG_IDENTIFIER=tambo\n");
    const auto add = [&out](const char* name, const std::string& value) {
        if (!value.empty()) out += cat(name, '=', escape(value, 1024), '\n');
    };
    add("TAMBO_DAEMON", r.daemon);
    add("TAMBO_EVENT", r.event);
    add("TAMBO_SID", r.sid);
    add("TAMBO_QID", r.qid);
    add("TAMBO_RCPT", r.rcpt);
    return out;
}

} // namespace tambo::logd
