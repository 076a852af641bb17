// APPEND, RFC 3501 6.3.11 and RFC 4315 3. The message goes to disk as it comes and is never held in
// memory; what is stored is exactly what was sent. Only NUL is refused (RFC 3501 9, CHAR8).
#include "common/base/check.h"
#include "common/base/text.h"
#include "imapd/session/args.h"
#include "imapd/session/state.h"

#include <optional>
#include <string_view>

namespace tambo::imap {

namespace {

// Everything that can be told before the message is on its way.
void check_room(Session& session, const AppendArgs& wanted, const std::string& target) {
    const auto info = session.account().info(target);
    if (!info) throw refused(store::Refusal::nonexistent, true);
    if (info->noselect) throw refused(store::Refusal::not_selectable);
    const uint64_t size = wanted.message.size;
    if (size > session.settings().message_bytes_max) throw refused(store::Refusal::too_big);
    if (size == 0) throw No("CANNOT", "the message is empty");
    const store::Quota& quota = session.account().quota();
    const store::Usage usage = session.account().usage();
    const bool bytes_over = quota.bytes != 0 && usage.bytes + size > quota.bytes;
    const bool messages_over = quota.messages != 0 && usage.messages >= quota.messages;
    if (bytes_over || messages_over) throw refused(store::Refusal::over_quota);
}

// Takes all of the message off the connection, also when it cannot be kept: false if it has a NUL.
task<bool> receive(Session& session, store::BodyWriter& body) {
    bool sound = true;
    while (session.reader().message_left() > 0) {
        const auto event = co_await session.next_event();
        check(event == Session::Event::data, "a message comes as data");
        const auto piece = session.reader().data();
        if (piece.find('\0') != std::string_view::npos) sound = false;
        if (sound && !body.failure()) static_cast<void>(body.write(piece));
    }
    co_return sound;
}

} // namespace

task<std::string> cmd_append(Session& session, Parser& args) {
    args.space();
    auto wanted = parse_append(args);
    const std::string target = existing_name(wanted.mailbox, true);
    check_room(session, wanted, target);
    const size_t message_end = args.position();

    store::NewMessage message{accepted(session.account().new_body()), "", wanted.flags.system,
                              std::move(wanted.flags.keywords), wanted.date};
    session.reader().take_message();
    if (wanted.message.synchronising) {
        session.io().put("+ OK\r\n");
        co_await session.io().flush();
    }
    const bool sound = co_await receive(session, message.body);
    const auto end = co_await session.next_event(); // the line end behind the message
    if (end == Session::Event::hopeless) session.say_bye("too much to be skipped");
    if (end != Session::Event::command) {
        throw Bad(session.reader().code(), session.reader().reason());
    }
    if (session.reader().text().size() != message_end) throw Bad("text behind the message");
    if (!sound) throw Bad("NUL in the message");

    std::vector<store::NewMessage> messages;
    messages.push_back(std::move(message));
    const auto done =
        accepted(session.account().append(target, std::move(messages), session.origin()), true);
    co_return cat("[APPENDUID ", done.uidvalidity, ' ', done.uids.front(), "] Appended");
}

} // namespace tambo::imap
