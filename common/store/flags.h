// Message flags: the five permanent system flags as bits, and the keywords of a mailbox as bits of
// a 64-bit word with a table of names. \Recent is not here: it belongs to a session (view.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

using Flags = uint8_t; // a set of Flag bits

enum Flag : Flags { // RFC 9051 2.3.2
    kSeen = 1,
    kAnswered = 2,
    kFlagged = 4,
    kDeleted = 8,
    kDraft = 16,
};
inline constexpr Flags kAllFlags = 31;

// What STORE does with the flags it names (RFC 9051 6.4.6): FLAGS, +FLAGS, -FLAGS.
enum class StoreMode : uint8_t { replace, add, remove };

// "\\Seen" etc. for one bit.
std::string_view flag_name(Flag flag);
// The bit of "\\seen" in any case; nullopt for everything else, "\\Recent" included.
std::optional<Flag> parse_flag(std::string_view name);

// Names of the keyword bits of one mailbox. Keywords compare ASCII case-insensitively and keep the
// spelling they were first used with (RFC 9051 2.3.2).
class Keywords {
  public:
    static constexpr size_t kMax = 64;
    static constexpr size_t kNameBytesMax = 128;

    // An IMAP flag-keyword: an atom of at most kNameBytesMax bytes (no leading backslash).
    static bool is_valid_name(std::string_view name);

    std::optional<unsigned> bit(std::string_view name) const;
    // "" for a bit that is not in use.
    const std::string& name(unsigned bit) const { return names_[bit]; }
    // The bits that have a name.
    uint64_t used() const { return used_; }
    bool full() const { return used_ == ~uint64_t{0}; }
    std::vector<std::string> names(uint64_t bits) const;

    // For the store alone.
    void set(unsigned bit, std::string_view name);
    void clear(uint64_t bits);
    std::optional<unsigned> free_bit() const;

  private:
    std::array<std::string, kMax> names_;
    uint64_t used_ = 0;
};

} // namespace tambo::store
