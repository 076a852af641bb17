#include "smtpd/content.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/reply_texts.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;

size_t Content::feed(std::string_view in, std::string& out) {
    decoded_.clear();
    const size_t taken = decoder_.feed(in, decoded_);
    scanner_.feed(decoded_);
    if (ended()) scanner_.finish();
    look_at_first_line(decoded_);
    if (is_refused()) return taken;
    forged_.feed(decoded_, out);
    if (ended()) forged_.finish(out);
    return taken;
}

void Content::look_at_first_line(std::string_view bytes) {
    for (const char c : bytes) {
        const bool undecided = first_line_ == FirstLine::start || first_line_ == FirstLine::name;
        if (!undecided) return;
        const bool in_name = c > ' ' && c < 0x7f && c != ':';
        if (first_line_ == FirstLine::start && (c == '\r' || c == '\n')) {
            first_line_ = FirstLine::empty;
        } else if (in_name) {
            first_line_ = FirstLine::name;
        } else {
            const bool named = c == ':' && first_line_ == FirstLine::name;
            first_line_ = named ? FirstLine::field : FirstLine::text;
        }
    }
    if (ended() && first_line_ == FirstLine::name) first_line_ = FirstLine::text;
}

// As soon as it is certain; the hops are counted to the end of the header.
bool Content::is_refused() const {
    return decoder_.flaws() != 0 || decoder_.bytes() > size_max_ ||
           scanner_.status() == mime::HeaderScanner::Status::too_large;
}

std::optional<smtp::ReplyText> Content::refusal() const {
    if (decoder_.flaws() != 0) return replies::bare_line_ends;
    if (decoder_.bytes() > size_max_) return replies::message_too_big;
    if (scanner_.status() == mime::HeaderScanner::Status::too_large) {
        return replies::header_too_big;
    }
    // What has no header has no names in it: its lines are those of the body.
    if (scanner_.flags().control_in_name && !lacks_header()) return replies::bad_field_name;
    if (scanner_.count(mime::Watched::received) >= static_cast<size_t>(limits::hops_max)) {
        return replies::too_many_hops;
    }
    return std::nullopt;
}

} // namespace tambo::smtpd
