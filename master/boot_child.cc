// What a process is given at its start and later: configuration, files, listening sockets, peers.
// The receiving side is common/ipc/boot.h and control.h.
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "master/children.h"

#include <sys/socket.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace tambo::master {

namespace {

constexpr int64_t kRewireAfter_ms = 1'000;

// Files whose contents may change while a daemon runs, as opposed to directories.
bool may_change(std::string_view file) {
    return file.starts_with("key:") || file.starts_with("certificate:") || file == "aliases" ||
           file == "passwd" || file == "resolv.conf" || file == "ca-bundle";
}

bool names(const Service& service, std::string_view word) {
    const auto list = words(service.files);
    return std::ranges::find(list, word) != list.end();
}

} // namespace

void Children::send_boot(Child& child) {
    send_configuration(child);
    if (child.service.name == "logd") {
        around_.log_pipes.each_receiver([&](const std::string& instance, UniqueFd receiver) {
            child.control.send(ipc::OpenFile{"log:" + instance, std::move(receiver)});
        });
    } else {
        child.control.send(ipc::OpenFile{"log", around_.log_pipes.sender(child.instance)});
    }
    send_files(child, true);
    for (const auto* socket : around_.listeners.of(child.service.name, child.service.listeners)) {
        auto copy = duplicate(socket->fd.get(), socket->name);
        child.control.send(ipc::ListenSocket{socket->name, std::move(copy)});
    }
    wire(child);
    const auto identity = around_.users.identity(child.service.user);
    ipc::Start start;
    start.instance = child.instance;
    start.epoch = around_.epoch;
    start.start_number = child.start_number;
    start.change_user = identity.change_user;
    start.uid = identity.uid;
    start.gid = identity.gid;
    start.groups = identity.groups;
    start.directory = around_.directories.path();
    start.log_to_stderr = around_.log_to_stderr;
    child.control.send(start);
    if (around_.read_only) child.control.send(ipc::StorageState{true});
}

// A pair with each process of each peer that has already begun; the others do the same when they
// begin.
void Children::wire(Child& child) {
    child.wired = true;
    const auto peers = peers_of(child.service);
    for (const auto& other : children_) {
        if (std::ranges::find(peers, &other->service) == peers.end() || !other->wired) continue;
        connect(child, *other);
    }
}

void Children::connect(Child& child, Child& peer) {
    auto [here, there] = socket_pair(SOCK_SEQPACKET);
    const uint64_t link = ++link_counter_;
    links_[link] = {child.start_number, peer.start_number};
    bool given = child.control.send(ipc::PeerSocket{peer.instance, link, std::move(here)});
    given = peer.control.send(ipc::PeerSocket{child.instance, link, std::move(there)}) && given;
    if (!given) rewire_later(link);
}

// ---- pairs that were lost while both live

// It may have been the peer's death, which is about to be heard of: its successor gets a pair of
// its own. A process has no word about others' channels.
void Children::on_unwired(Child& child, uint64_t link) {
    const auto found = links_.find(link);
    if (found == links_.end()) return; // the other one has said so, or is gone
    const auto [one, other] = found->second;
    if (one == child.start_number || other == child.start_number) rewire_later(link);
}

// Not at once, so that two who never understand each other do not keep everybody busy.
void Children::rewire_later(uint64_t link) {
    if (unwired_.empty()) rewire_.arm(kRewireAfter_ms);
    unwired_.insert(link);
}

void Children::rewire() {
    for (const uint64_t link : std::exchange(unwired_, {})) {
        if (!rewire(link)) rewire_later(link);
    }
}

// False: to be tried again.
bool Children::rewire(uint64_t link) {
    const auto found = links_.find(link);
    if (found == links_.end()) return true;
    Child* child = find_started(found->second.first);
    Child* peer = find_started(found->second.second);
    if (!child || !peer) return true;
    try {
        connect(*child, *peer);
    } catch (const std::system_error& e) {
        log::Event("process.rewire_failed", log::Level::error)
            .with("process", child->instance)
            .with("peer", peer->instance)
            .with("why", e.what());
        return false;
    }
    links_.erase(link);
    log::Event("process.rewired", log::Level::warning)
        .with("process", child->instance)
        .with("peer", peer->instance);
    return true;
}

// nullptr: it has ended, or is about to.
Child* Children::find_started(uint64_t start_number) {
    for (const auto& child : children_) {
        const bool serves = child->wired && child->state != ChildState::draining;
        if (child->start_number == start_number && serves && child->control.connected())
            return child.get();
    }
    return nullptr;
}

void Children::send_configuration(Child& child) {
    const PartSource source{around_.config, around_.smarthost_password, around_.journal};
    child.control.send(ipc::Configure{around_.generation, child.service.part(source)});
}

void Children::send_files(Child& child, bool at_start) {
    auto files = open_files(child.service, around_.config, around_.tls, around_.directories);
    for (auto& file : files) {
        if (!at_start && !may_change(file.name)) continue;
        child.control.send(ipc::OpenFile{std::move(file.name), std::move(file.fd)});
    }
}

std::string Children::configure_all() {
    std::string failures;
    for (auto& child : children_) {
        if (!child->wired) continue; // it gets the newest when it begins
        try {
            send_files(*child, false);
        } catch (const std::system_error& e) {
            log::Event("process.files_missing", log::Level::error)
                .with("process", child->instance)
                .with("why", e.what());
            failures += cat(child->instance, " goes on with what it had: ", e.what(), '\n');
            continue;
        }
        send_configuration(*child);
    }
    return failures;
}

void Children::send_file(std::string_view word) {
    for (auto& child : children_) {
        if (!child->wired || !names(child->service, word)) continue;
        try {
            auto file = open_file(word, around_.config, around_.directories);
            child->control.send(ipc::OpenFile{std::move(file.name), std::move(file.fd)});
        } catch (const std::system_error& e) {
            log::Event("process.files_missing", log::Level::error)
                .with("process", child->instance)
                .with("why", e.what());
        }
    }
}

} // namespace tambo::master
