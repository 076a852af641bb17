// See reader.h. A refused command goes on being read, with its text thrown away but for the end of
// each line, where the header of a further literal may stand.
#include "imapd/session/reader.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "imapd/session/parser.h"

#include <algorithm>

namespace tambo::imap {

namespace {

// Longest literal header that is understood: "{18446744073709551615+}".
constexpr size_t kHeaderBytes = 24;
constexpr size_t kKeepBuffer = 512;

} // namespace

bool find_literal_header(std::string_view line, LiteralHeader& header) {
    if (!line.ends_with('}')) return false;
    line.remove_suffix(1);
    const bool plus = line.ends_with('+');
    if (plus) line.remove_suffix(1);
    const auto brace = line.rfind('{');
    if (brace == std::string_view::npos) return false;
    const auto digits = line.substr(brace + 1);
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return false;
    header.size = parse_uint(digits, INT64_MAX).value_or(UINT64_MAX);
    header.synchronising = !plus;
    return true;
}

void CommandReader::reset() {
    text_.clear();
    if (text_.capacity() > kKeepBuffer) text_.shrink_to_fit();
    tag_.clear();
    line_start_ = line_bytes_ = skipped_ = literal_bytes_ = 0;
    literals_ = 0;
    left_ = 0;
    refused_ = message_waits_ = message_taken_ = false;
    code_ = reason_ = "";
    state_ = State::line;
}

CommandReader::Event CommandReader::feed(std::string_view& input) {
    while (!input.empty()) {
        const size_t take = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
        switch (state_) {
        case State::lost:
            return Event::hopeless;
        case State::line: {
            if (!take_line(input)) continue;
            const Event event = end_line();
            if (event != Event::more) return event;
            continue;
        }
        case State::literal:
            text_.append(input.substr(0, take));
            break;
        case State::skip:
            break;
        case State::message:
            data_ = input.substr(0, take);
            break;
        }
        input.remove_prefix(take);
        left_ -= take;
        const bool is_message = state_ == State::message;
        if (left_ == 0) state_ = State::line;
        if (is_message) return Event::data;
    }
    return state_ == State::lost ? Event::hopeless : Event::more;
}

// Moves bytes of the current line to text_; true: the line is complete, or lost.
bool CommandReader::take_line(std::string_view& input) {
    const auto lf = input.find('\n');
    const size_t count = lf == std::string_view::npos ? input.size() : lf + 1;
    const auto piece = input.substr(0, count);
    input.remove_prefix(count);
    // Which limit is met first does not depend on how the bytes are cut.
    const size_t line_room = limits_.line_bytes - std::min(line_bytes_, limits_.line_bytes);
    const size_t room = limits_.command_bytes - std::min(text_.size(), limits_.command_bytes);
    line_bytes_ += count;
    text_.append(piece);
    if (!refused_ && count > std::min(line_room, room)) {
        refuse("TOOBIG", room < line_room ? "command too long" : "line too long");
    }
    if (!refused_) return lf != std::string_view::npos;
    skipped_ += count;
    if (text_.size() > kHeaderBytes + 2) text_.erase(0, text_.size() - kHeaderBytes - 2);
    if (skipped_ <= limits_.command_bytes) return lf != std::string_view::npos;
    state_ = State::lost;
    return true;
}

CommandReader::Event CommandReader::end_line() {
    if (state_ == State::lost) return Event::hopeless;
    text_.pop_back();
    if (text_.size() > line_start_ && text_.back() == '\r') text_.pop_back();
    line_bytes_ = 0;
    if (raw_) return refused_ ? Event::refused : Event::command;
    const auto line = std::string_view(text_).substr(line_start_);
    if (text_.empty() && !refused_) return Event::more; // a stray empty line between commands
    note_tag();
    if (find_literal_header(line, literal_)) return on_literal();
    return refused_ ? Event::refused : Event::command;
}

CommandReader::Event CommandReader::on_literal() {
    ++literals_;
    if (refused_) return skip_literal();
    if (limits_.append && !message_taken_ && at_message()) {
        text_.append("\r\n");
        line_start_ = text_.size();
        message_waits_ = true;
        return Event::message;
    }
    if (message_taken_) {
        refuse("", "one message per APPEND"); // RFC 3502 is not announced
    } else if (literals_ > limits_.literals) {
        refuse("TOOBIG", "too many literals");
    } else if (literal_.size > limits_.literal_bytes - literal_bytes_ ||
               text_.size() + literal_.size > limits_.command_bytes) {
        refuse("TOOBIG", "literal too long");
    }
    if (refused_) return skip_literal();
    literal_bytes_ += static_cast<size_t>(literal_.size);
    text_.append("\r\n");
    text_.reserve(text_.size() + static_cast<size_t>(literal_.size));
    line_start_ = text_.size() + static_cast<size_t>(literal_.size);
    left_ = literal_.size;
    if (left_ > 0) state_ = State::literal;
    return literal_.synchronising ? Event::go_ahead : Event::more;
}

// RFC 7888 4: a refused non-synchronising literal is on its way and must be read.
CommandReader::Event CommandReader::skip_literal() {
    if (literal_.synchronising) return Event::refused;
    if (literal_.size > limits_.command_bytes - std::min(skipped_, limits_.command_bytes)) {
        state_ = State::lost;
        return Event::hopeless;
    }
    skipped_ += static_cast<size_t>(literal_.size);
    left_ = literal_.size;
    text_.clear();
    if (left_ > 0) state_ = State::skip;
    return Event::more;
}

void CommandReader::refuse(const char* code, const char* reason) {
    note_tag();
    refused_ = true;
    code_ = code;
    reason_ = reason;
    // What is kept of the line so far: where a literal header may begin.
    const size_t keep = kHeaderBytes + 2;
    text_.erase(0, std::max(line_start_, text_.size() - std::min(text_.size(), keep)));
    text_.shrink_to_fit();
    line_start_ = 0;
}

void CommandReader::note_tag() {
    if (refused_ || raw_ || !tag_.empty()) return;
    const auto tag = std::string_view(text_).substr(0, kTagBytes + 1);
    const size_t length = std::min(tag.find(' '), tag.size());
    if (length == 0 || length > kTagBytes) return;
    const auto candidate = tag.substr(0, length);
    if (std::all_of(candidate.begin(), candidate.end(), is_tag_char)) tag_ = candidate;
}

// Does the literal header that text_ ends in announce the message of APPEND, not its mailbox?
bool CommandReader::at_message() const {
    Parser in(text_);
    if (!in.try_tag() || !in.accept(' ') || !in.accept_word("APPEND") || !in.accept(' ')) {
        return false;
    }
    return in.try_astring().has_value() && in.accept(' ');
}

void CommandReader::take_message() {
    message_waits_ = false;
    message_taken_ = true;
    left_ = literal_.size;
    if (left_ > 0) state_ = State::message;
}

bool CommandReader::refuse_message() {
    if (literal_.synchronising) {
        reset();
        return true;
    }
    message_waits_ = false;
    const uint64_t size = literal_.size;
    refuse("", "");
    text_.clear();
    left_ = size;
    if (left_ > 0) state_ = State::skip;
    return false;
}

} // namespace tambo::imap
