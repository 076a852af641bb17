// The commands of the TRANSACTION state but RETR and TOP. RFC 1939 5 to 7, RFC 2449 5.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "pop3d/session/capability.h"
#include "pop3d/session/state.h"

namespace tambo::pop3 {

namespace {
constexpr size_t kListLineBytes = 64; // no line of LIST or UIDL is longer
} // namespace

uint32_t Session::message_number() const {
    const uint64_t number = *arguments_.front();
    if (number < 1 || number > count()) throw No{"", "no such message"};
    const auto found = static_cast<uint32_t>(number);
    if (deleted_[found - 1]) throw No{"", "message is deleted"};
    return found;
}

std::string Session::list_line(uint32_t number) const {
    return cat(number, ' ', view_->at(number).size);
}

// Not the UID: it stays the same when the index is rebuilt (RULES.md R18).
std::string Session::uidl_line(uint32_t number) const {
    return cat(number, ' ', email_ids_[number - 1].text());
}

task<> Session::send_list(std::string (Session::*line)(uint32_t number) const) {
    if (!arguments_.empty()) {
        ok((this->*line)(message_number()));
        co_return;
    }
    ok(cat(messages_left_, messages_left_ == 1 ? " message" : " messages"));
    for (uint32_t number = 1; number <= count(); ++number) {
        if (deleted_[number - 1]) continue;
        io_.put((this->*line)(number));
        io_.put("\r\n");
        co_await make_room(kListLineBytes);
    }
    io_.put(".\r\n");
}

task<> Session::cmd_capa() {
    ok("capabilities");
    io_.put(cat(kCapabilities, kLoginCapabilities, ".\r\n"));
    co_return;
}

task<> Session::cmd_stat() {
    ok(cat(messages_left_, ' ', bytes_left_));
    co_return;
}

task<> Session::cmd_list() {
    co_await send_list(&Session::list_line);
}

task<> Session::cmd_uidl() {
    co_await send_list(&Session::uidl_line);
}

task<> Session::cmd_dele() {
    const uint32_t number = message_number();
    if (account_.read_only()) throw refused(store::Refusal::read_only);
    deleted_[number - 1] = true;
    --messages_left_;
    bytes_left_ -= view_->at(number).size;
    ok("deleted at QUIT");
    co_return;
}

task<> Session::cmd_rset() {
    for (uint32_t number = 1; number <= count(); ++number) {
        if (!deleted_[number - 1]) continue;
        deleted_[number - 1] = false;
        ++messages_left_;
        bytes_left_ += view_->at(number).size;
    }
    ok(cat(messages_left_, messages_left_ == 1 ? " message" : " messages"));
    co_return;
}

task<> Session::cmd_noop() {
    ok("done");
    co_return;
}

// RFC 1939 6, the UPDATE state: +OK means that the removal is on the disk. What IMAP sessions have
// expunged meanwhile is gone already, which is what the client wanted.
task<> Session::cmd_quit() {
    done_ = true;
    why_ = "quit";
    std::vector<uint32_t> uids;
    for (uint32_t number = 1; number <= count(); ++number) {
        if (deleted_[number - 1] && !view_->is_expunged(number)) {
            uids.push_back(view_->at(number).uid);
        }
    }
    if (!uids.empty()) {
        const auto gone = account_.discard(view_->mailbox(), uids, view_.get());
        if (!gone) {
            why_ = "store";
            throw No{"SYS/TEMP", "deleted messages not removed"};
        }
        removed_ = gone->size();
    }
    ok("good-bye");
    co_return;
}

} // namespace tambo::pop3
