// Parser: a cursor over one complete command as CommandReader leaves it, with the tokens of
// RFC 3501 9. What a token cannot be read as ends in Bad; the try_ forms return nullopt instead and
// leave the cursor where it was.
#pragma once

#include "common/base/cursor.h"
#include "common/base/limits.h"
#include "common/base/time.h"
#include "common/store/flags.h"
#include "imapd/session/error.h"
#include "imapd/session/reader.h"
#include "imapd/session/sequence_set.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::imap {

// ATOM-CHAR, and ASTRING-CHAR with ']' besides. 8-bit bytes count as atom characters: clients send
// names and passwords that way, and what cannot be such a name is refused by whoever looks it up.
bool is_atom_char(char c);
bool is_astring_char(char c);
bool is_tag_char(char c);
// A longer tag is none: it is never repeated to the client.
inline constexpr size_t kTagBytes = 64;

// A mailbox name as a client wrote it.
struct MailboxName {
    std::string utf8;  // decoded, INBOX in upper case; empty if !valid
    bool valid = true; // canonical modified UTF-7 without controls
};

struct FlagList {
    store::Flags system = 0;           // store::Flag bits
    std::vector<std::string> keywords; // as written, without duplicates (in any case)
};

class Parser {
  public:
    // The command must outlive the parser and the views it returns.
    explicit Parser(std::string_view command, int nesting_max = limits::imap_nesting)
        : in_(command), nesting_left_(nesting_max) {}

    bool at_end() const { return in_.empty(); }
    char peek() const { return in_.peek(); }
    size_t position() const { return in_.position(); }
    std::string_view rest() const { return in_.rest(); }
    bool accept(char c) { return in_.accept(c); }
    // Consumes the longest run of bytes for which wanted(c) holds; may be empty.
    template <class Predicate>
    std::string_view take_while(Predicate wanted) {
        return in_.take_while(wanted);
    }
    // A whole atom, in any case.
    bool accept_word(std::string_view word);

    void space() { expect(' ', "a blank is missing"); }
    void expect(char c, const char* why);
    void end();
    // Counts a level of nesting; Bad beyond the limit. leave() takes one back.
    void enter();
    void leave() { ++nesting_left_; }

    std::optional<std::string_view> try_tag();
    std::string_view atom();
    std::optional<std::string> try_astring();
    std::string astring();
    // Quoted string or literal.
    std::string string();
    // NIL is nullopt.
    std::optional<std::string> nstring();
    uint32_t number();
    uint32_t nz_number();
    // RFC 9051 number64, for sizes.
    uint64_t number64();
    MailboxName mailbox();
    // list-mailbox: the pattern's bytes as written (modified UTF-7).
    std::string list_mailbox();
    SequenceSet sequence_set();
    // "(\Seen word)", or without parentheses as STORE allows. Bad for \Recent and unknown system
    // flags.
    FlagList flag_list();
    FlagList flags_of_store();
    // date of SEARCH, quoted or not: midnight UTC of that day.
    UtcTime date();
    // Quoted date-time of APPEND.
    UtcTime date_time();
    // The header of APPEND's message, with the line end behind it.
    LiteralHeader message_header();

  private:
    std::optional<std::string> try_quoted();
    std::optional<std::string> try_literal();
    void flag(FlagList& list);
    uint64_t digits(uint64_t max);

    Cursor in_;
    int nesting_left_;
};

// From the bytes on the wire. An invalid name is no error here: such a mailbox cannot exist.
MailboxName decode_mailbox(std::string_view wire);

} // namespace tambo::imap
