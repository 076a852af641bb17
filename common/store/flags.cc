#include "common/store/flags.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <bit>
#include <utility>

namespace tambo::store {

namespace {

constexpr std::array<std::pair<Flag, std::string_view>, 5> kNames{{{kSeen, "\\Seen"},
                                                                   {kAnswered, "\\Answered"},
                                                                   {kFlagged, "\\Flagged"},
                                                                   {kDeleted, "\\Deleted"},
                                                                   {kDraft, "\\Draft"}}};

} // namespace

std::string_view flag_name(Flag flag) {
    for (const auto& [bit, name] : kNames) {
        if (bit == flag) return name;
    }
    return {};
}

std::optional<Flag> parse_flag(std::string_view name) {
    for (const auto& [bit, known] : kNames) {
        if (iequals(known, name)) return bit;
    }
    return std::nullopt;
}

bool Keywords::is_valid_name(std::string_view name) {
    if (name.empty() || name.size() > kNameBytesMax) return false;
    for (const char c : name) { // RFC 9051 9: atom-specials, and resp-specials
        if (is_ctl(c) || is_8bit(c) ||
            std::string_view(" (){%*\"\\]").find(c) != std::string_view::npos) {
            return false;
        }
    }
    return true;
}

std::optional<unsigned> Keywords::bit(std::string_view name) const {
    for (uint64_t left = used_; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        if (iequals(names_[bit], name)) return bit;
    }
    return std::nullopt;
}

std::vector<std::string> Keywords::names(uint64_t bits) const {
    std::vector<std::string> out;
    for (uint64_t left = bits & used_; left != 0; left &= left - 1) {
        out.push_back(names_[static_cast<unsigned>(std::countr_zero(left))]);
    }
    return out;
}

void Keywords::set(unsigned bit, std::string_view name) {
    check(bit < kMax && is_valid_name(name), "keyword bit or name");
    names_[bit] = name;
    used_ |= uint64_t{1} << bit;
}

void Keywords::clear(uint64_t bits) {
    for (uint64_t left = bits & used_; left != 0; left &= left - 1) {
        names_[static_cast<unsigned>(std::countr_zero(left))].clear();
    }
    used_ &= ~bits;
}

std::optional<unsigned> Keywords::free_bit() const {
    if (full()) return std::nullopt;
    return static_cast<unsigned>(std::countr_one(used_));
}

} // namespace tambo::store
