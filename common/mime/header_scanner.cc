// See header_scanner.h. One state per byte class; the long runs (values) go by memchr.
#include "common/mime/header_scanner.h"

#include "common/base/text.h"
#include "common/mime/lexer.h"

#include <algorithm>

namespace tambo::mime {

namespace {

struct Known {
    std::string_view name;
    Watched watched;
    uint32_t keep; // how many values are kept
    bool once;     // may occur once only: RFC 5322 3.6, RFC 2045 3
};

constexpr std::array kKnown{
    Known{"From", Watched::from, 2, true},
    Known{"Sender", Watched::sender, 2, true},
    Known{"Reply-To", Watched::reply_to, 0, true},
    Known{"To", Watched::to, 0, true},
    Known{"Cc", Watched::cc, 0, true},
    Known{"Bcc", Watched::bcc, 0, true},
    Known{"Subject", Watched::subject, 2, true},
    Known{"Date", Watched::date, 2, true},
    Known{"Message-ID", Watched::message_id, 2, true},
    Known{"In-Reply-To", Watched::in_reply_to, 0, true},
    Known{"References", Watched::references, 0, true},
    Known{"Received", Watched::received, 0, false},
    Known{"Delivered-To", Watched::delivered_to, UINT32_MAX, false},
    Known{"Return-Path", Watched::return_path, 0, false},
    Known{"Auto-Submitted", Watched::auto_submitted, 2, false},
    Known{"Authentication-Results", Watched::authentication_results, UINT32_MAX, false},
    Known{"MIME-Version", Watched::mime_version, 0, true},
    Known{"Content-Type", Watched::content_type, 2, true},
    Known{"Content-Transfer-Encoding", Watched::content_transfer_encoding, 2, true},
};
static_assert(kKnown.size() == static_cast<size_t>(Watched::none));

// What an entry itself costs, so that many empty fields are bounded too.
constexpr size_t kEntryBytes = sizeof(KeptField);

} // namespace

size_t HeaderScanner::feed(std::string_view chunk) {
    size_t taken = 0;
    while (status_ == Status::header && taken < chunk.size()) {
        if (bytes_ == limits::header_bytes_max || lines_ == limits::header_lines_max) {
            end_field();
            status_ = Status::too_large;
            break;
        }
        if (at_ == At::content) {
            const auto rest = chunk.substr(taken, limits::header_bytes_max - bytes_);
            taken += take_content(rest);
        } else {
            byte(chunk[taken++]);
        }
    }
    return taken;
}

void HeaderScanner::finish() {
    if (status_ != Status::header) return;
    if (last_cr_) flags_.bare_cr = true;
    if (at_ == At::name || at_ == At::name_blanks) flags_.malformed_line = true;
    line_begin_ = bytes_;
    end_field();
    status_ = Status::body;
}

std::vector<std::string_view> HeaderScanner::values(Watched name) const {
    std::vector<std::string_view> found;
    for (const KeptField& field : fields_) {
        if (field.name == name) found.push_back(field.value);
    }
    return found;
}

// One byte outside of values.
void HeaderScanner::byte(char c) {
    ++bytes_;
    if (last_cr_ && c != '\n') flags_.bare_cr = true;
    if (c == '\n' && !last_cr_) flags_.bare_lf = true;
    if (c == '\0') flags_.nul = true;
    if (is_8bit(c)) flags_.eight_bit = true;
    last_cr_ = c == '\r';
    const bool after_cr = at_ == At::line_start_cr;
    const bool at_start = at_ == At::line_start || after_cr;
    if (c == '\n' && at_start) {
        ++lines_;
        end_field();
        status_ = Status::body;
        return;
    }
    if (at_ == At::line_start && c == '\r') {
        at_ = At::line_start_cr;
        return;
    }
    if (at_ == At::line_start && is_wsp(c)) {
        if (!field_open_) flags_.malformed_line = true;
        if (keeping_) keep(std::string_view(&c, 1));
        at_ = At::content;
        return;
    }
    if (at_start) {
        end_field();
        name_size_ = 0;
        at_ = At::name;
    }
    name_byte(c, after_cr);
}

void HeaderScanner::name_byte(char c, bool after_cr) {
    const bool in_name = at_ == At::name && !after_cr && c > ' ' && c < 0x7f && c != ':';
    if (at_ == At::odd_name && c != '\n') {
        if (c != ':') return;
        flags_.control_in_name = true;
        at_ = At::content;
    } else if (in_name) {
        if (name_size_ < name_.size()) name_[name_size_] = c;
        ++name_size_;
    } else if (c == ':' && name_size_ > 0) {
        if (at_ == At::name_blanks) flags_.obsolete_name = true;
        start_field();
    } else if (is_wsp(c) && name_size_ > 0) {
        at_ = At::name_blanks;
    } else {
        flags_.malformed_line = true;
        field_open_ = true; // what folds behind it belongs to it
        at_ = is_ctl(c) && !is_fws(c) ? At::odd_name : At::content;
        if (c == '\n') end_line();
    }
}

void HeaderScanner::start_field() {
    field_open_ = true;
    at_ = At::content;
    if (name_size_ > name_.size()) return;
    const std::string_view name(name_.data(), name_size_);
    const auto known = std::find_if(kKnown.begin(), kKnown.end(),
                                    [&](const Known& k) { return iequals(k.name, name); });
    if (known == kKnown.end()) return;
    const uint32_t count = ++counts_[static_cast<size_t>(known->watched)];
    if (known->once && count > 1) flags_.repeated = true;
    if (count > known->keep) return;
    if (kept_bytes_ + kEntryBytes > limits::header_kept_bytes) {
        kept_incomplete_ = true;
        return;
    }
    kept_bytes_ += kEntryBytes;
    fields_.push_back({known->watched, {}, line_begin_, line_begin_, false});
    keeping_ = true;
}

void HeaderScanner::end_field() {
    if (keeping_) {
        KeptField& field = fields_.back();
        field.end = line_begin_;
        if (!field.truncated && field.value.ends_with('\n')) field.value.pop_back();
        if (!field.truncated && field.value.ends_with('\r')) field.value.pop_back();
    }
    keeping_ = false;
    field_open_ = false;
}

void HeaderScanner::end_line() {
    ++lines_;
    line_begin_ = bytes_;
    at_ = At::line_start;
}

void HeaderScanner::keep(std::string_view bytes) {
    const auto fitting = bytes.substr(0, limits::header_kept_bytes - kept_bytes_);
    fields_.back().value.append(fitting);
    kept_bytes_ += fitting.size();
    if (fitting.size() == bytes.size()) return;
    fields_.back().truncated = true;
    kept_incomplete_ = true;
}

// Takes what rest has of the current line; rest is not empty.
size_t HeaderScanner::take_content(std::string_view rest) {
    const size_t line_end = rest.find('\n');
    const bool ends = line_end != std::string_view::npos;
    const auto content = rest.substr(0, line_end);
    const auto taken = rest.substr(0, content.size() + ends);
    bytes_ += taken.size();
    if (keeping_) keep(taken);
    if (last_cr_ && !content.empty()) flags_.bare_cr = true;
    if (!content.empty()) {
        if (content.substr(0, content.size() - 1).find('\r') != std::string_view::npos) {
            flags_.bare_cr = true;
        }
        if (content.find('\0') != std::string_view::npos) flags_.nul = true;
        if (!is_ascii(content)) flags_.eight_bit = true;
        last_cr_ = content.back() == '\r';
    }
    if (!ends) return taken.size();
    if (!last_cr_) flags_.bare_lf = true;
    last_cr_ = false;
    end_line();
    return taken.size();
}

} // namespace tambo::mime
