// The child's side of the control channel while it runs: peers that are re-wired, configuration
// generations, draining. The process ends when master goes.
#pragma once

#include "common/ipc/boot.h"
#include "common/ipc/channel.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::ipc {

class Control {
  public:
    // nursery: for the handlers; must outlive Control, like loop.
    Control(Loop& loop, Nursery& nursery, Boot& boot);

    // The one peer of that name ("authd"): attached now, after each restart of the peer, and anew
    // when the channel was lost though the peer lives (control.h of messages/, Unwired).
    void bind(const std::string& peer, Channel& channel);
    // The same for a peer whose socket somebody else speaks on (keyd: a handshake cannot wait for
    // the loop).
    void bind_socket(const std::string& peer, std::function<void(UniqueFd)> take);
    // All peers whose name starts with prefix ("mx."): for each new one `make` is called with a
    // fresh Channel, before its socket is attached, and returns the object that serves it. Channel
    // and object live until the peer is gone for good and no handler runs any more.
    using MakePeer = std::function<std::shared_ptr<void>(Channel& channel)>;
    void accept(const std::string& prefix, MakePeer make);

    // To master.
    void report_ready(const std::string& isolation = "");
    // The storage is at fault; only from services that keep mail or accounts
    // (master/wiring.cc).
    void report_fault(const std::string& what);
    void report_retired(uint32_t connections);
    void report_drop(const std::string& name, DropOutcome outcome);

    // Set before the loop runs. Defaults: configuration and files are ignored, drain stops the
    // loop.
    std::function<void(const Configure&)> on_configure; // decode<C>(configure.config)
    std::function<void(const std::string& name, UniqueFd file)> on_file;
    std::function<void(int64_t grace_ms)> on_drain;
    std::function<void(bool read_only)> on_storage_state;

  private:
    struct Dynamic {
        std::string name;
        std::unique_ptr<Channel> channel;
        std::shared_ptr<void> server;
        bool gone = false;
    };
    void attach(Channel& channel, PeerSocket message);
    void take_peer(PeerSocket message);
    void take_gone(PeerGone message);
    void take_configure(Configure message);
    void take_file(OpenFile message);
    void take_drain(Drain message);
    void take_storage_state(StorageState message);
    void reap();

    Loop& loop_;
    Nursery& nursery_;
    Boot& boot_;
    Channel master_;
    std::vector<std::pair<std::string, Channel*>> bound_;
    std::vector<std::pair<std::string, std::function<void(UniqueFd)>>> sockets_;
    std::vector<std::pair<std::string, MakePeer>> makers_;
    std::vector<std::unique_ptr<Dynamic>> dynamic_;
};

} // namespace tambo::ipc
