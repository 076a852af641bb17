// One peer of this process: typed requests, replies and one-way messages over a SOCK_SEQPACKET
// pair that master made and renews when the peer is restarted.
//
// A malformed frame closes that peer only. Nothing here trusts an id, a length or a type that the
// peer sent.
#pragma once

#include "common/base/text.h"
#include "common/event/nursery.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/sys/fdpass.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace tambo::ipc {

// The peer died before it answered, is not there within the time limit, or broke the contract.
struct PeerLost : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Channel {
  public:
    // nursery runs the handlers of requests and must be empty before the channel goes.
    Channel(Nursery& nursery, std::string peer_name);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    const std::string& peer() const { return peer_; }
    bool connected() const { return socket_.valid(); }
    // Handlers that have not yet answered and calls that wait.
    bool idle() const { return handlers_running_ == 0 && pending_.empty(); }

    // Takes a new socket to the peer (first wiring, or its successor). Waiting `repeat` requests
    // and requests made meanwhile are sent.
    void attach(UniqueFd socket);
    // Closes the socket; waiting requests end by their Loss rule. Runs on_lost from the loop.
    void drop(std::string_view why);

    // M: kType, kLoss, Reply, visit(). Descriptors in the request are duplicated by the kernel; the
    // request keeps its own. While the peer is away the call waits for its successor. Throws
    // PeerLost (also when timeout_ms passes, or there is no room for its descriptors while the
    // socket is full), Cancelled.
    template <class M>
    task<typename M::Reply> call(M request, int64_t timeout_ms = 30'000);

    // M: kType, visit(). Never suspends; queued while the socket is full, dropped (false) while the
    // peer is away, or if its descriptors cannot be kept that long: no frame goes without them.
    template <class M>
    bool send(const M& message);

    // Serves requests of type M: the returned reply goes back unless the peer is gone by then, or
    // the reply's descriptors cannot be kept until the socket takes them (the caller's time limit
    // ends its wait). One handler per type; self must outlive the channel's nursery.
    template <class M, class T>
    void on(T& self, task<typename M::Reply> (T::*handler)(M));
    // One-way messages of type M.
    template <class M, class T>
    void on(T& self, void (T::*handler)(M));

    // A peer that hangs up is no event: it asked what it wanted to know.
    bool may_hang_up = false;
    std::function<void()> on_lost;     // the socket closed
    // The same, behind it, for whoever gives the sockets; not when it has given another one.
    std::function<void()> on_unwired;
    std::function<void()> on_attached; // a (new) socket is there

  private:
    class Exchange;
    struct Outgoing {
        std::string bytes;
        std::vector<UniqueFd> fds;
    };

    Exchange exchange(uint16_t type, Writer& request, Loss loss, int64_t timeout_ms);
    // False: the frame has been dropped.
    bool submit(const FrameHeader& header, const Writer& payload);
    bool transmit(std::string bytes, std::span<const int> fds);
    bool keep(std::string bytes, std::span<const int> fds);
    static void on_ready(void* self, unsigned what);
    void receive_all();
    void receive(Datagram datagram);
    void say_lost(std::string_view why) const;
    void lose(); // drop() without the event and on_unwired
    void dispatch(Frame frame);
    void flush();
    template <class M, class T>
    static task<> answer(Channel& channel,
                         T& self,
                         task<typename M::Reply> (T::*handler)(M),
                         M message,
                         uint64_t id);

    Nursery& nursery_;
    std::string peer_;
    UniqueFd socket_;
    std::unique_ptr<FdWatch> watch_;
    std::deque<Outgoing> outgoing_;
    size_t outgoing_bytes_ = 0;
    std::map<uint64_t, Exchange*> pending_; // in order of request
    std::unordered_map<uint16_t, std::function<bool(Frame&)>> handlers_;
    uint64_t last_id_ = 0;
    uint64_t attachments_ = 0;
    size_t handlers_running_ = 0;
};

// The wait for one reply. Lives in the frame of call().
class Channel::Exchange final : public Waiter {
  public:
    Exchange(Channel& channel, FrameHeader header, Writer& request, Loss loss, int64_t timeout_ms);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    bool await_ready();
    void await_suspend(std::coroutine_handle<> waiting);
    Frame await_resume(); // throws PeerLost, Cancelled
    void cancel() override;

  private:
    friend class Channel;
    enum class State { waiting, answered, lost, cancelled };
    void send_now();
    void finish(State state);

    Channel& channel_;
    FrameHeader header_;
    Writer& request_;
    Loss loss_;
    int64_t timeout_ms_;
    Timer timer_;
    Frame reply_;
    State state_ = State::waiting;
    bool sent_ = false;
};

template <class M>
task<typename M::Reply> Channel::call(M request, int64_t timeout_ms) {
    Writer writer;
    writer(request);
    const uint16_t type = M::kType;
    const Loss loss = M::kLoss;
    auto frame = co_await exchange(type, writer, loss, timeout_ms);
    auto reply = decode<typename M::Reply>(frame.payload(), frame.fds);
    if (!reply) {
        drop("malformed reply");
        throw PeerLost(cat(peer_, ": malformed reply"));
    }
    co_return std::move(*reply);
}

template <class M>
bool Channel::send(const M& message) {
    if (!connected()) return false;
    Writer writer;
    writer(message);
    const bool taken = submit(FrameHeader{M::kType, FrameHeader::oneway, 0, 0}, writer);
    return taken && connected();
}

template <class M, class T>
task<> Channel::answer(
    Channel& channel, T& self, task<typename M::Reply> (T::*handler)(M), M message, uint64_t id) {
    const uint64_t attachment = channel.attachments_;
    channel.handlers_running_++;
    struct Running {
        Channel& c;
        ~Running() { c.handlers_running_--; }
    } running{channel};
    auto reply = co_await (self.*handler)(std::move(message));
    if (!channel.connected() || channel.attachments_ != attachment) co_return;
    Writer writer;
    writer(reply);
    channel.submit(FrameHeader{M::kType, FrameHeader::reply, 0, id}, writer);
}

template <class M, class T>
void Channel::on(T& self, task<typename M::Reply> (T::*handler)(M)) {
    handlers_[M::kType] = [this, &self, handler](Frame& frame) {
        if (frame.header.flags != FrameHeader::request) return false;
        auto message = decode<M>(frame.payload(), frame.fds);
        if (!message) return false;
        nursery_.spawn(answer<M, T>(*this, self, handler, std::move(*message), frame.header.id));
        return true;
    };
}

template <class M, class T>
void Channel::on(T& self, void (T::*handler)(M)) {
    handlers_[M::kType] = [&self, handler](Frame& frame) {
        if (frame.header.flags != FrameHeader::oneway) return false;
        auto message = decode<M>(frame.payload(), frame.fds);
        if (!message) return false;
        (self.*handler)(std::move(*message));
        return true;
    };
}

} // namespace tambo::ipc
