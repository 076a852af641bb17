// IDLE, RFC 2177. What others do is told at once; what the client pipelines behind DONE stays in
// the buffer (some send both in one packet).
#include "common/base/text.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

// Wakes the session's wait as long as it lives.
class Alarm {
  public:
    explicit Alarm(Session& session) : session_(session) {
        if (!session.has_view()) return;
        session.view().on_change = [&io = session.io()] { io.wake(); };
    }
    ~Alarm() {
        if (session_.has_view()) session_.view().on_change = nullptr;
    }
    Alarm(const Alarm&) = delete;

  private:
    Session& session_;
};

} // namespace

task<std::string> cmd_idle(Session& session, Parser& args) {
    args.end();
    session.reader().reset();
    session.reader().set_raw(true);
    session.io().put("+ idling\r\n");
    auto event = Session::Event::more;
    {
        const Alarm alarm(session);
        const int64_t interval_ms = session.settings().still_here_ms;
        int64_t silence_ms = 0;
        for (;;) {
            co_await session.report_changes(true);
            event = session.take_event();
            if (event != Session::Event::more) break;
            co_await session.io().flush();
            const net::Wait wait = co_await session.io().wait_input(interval_ms);
            if (wait != net::Wait::timed_out) continue;
            silence_ms += interval_ms;
            if (silence_ms >= session.settings().silence_ms) co_await session.autologout();
            session.untagged("OK Still here");
        }
    }
    session.reader().set_raw(false);
    if (event == Session::Event::hopeless) session.say_bye("too much to be skipped");
    if (event != Session::Event::command || !iequals(session.reader().text(), "DONE")) {
        throw Bad("DONE was expected");
    }
    co_return "Idle ended";
}

} // namespace tambo::imap
