// RETR and TOP: a message goes out in pieces, at the client's pace. RFC 1939 5, 7.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "pop3d/session/multiline.h"
#include "pop3d/session/state.h"

#include <algorithm>

namespace tambo::pop3 {

namespace {

constexpr size_t kPiece = 16 * 1024;
static_assert(2 * kPiece < limits::output_pending_bytes);

} // namespace

task<> Session::cmd_retr() {
    const uint32_t number = message_number();
    co_await send_text(number, std::nullopt);
    ++retrieved_;
}

task<> Session::cmd_top() {
    const uint32_t number = message_number();
    const uint64_t body_lines = *arguments_[1];
    co_await send_text(number, body_lines);
}

// A read error in the middle (std::system_error) ends the session: the response that has begun must
// not look complete.
task<> Session::send_text(uint32_t number, std::optional<uint64_t> body_lines) {
    auto reader = account_.open_message(view_->at(number));
    if (!reader) throw refused(reader.error());
    const uint64_t size = reader->size();
    if (body_lines) {
        ok("top of the message follows");
    } else {
        ok(cat(size, " octets"));
    }
    TopCut cut(body_lines.value_or(0));
    DotStuffer stuffer;
    std::string piece, out;
    bool more = true;
    for (uint64_t offset = 0; more && offset < size; offset += kPiece) {
        piece.clear();
        reader->append_to(piece, offset, kPiece);
        const auto wanted = body_lines ? cut.take(piece) : std::string_view(piece);
        more = !body_lines || !cut.done();
        out.clear();
        stuffer.feed(wanted, out);
        co_await make_room(out.size());
        io_.put(out);
        co_await breathe();
    }
    out.clear();
    stuffer.finish(out);
    io_.put(out);
}

} // namespace tambo::pop3
