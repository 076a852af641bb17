#include "common/ipc/channel.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <fcntl.h>

namespace tambo::ipc {

namespace {
// A peer that leaves this much unread is treated as lost.
constexpr size_t kOutgoingMax = 64u << 20;
} // namespace

Channel::Channel(Nursery& nursery, std::string peer_name)
    : nursery_(nursery), peer_(std::move(peer_name)) {}

Channel::~Channel() {
    check(pending_.empty(), "a channel goes while a call waits");
}

void Channel::attach(UniqueFd socket) {
    if (connected()) {
        say_lost("replaced");
        lose();
    }
    set_nonblocking(socket.get());
    socket_ = std::move(socket);
    ++attachments_;
    watch_ = std::make_unique<FdWatch>(nursery_.loop(), socket_.get(), on_ready, this);
    watch_->arm_read(0);
    std::vector<Exchange*> unsent;
    for (auto& [id, exchange] : pending_) {
        if (!exchange->sent_) unsent.push_back(exchange);
    }
    for (Exchange* exchange : unsent) {
        if (connected()) exchange->send_now();
    }
    if (on_attached) on_attached();
}

void Channel::drop(std::string_view why) {
    if (!connected()) return;
    say_lost(why);
    lose();
    if (on_unwired) on_unwired();
}

void Channel::say_lost(std::string_view why) const {
    log::Event("ipc.peer_lost", log::Level::notice).with("peer", peer_).with("why", why);
}

void Channel::lose() {
    watch_.reset();
    socket_.reset();
    outgoing_.clear();
    outgoing_bytes_ = 0;
    std::vector<Exchange*> lost;
    for (auto& [id, exchange] : pending_) {
        if (exchange->loss_ == Loss::repeat) {
            exchange->sent_ = false;
        } else if (exchange->sent_) {
            lost.push_back(exchange);
        }
    }
    for (Exchange* exchange : lost) {
        exchange->finish(Exchange::State::lost);
        nursery_.loop().resume_later(*exchange);
    }
    if (on_lost) on_lost();
}

bool Channel::submit(const FrameHeader& header, const Writer& payload) {
    FrameHeader full = header;
    full.length = static_cast<uint32_t>(payload.bytes().size());
    check(payload.bytes().size() + kHeaderBytes <= limits::ipc_message_bytes,
          "a message larger than a datagram");
    check(payload.fds().size() <= limits::ipc_fds_max, "a message with too many descriptors");
    if (transmit(encode_header(full) + payload.bytes(), payload.fds())) return true;
    log::Event("ipc.message_dropped", log::Level::error)
        .with("peer", peer_)
        .with("type", int64_t{header.type})
        .with("why", "no descriptors left");
    return false;
}

bool Channel::transmit(std::string bytes, std::span<const int> fds) {
    if (outgoing_.empty()) {
        const auto status = send_datagram(socket_.get(), bytes, {}, fds);
        // Closed: reported from the read side, so that answers already received are still seen.
        if (status != SendStatus::would_block) return true;
    }
    return keep(std::move(bytes), fds);
}

bool Channel::keep(std::string bytes, std::span<const int> fds) {
    Outgoing waiting{std::move(bytes), {}};
    for (const int fd : fds) {
        waiting.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!waiting.fds.back().valid()) return false;
    }
    outgoing_bytes_ += waiting.bytes.size();
    outgoing_.push_back(std::move(waiting));
    watch_->arm_write(0);
    if (outgoing_bytes_ > kOutgoingMax) drop("does not read");
    return true;
}

void Channel::flush() {
    while (!outgoing_.empty()) {
        Outgoing& first = outgoing_.front();
        std::vector<int> fds;
        for (const auto& fd : first.fds)
            fds.push_back(fd.get());
        const auto status = send_datagram(socket_.get(), first.bytes, {}, fds);
        if (status == SendStatus::would_block) {
            watch_->arm_write(0);
            return;
        }
        if (status == SendStatus::closed) return;
        outgoing_bytes_ -= first.bytes.size();
        outgoing_.pop_front();
    }
}

