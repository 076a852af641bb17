#include "common/sys/log.h"

#include "common/base/bytes.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace tambo::log {

namespace {

struct Sink {
    UniqueFd socket;
    std::string daemon;
    bool to_stderr = false;
    uint64_t dropped = 0, dropped_unreported = 0;
    std::string waiting; // datagrams, each behind its length in 32 bits
    size_t waiting_sent = 0;
    size_t waiting_count = 0;
    WaitingHook hook;

    bool waits() const { return waiting_sent < waiting.size(); }
};

Sink& sink() {
    static Sink the_sink;
    return the_sink;
}

enum class Sent { yes, later, never };

Sent send_one(const Sink& s, std::string_view datagram) {
    const ssize_t n =
        ::send(s.socket.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) return Sent::yes;
    return errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? Sent::later : Sent::never;
}

void forget_waiting(Sink& s) {
    s.waiting_sent = s.waiting_count = 0;
    std::string().swap(s.waiting); // gives the memory back
}

// False: there is no room.
bool keep(Sink& s, std::string_view datagram) {
    if (s.waiting_sent > kWaitingMax / 4) {
        s.waiting.erase(0, s.waiting_sent);
        s.waiting_sent = 0;
    }
    if (s.waiting.size() + datagram.size() > kWaitingMax) return false;
    const bool first = !s.waits();
    put_le(s.waiting, static_cast<uint32_t>(datagram.size()));
    s.waiting.append(datagram);
    ++s.waiting_count;
    if (first && s.hook.begins) s.hook.begins(s.hook.context);
    return true;
}

bool hand_over(Sink& s, std::string_view datagram) {
    if (!flush()) return keep(s, datagram); // in their order
    const Sent sent = send_one(s, datagram);
    return sent == Sent::yes || (sent == Sent::later && keep(s, datagram));
}

void put_text(std::string& out, std::string_view text) {
    put_le(out, static_cast<uint16_t>(text.size()));
    out.append(text);
}

bool take_text(std::string_view& in, std::string& into) {
    if (in.size() < 2) return false;
    const auto length = get_le<uint16_t>(in.data());
    if (in.size() - 2 < length) return false;
    into.assign(in.substr(2, length));
    in.remove_prefix(2u + length);
    return true;
}

void print(const Record& r) {
    std::string line = cat(format_rfc3339(r.time), ' ', r.daemon, ' ', r.event);
    if (!r.sid.empty()) line += cat(" sid=", r.sid);
    if (!r.qid.empty()) line += cat(" qid=", r.qid);
    if (!r.rcpt.empty()) line += cat(" rcpt=\"", escape(r.rcpt), '"');
    for (const auto& [key, value] : r.fields) line += cat(' ', key, "=\"", escape(value), '"');
    line.push_back('\n');
    std::fwrite(line.data(), 1, line.size(), stderr);
}

} // namespace

std::string encode(const Record& r) {
    std::string out;
    put_le(out, static_cast<uint8_t>(1)); // version
    put_le(out, static_cast<uint8_t>(r.level));
    put_le(out, r.time.ms);
    put_le(out, r.dropped_before);
    for (const auto* text : {&r.daemon, &r.sid, &r.qid, &r.rcpt, &r.event}) put_text(out, *text);
    put_le(out, static_cast<uint8_t>(r.fields.size()));
    for (const auto& [key, value] : r.fields) {
        put_text(out, key);
        put_text(out, value);
    }
    return out;
}

std::optional<Record> decode(std::string_view in) {
    if (in.size() < 18 || in[0] != 1 || static_cast<unsigned char>(in[1]) > 5) return std::nullopt;
    Record r;
    r.level = static_cast<Level>(in[1]);
    r.time.ms = get_le<int64_t>(in.data() + 2);
    r.dropped_before = get_le<uint64_t>(in.data() + 10);
    in.remove_prefix(18);
    for (auto* text : {&r.daemon, &r.sid, &r.qid, &r.rcpt, &r.event}) {
        if (!take_text(in, *text)) return std::nullopt;
    }
    if (in.empty()) return std::nullopt;
    const auto count = static_cast<unsigned char>(in[0]);
    in.remove_prefix(1);
    for (int i = 0; i < count; ++i) {
        auto& [key, value] = r.fields.emplace_back();
        if (!take_text(in, key) || !take_text(in, value)) return std::nullopt;
    }
    if (!in.empty()) return std::nullopt;
    return r;
}

bool flush() {
    Sink& s = sink();
    while (s.waits()) {
        const auto size = get_le<uint32_t>(s.waiting.data() + s.waiting_sent);
        const std::string_view datagram(s.waiting.data() + s.waiting_sent + sizeof size, size);
        const Sent sent = send_one(s, datagram);
        if (sent == Sent::later) return false;
        if (sent == Sent::never) { // nobody will ever read them
            s.dropped += s.waiting_count;
            s.dropped_unreported += s.waiting_count;
            break;
        }
        s.waiting_sent += sizeof size + size;
        --s.waiting_count;
    }
    if (!s.waiting.empty()) forget_waiting(s);
    return true;
}

void flush_at_end() {
    for (int i = 0; i < 10 && !flush(); ++i) {
        pollfd writable{sink_fd(), POLLOUT, 0};
        ::poll(&writable, 1, 50);
    }
}

void set_waiting_hook(WaitingHook hook) { sink().hook = hook; }

WaitingHook waiting_hook() { return sink().hook; }

void set_sink(UniqueFd socket, std::string daemon) {
    forget_waiting(sink());
    sink().socket = std::move(socket);
    sink().daemon = std::move(daemon);
}

void set_stderr(bool on) { sink().to_stderr = on; }

uint64_t dropped() { return sink().dropped; }

int sink_fd() { return sink().socket.get(); }

Event::Event(std::string_view name, Level level) {
    record_.time = SystemClock().now();
    record_.level = level;
    record_.event = name;
}

Event::~Event() {
    Sink& s = sink();
    record_.daemon = s.daemon;
    if (s.to_stderr) print(record_);
    if (!s.socket.valid()) return;
    record_.dropped_before = s.dropped_unreported;
    if (hand_over(s, encode(record_))) {
        s.dropped_unreported = 0;
    } else {
        ++s.dropped;
        ++s.dropped_unreported;
    }
}

Event& Event::sid(std::string_view session) {
    record_.sid = session;
    return *this;
}

Event& Event::qid(const Id& queue_id) {
    record_.qid = queue_id.text();
    return *this;
}

Event& Event::rcpt(std::string_view address) {
    record_.rcpt = address.substr(0, 1024);
    return *this;
}

Event& Event::with(std::string_view key, std::string_view value) {
    if (record_.fields.size() < 32) record_.fields.emplace_back(key, value.substr(0, 1024));
    return *this;
}

Event& Event::with(std::string_view key, int64_t value) { return with(key, cat(value)); }

} // namespace tambo::log
