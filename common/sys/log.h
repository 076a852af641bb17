// Events, not prose: what every daemon tells logd. tambo-events(7) lists the names and fields.
//
// One event is one datagram on the one-way channel to logd. Sending never blocks: a burst that the
// channel does not hold waits in this process, up to kWaitingMax, and what does not fit there is
// counted and reported with the next event that does. Without a sink (unit tests, commands) events
// go nowhere unless TAMBO_LOG_STDERR is set. Only the thread of the loop makes events.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::log {

enum class Level : unsigned char { debug, info, notice, warning, error, critical };

// The event as it travels; field values are raw bytes, logd escapes them.
struct Record {
    UtcTime time;
    Level level = Level::info;
    std::string daemon, sid, qid, rcpt, event;
    std::vector<std::pair<std::string, std::string>> fields;
    uint64_t dropped_before = 0; // events this process could not send
};

std::string encode(const Record& record);
std::optional<Record> decode(std::string_view datagram);

// For the whole process: where events go and under which instance name ("mx.0").
void set_sink(UniqueFd socket, std::string daemon);
// Also written to standard error, one readable line each (foreground runs, tests).
void set_stderr(bool on);
uint64_t dropped();

// Bytes of events that wait in a process: those of one message with as many recipients as can be
// allowed (smtp.recipients_max), and some.
inline constexpr size_t kWaitingMax = 16u << 20;
// Sends what waits, as far as the channel takes it; false: some still waits. Whoever has a loop is
// told once, when the first event begins to wait, and calls this when sink_fd() is writable.
bool flush();
// The same at the end of a process: waits for logd, at most half a second.
void flush_at_end();
struct WaitingHook {
    void (*begins)(void* context) = nullptr;
    void* context = nullptr;
};
void set_waiting_hook(WaitingHook hook);
WaitingHook waiting_hook();
// The descriptor of the sink, -1 without one: for a process that closes everything else.
int sink_fd();

// log::Event("smtp.accepted").sid(session).qid(id).with("bytes", 1234); sent when it goes.
class Event {
  public:
    explicit Event(std::string_view name, Level level = Level::info);
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    Event& sid(std::string_view session);
    Event& sid(const Id& session) { return sid(session.text()); }
    Event& qid(const Id& queue_id);
    Event& rcpt(std::string_view address);
    // Values are cut at 1024 bytes. At most 32 fields.
    Event& with(std::string_view key, std::string_view value);
    Event& with(std::string_view key, int64_t value);

  private:
    Record record_;
};

} // namespace tambo::log
