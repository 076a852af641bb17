// See session.h and state.h. Responses are collected and written once for each batch of pipelined
// commands; nothing more is read while the client does not take its responses (RULES.md D9).
#include "imapd/session/session.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "imapd/session/capability.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

#include <algorithm>

namespace tambo::imap {

namespace {

constexpr int64_t kBreathMs = 20;

UniqueFd nonblocking(UniqueFd fd) {
    set_nonblocking(fd.get());
    return fd;
}

} // namespace

task<>
serve_imap(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings) {
    Session session(nursery, std::move(client), account, std::move(settings));
    co_await session.run();
}

Session::Session(Nursery& nursery,
                 UniqueFd client,
                 store::Account& account,
                 SessionSettings settings)
    : nursery_(nursery), settings_(std::move(settings)), account_(account),
      io_(nursery, nonblocking(std::move(client)), settings_.silence_ms),
      started_ms_(Loop::monotonic_ms()), breath_ms_(started_ms_) {}

Session::~Session() {
    log::Event("imap.session_ended")
        .sid(settings_.sid)
        .with("login", settings_.address)
        .with("why", ended_why_)
        .with("commands", static_cast<int64_t>(commands_))
        .with("ms", Loop::monotonic_ms() - started_ms_);
}

// ---- the loop

task<> Session::run() {
    greet();
    while (!done_) {
        const Event event = co_await next_event();
        co_await on_event(event);
        if (crowded()) co_await io_.flush();
        if (!done_ && account_.failure()) say_bye("the mail store has failed");
        co_await breathe();
    }
    co_await io_.flush();
    io_.finish();
}

// The answer to the login that authd accepted: the first thing that a session says.
void Session::greet() {
    if (settings_.login_tag.empty()) return;
    const bool sound =
        settings_.login_tag.size() <= kTagBytes &&
        std::all_of(settings_.login_tag.begin(), settings_.login_tag.end(), is_tag_char);
    io_.put(cat(sound ? settings_.login_tag : "*", " OK [CAPABILITY ", kCapabilities,
                "] Logged in\r\n"));
}

Session::Event Session::take_event() {
    auto input = io_.buffered();
    if (input.empty()) return Event::more;
    const size_t before = input.size();
    const Event event = reader_.feed(input);
    io_.consume(before - input.size());
    return event;
}

task<Session::Event> Session::next_event() {
    for (;;) {
        const Event event = take_event();
        if (event != Event::more) co_return event;
        co_await io_.flush();
        const net::Wait wait = co_await io_.wait_input(settings_.silence_ms);
        if (wait != net::Wait::timed_out) continue;
        co_await autologout();
    }
}

task<> Session::autologout() {
    say_bye("autologout");
    ended_why_ = "timeout";
    co_await io_.flush();
    throw Closed{};
}

task<> Session::on_event(Event event) {
    if (event == Event::command || event == Event::message) co_await command();
    if (event == Event::refused) on_refused();
    if (event == Event::go_ahead) {
        io_.put("+ OK\r\n");
        co_await io_.flush();
    }
    if (event == Event::hopeless) {
        if (*reader_.reason() != '\0') on_refused();
        if (!done_) say_bye("too much to be skipped");
    }
}

// The reader refused a command, or has skipped what one of ours refused.
void Session::on_refused() {
    tag_ = reader_.tag();
    if (waiting_answer_.empty()) return finish("BAD", reader_.code(), reader_.reason());
    io_.put(waiting_answer_);
    waiting_answer_.clear();
    reader_.reset();
}

// ---- dispatch

// One command, from its name to its tagged response. APPEND starts before its message has come.
task<> Session::command() {
    ++commands_;
    tag_ = reader_.tag();
    may_expunge_ = true;
    std::string status = "OK", code, text;
    try {
        text = co_await execute();
    } catch (const No& e) {
        status = "NO";
        code = e.code;
        text = e.text;
    } catch (const Bad& e) {
        status = "BAD";
        code = e.code;
        text = e.text;
    }
    co_await report_changes(may_expunge_);
    finish(status, code, text);
}

// The tagged response, now or when a refused message has been skipped.
void Session::finish(std::string_view status, std::string_view code, std::string_view text) {
    std::string line = cat(tag_, ' ', status, ' ');
    if (!code.empty()) cat_to(line, cat('[', code, "] "));
    cat_to(line, cat(text, "\r\n"));
    const bool give_up = status == "BAD" && ++bad_commands_ >= limits::bad_commands;
    const bool endless = reader_.message_waits() && !reader_.literal().synchronising &&
                         reader_.literal().size > 4 * settings_.message_bytes_max;
    if (!endless && !give_up && reader_.message_waits() && !reader_.refuse_message()) {
        waiting_answer_ = std::move(line);
        return;
    }
    io_.put(line);
    reader_.reset();
    if (give_up) say_bye("too many bad commands");
    if (endless) say_bye("too much to be skipped");
}

task<std::string> Session::execute() {
    Parser in(reader_.text());
    if (!in.try_tag()) throw Bad("a tag is missing");
    in.space();
    const Command* command = take_command(in);
    if (command == nullptr) throw Bad("no such command");
    const unsigned state = has_view() ? kSelected : kAuthenticated;
    if ((command->states & state) == 0) throw Bad("not in this state");
    may_expunge_ = command->may_expunge;
    auto text = co_await command->run(*this, in);
    co_return text;
}

void Session::say_bye(std::string_view text) {
    untagged(cat("BYE ", text));
    done_ = true;
    ended_why_ = "bye";
}

// ---- for commands

store::View& Session::view() {
    check(view_ != nullptr, "a command without a selected mailbox");
    return *view_;
}

void Session::select(std::shared_ptr<store::Mailbox> mailbox, bool read_only) {
    view_ = std::make_unique<store::View>(account_, std::move(mailbox), read_only);
}

void Session::require_writable() {
    if (view().read_only() || account_.read_only()) {
        throw No("READ-ONLY", "the mailbox is open for reading only");
    }
}

void Session::untagged(std::string_view text) {
    io_.put(cat("* ", text, "\r\n"));
}

bool Session::crowded() const {
    return io_.output_pending() >= limits::output_pending_bytes;
}

bool Session::is_breathless() const {
    return Loop::monotonic_ms() - breath_ms_ >= kBreathMs;
}

task<> Session::breathe() {
    if (!is_breathless()) co_return;
    co_await sleep_ms(nursery_, 0);
    breath_ms_ = Loop::monotonic_ms();
}

void Session::put_flags_of(std::string& out, const store::Entry& entry) {
    FlagList flags;
    flags.system = entry.flags;
    if (entry.keywords != 0) flags.keywords = view().mailbox().keywords().names(entry.keywords);
    put_flags(out, flags, view().is_recent(entry.uid));
}

// RFC 3501 7.2.6, and 7.1 PERMANENTFLAGS.
void Session::put_keywords() {
    FlagList all;
    all.system = store::kAllFlags;
    const auto& keywords = view().mailbox().keywords();
    all.keywords = keywords.names(keywords.used());
    std::string flags;
    put_flags(flags, all);
    untagged(cat("FLAGS ", flags));
    if (view().read_only()) return untagged("OK [PERMANENTFLAGS ()] Nothing is kept");
    flags.back() = ' ';
    untagged(cat("OK [PERMANENTFLAGS ", flags, keywords.full() ? ")" : "\\*)", "] Kept"));
}

std::vector<NumberRange> Session::numbers_of(const SequenceSet& set, bool by_uid) {
    const store::View& shown = view();
    const uint32_t count = shown.count();
    if (!by_uid) {
        if (!set.within(count)) throw Bad("no message has that number");
        return set.resolve(count);
    }
    std::vector<NumberRange> numbers;
    for (const NumberRange& uids : set.resolve(shown.last_uid())) {
        const uint32_t first = shown.lower_bound(uids.first);
        const uint32_t behind =
            uids.last == UINT32_MAX ? count + 1 : shown.lower_bound(uids.last + 1);
        if (first >= behind) continue;
        if (!numbers.empty() && numbers.back().last + 1 == first) {
            numbers.back().last = behind - 1;
        } else {
            numbers.push_back({first, behind - 1});
        }
    }
    return numbers;
}

std::vector<uint32_t> Session::uids_of(const std::vector<NumberRange>& numbers) {
    const store::View& shown = view();
    std::vector<uint32_t> uids;
    for (const NumberRange& range : numbers) {
        for (uint32_t n = range.first; n <= range.last; ++n) {
            if (!shown.is_expunged(n)) uids.push_back(shown.at(n).uid);
        }
    }
    return uids;
}

bool Session::some_expunged(const std::vector<NumberRange>& numbers) {
    return std::any_of(numbers.begin(), numbers.end(), [this](const NumberRange& range) {
        for (uint32_t n = range.first; n <= range.last; ++n) {
            if (view().is_expunged(n)) return true;
        }
        return false;
    });
}

task<> Session::report_changes(bool may_expunge) {
    if (!has_view() || !view().has_changes()) co_return;
    const auto changes = view().sync(may_expunge);
    for (const uint32_t number : changes.expunged) {
        untagged(cat(number, " EXPUNGE"));
        if (crowded()) co_await io_.flush();
    }
    if (changes.exists) untagged(cat(view().count(), " EXISTS"));
    if (changes.recent) untagged(cat(view().recent_count(), " RECENT"));
    if (changes.keywords) put_keywords();
    for (const uint32_t number : changes.flags) {
        const store::Entry& entry = view().at(number);
        std::string flags;
        put_flags_of(flags, entry);
        untagged(cat(number, " FETCH (UID ", entry.uid, " FLAGS ", flags, ")"));
        if (crowded()) co_await io_.flush();
    }
}

// ---- the store's refusals

No refused(store::Refusal refusal, bool target) {
    const auto text = std::string(store::text_of(refusal));
    switch (refusal) {
    case store::Refusal::nonexistent:
        return No(target ? "TRYCREATE" : "NONEXISTENT", "no such mailbox");
    case store::Refusal::already_exists:
        return No("ALREADYEXISTS", text);
    case store::Refusal::cannot:
        return No("CANNOT", text);
    case store::Refusal::not_selectable:
        return No("CANNOT", text);
    case store::Refusal::has_children:
        return No("HASCHILDREN", text);
    case store::Refusal::over_quota:
        return No("OVERQUOTA", text);
    case store::Refusal::too_big:
        return No("TOOBIG", text);
    case store::Refusal::limit:
        return No("LIMIT", text);
    case store::Refusal::corrupt:
        return No("CORRUPTION", text);
    default:
        return No("UNAVAILABLE", text);
    }
}

const std::string& existing_name(const MailboxName& name, bool target) {
    if (!name.valid) throw refused(store::Refusal::nonexistent, target);
    return name.utf8;
}

const std::string& new_name(const MailboxName& name) {
    if (!name.valid) throw refused(store::Refusal::cannot);
    return name.utf8;
}

} // namespace tambo::imap
