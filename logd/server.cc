#include "logd/server.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "logd/line.h"

#include <sysexits.h>

#include <algorithm>
#include <utility>

namespace tambo::logd {

namespace {

constexpr size_t kRecentBytes = 16u << 20;
constexpr size_t kReadBackBytes = 8u << 20;
constexpr size_t kPageRows = 30; // each at most 2 KiB: a page fits a datagram
constexpr int kBatches = 32;     // then others have their turn
constexpr int kTurnsAtOnce = 16; // of one channel, for an answer: a flood has no end
// After reading all channels rest so long: under load one call reads, and one writes, many events,
// and what came meanwhile is written in its order.
constexpr int64_t kRestMs = 20;
constexpr int64_t kShortRestMs = 1; // when a channel was about to be full
constexpr size_t kManyEvents = 128; // of one channel

task<ipc::AdminAnswer> as_task(ipc::AdminAnswer answer) {
    co_return answer;
}

// key=value, in quotes where a value would not end by itself.
std::string fields_text(const log::Record& r) {
    std::string text;
    for (const auto& [key, value] : r.fields) {
        const std::string shown = escape(value, 300);
        const bool plain = !shown.empty() && shown.find_first_of(" =") == std::string::npos;
        if (!text.empty()) text.push_back(' ');
        text += plain ? cat(key, '=', shown) : cat(key, "=\"", shown, '"');
    }
    return text.substr(0, 1500);
}

} // namespace

struct Server::Source {
    Server& server;
    std::string instance;
    UniqueFd socket;
    FdWatch watch;
    bool closed = false;
    bool waits = false; // has events, which are read when the rest is over

    Source(Server& s, std::string name, UniqueFd fd)
        : server(s), instance(std::move(name)), socket(std::move(fd)),
          watch(
              s.loop_,
              socket.get(),
              [](void* self, unsigned) {
                  auto* source = static_cast<Source*>(self);
                  source->server.on_events(*source);
              },
              this) {
        set_nonblocking(socket.get());
        watch.arm_read(0);
    }
};

Server::Server(Loop& loop, Writer& writer, ipc::AdminServer& admin)
    : loop_(loop), writer_(writer), recent_(kRecentBytes),
      rest_(
          loop, [](void* self) { static_cast<Server*>(self)->wake(); }, this) {
    admin.on("trace",
             [this](ipc::AdminRequest request, ipc::Asker) { return as_task(trace(request)); });
    admin.on("status", [this](ipc::AdminRequest, ipc::Asker) { return as_task(status()); });
}

Server::~Server() = default;

void Server::add_source(const std::string& instance, UniqueFd socket) {
    sources_[instance] = std::make_unique<Source>(*this, instance, std::move(socket));
}

void Server::forget(const std::string& instance) {
    const auto found = sources_.find(instance);
    // A new channel may have come under the name meanwhile.
    if (found != sources_.end() && found->second->closed) sources_.erase(found);
}

void Server::load_recent() {
    writer_.read_back(kReadBackBytes, [this](std::string_view line) {
        if (const auto record = parse_line(line)) recent_.add(*record);
    });
}

// What comes when nothing has come for a while is read in this turn of the loop.
void Server::on_events(Source& source) {
    source.watch.disarm_read();
    source.waits = true;
    if (!std::exchange(resting_, true)) loop_.post([this] { wake(); });
}

void Server::wake() {
    resting_ = false;
    size_t most = 0;
    for (auto& [name, source] : sources_) {
        if (!std::exchange(source->waits, false)) continue;
        const size_t before = arrived_.size();
        receive(*source);
        most = std::max(most, arrived_.size() - before);
        if (!source->closed) source->watch.arm_read(0);
    }
    if (most == 0) return;
    resting_ = true;
    rest_.arm(most >= kManyEvents ? kShortRestMs : kRestMs);
}

// True: there may be more.
bool Server::receive(Source& source) {
    Batch batch;
    for (int i = 0; i < kBatches && (i == 0 || batch.full) && !batch.closed; ++i) {
        batch = receive_batch(source.socket.get(), 0);
        for (const Datagram& datagram : batch.datagrams) {
            auto record = log::decode(datagram.bytes);
            if (!record) {
                ++malformed_;
                continue;
            }
            record->daemon = source.instance;
            arrived_.push_back(std::move(*record));
        }
    }
    if (batch.closed && !std::exchange(source.closed, true)) {
        // The process and its successor are gone for good.
        source.watch.disarm_read();
        loop_.post([this, instance = source.instance] { forget(instance); });
    }
    if (!std::exchange(settle_posted_, true)) {
        loop_.post([this] {
            settle_posted_ = false;
            settle();
        });
    }
    return batch.full;
}

// Of what came in a turn of the loop from several processes the earlier comes first, in one write.
void Server::settle() {
    std::ranges::stable_sort(arrived_, {}, [](const log::Record& r) { return r.time.ms; });
    for (const log::Record& record : arrived_)
        accept(record);
    arrived_.clear();
    writer_.flush();
}

void Server::accept(const log::Record& record) {
    ++events_;
    if (record.dropped_before > 0) {
        dropped_ += record.dropped_before;
        log::Record notice;
        notice.time = record.time;
        notice.level = log::Level::warning;
        notice.daemon = record.daemon;
        notice.event = "log.dropped";
        notice.fields.emplace_back("events", cat(record.dropped_before));
        writer_.write(notice);
    }
    writer_.write(record);
    recent_.add(record);
}

void Server::drain() {
    for (auto& [name, source] : sources_) {
        for (int turn = 0; turn < kTurnsAtOnce && receive(*source); ++turn) {
        }
    }
    settle();
}

ipc::AdminAnswer Server::trace(const ipc::AdminRequest& request) {
    drain();
    ipc::AdminAnswer answer;
    if (request.words.empty()) {
        answer.exit_code = EX_USAGE;
        answer.error = "trace what? a queue id, a session or an address";
        return answer;
    }
    UtcTime since;
    for (const auto& word : request.words) {
        const auto [key, value] = split_once(word, '=');
        if (key != "since" || &word == &request.words.front()) continue;
        const auto back = parse_duration_ms(value);
        if (!back) {
            answer.exit_code = EX_USAGE;
            answer.error = "since takes a duration such as 2h";
            return answer;
        }
        since.ms = SystemClock().now().ms - *back;
    }
    answer.columns = {"time", "daemon", "event", "sid", "qid", "rcpt", "fields"};
    const auto found = recent_.find(request.words[0], since);
    const size_t first = parse_uint(request.cursor).value_or(0);
    for (size_t i = first; i < found.size() && i < first + kPageRows; ++i) {
        const auto record = log::decode(*found[i]);
        if (!record) continue;
        const log::Record& r = *record;
        answer.rows.push_back(
            {format_rfc3339(r.time), r.daemon, r.event, r.sid, r.qid, r.rcpt, fields_text(r)});
    }
    if (first + kPageRows < found.size()) answer.next = cat(first + kPageRows);
    if (found.empty()) {
        answer.exit_code = 1;
        answer.error = "no recent event mentions " + escape(request.words[0]);
    }
    return answer;
}

ipc::AdminAnswer Server::status() {
    drain();
    ipc::AdminAnswer answer;
    answer.columns = {"events", "dropped", "malformed", "lost", "recent"};
    answer.rows.push_back(
        {cat(events_), cat(dropped_), cat(malformed_), cat(writer_.lost()), cat(recent_.size())});
    return answer;
}

} // namespace tambo::logd
