#include "common/ipc/control.h"

#include "common/sys/log.h"

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace tambo::ipc {

Control::Control(Loop& loop, Nursery& nursery, Boot& boot)
    : loop_(loop), nursery_(nursery), boot_(boot), master_(nursery, "master") {
    master_.on<PeerSocket>(*this, &Control::take_peer);
    master_.on<PeerGone>(*this, &Control::take_gone);
    master_.on<Configure>(*this, &Control::take_configure);
    master_.on<OpenFile>(*this, &Control::take_file);
    master_.on<Drain>(*this, &Control::take_drain);
    master_.on<StorageState>(*this, &Control::take_storage_state);
    // Children end on the end of the control channel: no orphan serves from an old build.
    master_.on_lost = [] { std::_Exit(0); };
    master_.attach(boot.take_control());
    // Stopping is master's decision: a signal to the whole group must not break its order.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
}

void Control::bind(const std::string& peer, Channel& channel) {
    bound_.emplace_back(peer, &channel);
    take_peer(boot_.take_peer(peer));
}

void Control::bind_socket(const std::string& peer, std::function<void(UniqueFd)> take) {
    sockets_.emplace_back(peer, std::move(take));
    take_peer(boot_.take_peer(peer));
}

void Control::accept(const std::string& prefix, MakePeer make) {
    makers_.emplace_back(prefix, std::move(make));
    for (const auto& name : boot_.peer_names()) {
        if (name.starts_with(prefix)) take_peer(boot_.take_peer(name));
    }
}

void Control::take_peer(PeerSocket message) {
    const std::string& peer = message.peer;
    if (!message.socket) return;
    for (auto& [name, channel] : bound_) {
        if (name == peer) return attach(*channel, std::move(message));
    }
    for (auto& [name, take] : sockets_) {
        if (name == peer) return take(std::move(message.socket));
    }
    for (auto& known : dynamic_) {
        if (known->name == peer && !known->gone) return attach(*known->channel, std::move(message));
    }
    for (auto& [prefix, make] : makers_) {
        if (!peer.starts_with(prefix)) continue;
        auto fresh = std::make_unique<Dynamic>();
        fresh->name = peer;
        fresh->channel = std::make_unique<Channel>(nursery_, peer);
        fresh->server = make(*fresh->channel);
        attach(*fresh->channel, std::move(message));
        dynamic_.push_back(std::move(fresh));
        return;
    }
    log::Event("ipc.unknown_peer", log::Level::error).with("peer", peer);
}

void Control::attach(Channel& channel, PeerSocket message) {
    channel.on_unwired = [this, link = message.link] { master_.send(Unwired{link}); };
    channel.attach(std::move(message.socket));
}

void Control::take_gone(PeerGone message) {
    for (auto& known : dynamic_) {
        if (known->name != message.peer) continue;
        known->gone = true;
        known->channel->on_unwired = nullptr;
        known->channel->drop("gone");
    }
    reap();
}

void Control::reap() {
    std::erase_if(dynamic_,
                  [](const auto& known) { return known->gone && known->channel->idle(); });
    const bool waiting = std::any_of(dynamic_.begin(), dynamic_.end(),
                                     [](const auto& known) { return known->gone; });
    if (!waiting) return;
    nursery_.spawn([](Control& self) -> task<> {
        co_await sleep_ms(self.nursery_, 1000);
        self.reap();
    }(*this));
}

void Control::take_configure(Configure message) {
    if (on_configure) on_configure(message);
}

void Control::take_file(OpenFile message) {
    if (on_file) on_file(message.name, std::move(message.file));
}

void Control::take_drain(Drain message) {
    if (on_drain) {
        on_drain(message.grace_ms);
    } else {
        loop_.stop();
    }
}

void Control::take_storage_state(StorageState message) {
    if (on_storage_state) on_storage_state(message.read_only);
}

void Control::report_ready(const std::string& isolation) {
    ::malloc_trim(0); // what the start needed goes back: most processes wait for long
    master_.send(Ready{isolation});
}

void Control::report_fault(const std::string& what) {
    log::Event("process.fault", log::Level::critical).with("what", what);
    master_.send(Fault{what});
}

void Control::report_retired(uint32_t connections) {
    master_.send(Retired{connections});
}

void Control::report_drop(const std::string& name, DropOutcome outcome) {
    master_.send(DropTaken{name, outcome});
}

} // namespace tambo::ipc
