#include "common/ipc/boot.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/frame.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"

#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace tambo::ipc {

namespace {

constexpr int kControlFd = 3;

template <class T>
T take_first(std::multimap<std::string, T>& from, const std::string& name) {
    const auto found = from.find(name);
    if (found == from.end()) return {};
    T taken = std::move(found->second);
    from.erase(found);
    return taken;
}

template <class T>
std::vector<std::string> names_of(const std::multimap<std::string, T>& of) {
    std::vector<std::string> names;
    for (const auto& [name, one] : of)
        names.push_back(name);
    return names;
}

void say_hello(int control) {
    Writer writer;
    writer(Hello{build_id()});
    const FrameHeader header{Hello::kType, FrameHeader::oneway,
                             static_cast<uint32_t>(writer.bytes().size()), 0};
    send_datagram(control, encode_header(header), writer.bytes(), {});
}

} // namespace

std::string build_id() {
    return TAMBO_VERSION;
}

void Boot::fail(const std::string& why) const {
    std::fprintf(stderr, "%s: %s\n", daemon_.c_str(), why.c_str());
    std::_Exit(1);
}

Boot Boot::from_master(const char* daemon) {
    Boot boot;
    boot.daemon_ = daemon;
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(kControlFd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_SEQPACKET) {
        std::fprintf(stderr, "%s is started by the tambo master only; see master(8)\n", daemon);
        std::_Exit(EX_USAGE);
    }
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN); // RULES.md R25
    boot.control_.reset(kControlFd);
    say_hello(kControlFd);
    for (;;) {
        Datagram datagram;
        const auto status =
            receive_datagram(kControlFd, limits::ipc_message_bytes, limits::ipc_fds_max, datagram);
        if (status != ReceiveStatus::received) boot.fail("master went away");
        const auto header = decode_header(datagram.bytes);
        if (!header) boot.fail("malformed frame from master");
        const auto payload = std::string_view(datagram.bytes).substr(kHeaderBytes);
        if (!boot.accept(header->type, payload, datagram.fds)) boot.fail("malformed start");
        if (header->type == Start::kType) break;
    }
    log::set_sink(boot.take_file("log"), boot.start_.instance);
    log::set_stderr(boot.start_.log_to_stderr);
    return boot;
}

bool Boot::accept(uint16_t type, std::string_view payload, std::vector<UniqueFd>& fds) {
    const auto keep = [&](auto message, auto&& use) {
        auto decoded = decode<decltype(message)>(payload, fds);
        if (decoded) use(std::move(*decoded));
        return decoded.has_value();
    };
    switch (type) {
    case Configure::kType:
        return keep(Configure{}, [&](auto m) { config_ = std::move(m); });
    case PeerSocket::kType:
        return keep(PeerSocket{}, [&](auto m) {
            const std::string name = m.peer;
            peers_.emplace(name, std::move(m));
        });
    case ListenSocket::kType:
        return keep(ListenSocket{},
                    [&](auto m) { listeners_.emplace(m.name, std::move(m.socket)); });
    case OpenFile::kType:
        return keep(OpenFile{}, [&](auto m) { files_.emplace(m.name, std::move(m.file)); });
    case Start::kType:
        return keep(Start{}, [&](auto m) { start_ = std::move(m); });
    default:
        return false;
    }
}

Identity Boot::identity() const {
    return Identity{start_.change_user, start_.uid, start_.gid, start_.groups};
}

UniqueFd Boot::take_file(const std::string& name) {
    return take_first(files_, name);
}
UniqueFd Boot::take_listener(const std::string& name) {
    return take_first(listeners_, name);
}
PeerSocket Boot::take_peer(const std::string& name) {
    return take_first(peers_, name);
}
UniqueFd Boot::take_control() {
    return std::move(control_);
}
std::vector<std::string> Boot::listener_names() const {
    return names_of(listeners_);
}
std::vector<std::string> Boot::peer_names() const {
    return names_of(peers_);
}
std::vector<std::string> Boot::file_names() const {
    return names_of(files_);
}

} // namespace tambo::ipc
