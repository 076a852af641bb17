#include "common/sys/log.h"

#include "common/base/bytes.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"

#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

namespace tambo::log {

namespace {

struct Sink {
    UniqueFd socket;
    std::string daemon;
    bool to_stderr = false;
    uint64_t dropped = 0, dropped_unreported = 0;
};

Sink& sink() {
    static Sink the_sink;
    return the_sink;
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

void set_sink(UniqueFd socket, std::string daemon) {
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
    const std::string datagram = encode(record_);
    const ssize_t sent =
        ::send(s.socket.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
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
