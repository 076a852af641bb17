// What the store knows about a message: the hot entry (in memory for every message of a loaded
// mailbox), the cold facts (computed once, kept as the bytes that FETCH sends), and its text.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "common/store/flags.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::store {

// One message in one mailbox: 40 bytes, in an array sorted by uid. COPY makes another entry with
// the same content.
struct Entry {
    uint32_t uid = 0;
    uint32_t content = 0;       // prefix, body and facts: Account::open_message, read_facts
    uint64_t modseq = 0;        // of the last change (RFC 7162)
    uint64_t keywords = 0;      // bits of Mailbox::keywords()
    int64_t internaldate_s = 0; // seconds since 1970
    uint32_t size = 0;          // RFC822.SIZE: prefix and body
    Flags flags = 0;

    UtcTime internaldate() const { return UtcTime::from_seconds(internaldate_s); }
};
static_assert(sizeof(Entry) == 40);

// The rarely wanted rest of an entry, read from disk on demand (Account::read_aux).
struct Aux {
    uint32_t uid = 0;
    UtcTime savedate;            // RFC 8514: when it came into this mailbox
    uint64_t created_modseq = 0; // modseq at which it appeared
    Id email_id;                 // RFC 8474 EMAILID; POP3's UIDL is its text
};

// Everything computed from a message's text, once, when it is filed. Texts are bytes ready for the
// wire or for searching; limits of common/base/limits.h have been applied by the parser.
struct MessageFacts {
    std::string envelope;      // what FETCH sends after "ENVELOPE ", RFC 9051 7.5.2
    std::string bodystructure; // what FETCH sends after "BODYSTRUCTURE "
    std::string header;        // the raw kCachedHeaders fields in message order, with their CRLFs
    // For SEARCH: decoded (RFC 2047), case-folded UTF-8; all addresses and display names of a
    // field.
    std::string from, to, cc, bcc, subject;
    std::optional<int64_t> sent_s; // Date field, seconds since 1970
};

// The same, as views that are valid only during the call that hands them out.
struct FactsView {
    std::string_view envelope, bodystructure;
    std::string_view header, from, to, cc, bcc, subject;
    std::optional<int64_t> sent_s;
};

// Which part of the facts a call needs.
enum class FactsPart {
    structure, // envelope, bodystructure, sent_s
    text,      // header, from, to, cc, bcc, subject, sent_s
};

// Computes the facts of a whole message (prefix and body in one piece): imapd/session/facts.h. A
// change of what it produces comes with a higher version: older facts are computed anew when read.
struct FactsParser {
    MessageFacts (*parse)(std::string_view message) = nullptr;
    uint32_t version = 0;
};

// HEADER.FIELDS requests for a subset of these are answered from MessageFacts::header.
inline constexpr std::array<std::string_view, 20> kCachedHeaders{
    "From",         "To",
    "Cc",           "Bcc",
    "Reply-To",     "Sender",
    "Subject",      "Date",
    "Message-ID",   "In-Reply-To",
    "References",   "Newsgroups",
    "Priority",     "X-Priority",
    "Importance",   "MIME-Version",
    "Content-Type", "Content-Transfer-Encoding",
    "List-Id",      "List-Unsubscribe"};
// Field name in any case.
bool is_cached_header(std::string_view field_name);

// The text of one message: prefix (what we added, kept in the index) followed by the body file.
// Holds an open descriptor, so that the text stays readable when the message is expunged.
class MessageReader {
  public:
    MessageReader(std::string prefix, UniqueFd body, uint64_t body_bytes);
    ~MessageReader();
    MessageReader(MessageReader&&) noexcept;
    MessageReader& operator=(MessageReader&&) noexcept;

    uint64_t size() const { return prefix_.size() + body_bytes_; }
    std::string_view prefix() const { return prefix_; }
    int body_fd() const { return body_.get(); }
    // Copies up to count bytes from offset; fewer only at the end. Throws std::system_error.
    size_t read(uint64_t offset, char* out, size_t count) const;
    // Appends the range to out (clipped to the message). Throws std::system_error.
    void append_to(std::string& out, uint64_t offset, uint64_t count) const;
    // The whole message in one piece: small ones are read, large ones mapped without a copy. The
    // view lives as long as the reader is not moved or destroyed. Throws std::system_error.
    std::string_view text();

  private:
    struct Mapping;
    std::string prefix_;
    UniqueFd body_;
    uint64_t body_bytes_ = 0;
    std::string whole_; // of a small message
    bool read_ = false;
    std::unique_ptr<Mapping> mapping_;
};

} // namespace tambo::store