void Channel::on_ready(void* self, unsigned what) {
    auto* channel = static_cast<Channel*>(self);
    if (what & FdWatch::writable) channel->flush();
    if (channel->connected() && (what & FdWatch::readable)) channel->receive_all();
}

void Channel::receive_all() {
    const uint64_t attachment = attachments_;
    // Bounded, so that one busy peer does not starve the others.
    bool more = true;
    for (int i = 0; i < 8 && more; ++i) {
        Batch batch = receive_batch(socket_.get(), limits::ipc_fds_max);
        for (Datagram& datagram : batch.datagrams) {
            receive(std::move(datagram));
            if (!connected() || attachment != attachments_) return;
        }
        if (batch.closed) {
            if (may_hang_up) {
                lose();
            } else {
                drop("closed");
            }
            return;
        }
        more = batch.full;
    }
}

void Channel::receive(Datagram datagram) {
    const auto header = decode_header(datagram.bytes);
    if (!header) {
        drop("malformed frame");
        return;
    }
    dispatch(Frame{*header, std::move(datagram.bytes), std::move(datagram.fds)});
}

void Channel::dispatch(Frame frame) {
    if (frame.header.flags == FrameHeader::reply) {
        const auto found = pending_.find(frame.header.id);
        // A reply to a call that was given up in the meantime is nobody's.
        if (found == pending_.end()) return;
        Exchange* exchange = found->second;
        if (exchange->header_.type != frame.header.type) {
            drop("reply of another type");
            return;
        }
        exchange->reply_ = std::move(frame);
        exchange->finish(Exchange::State::answered);
        exchange->handle.resume();
        return;
    }
    const auto handler = handlers_.find(frame.header.type);
    if (handler == handlers_.end() || !handler->second(frame)) {
        drop(cat("unexpected or malformed message ", frame.header.type));
    }
}

Channel::Exchange Channel::exchange(uint16_t type, Writer& request, Loss loss, int64_t timeout_ms) {
    const FrameHeader header{type, FrameHeader::request, 0, ++last_id_};
    return Exchange(*this, header, request, loss, timeout_ms);
}

Channel::Exchange::Exchange(
    Channel& channel, FrameHeader header, Writer& request, Loss loss, int64_t timeout_ms)
    : channel_(channel), header_(header), request_(request), loss_(loss), timeout_ms_(timeout_ms),
      timer_(
          channel.nursery_.loop(),
          [](void* self) {
              auto* exchange = static_cast<Exchange*>(self);
              exchange->finish(State::lost);
              exchange->handle.resume();
          },
          this) {}

Channel::Exchange::~Exchange() {
    channel_.pending_.erase(header_.id);
}

bool Channel::Exchange::await_ready() {
    if (!channel_.nursery_.cancelled()) return false;
    state_ = State::cancelled;
    return true;
}

void Channel::Exchange::await_suspend(std::coroutine_handle<> waiting) {
    handle = waiting;
    channel_.nursery_.link(*this);
    channel_.pending_[header_.id] = this;
    if (timeout_ms_ > 0) timer_.arm(timeout_ms_);
    if (channel_.connected()) send_now();
}

void Channel::Exchange::send_now() {
    sent_ = true;
    if (channel_.submit(header_, request_)) return;
    finish(State::lost);
    channel_.nursery_.loop().resume_later(*this);
}

void Channel::Exchange::finish(State state) {
    state_ = state;
    timer_.disarm();
    unlink();
    channel_.pending_.erase(header_.id);
}

Frame Channel::Exchange::await_resume() {
    if (state_ == State::cancelled) throw Cancelled{};
    if (state_ == State::lost) throw PeerLost(cat(channel_.peer_, ": no answer"));
    return std::move(reply_);
}

void Channel::Exchange::cancel() {
    finish(State::cancelled);
    handle.resume();
}

} // namespace tambo::ipc
