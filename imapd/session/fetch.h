// The answer to FETCH: which messages, which items, written with flow control. What the index knows
// (flags, sizes, envelopes, usual header fields) is taken from it for a batch of messages at a
// time; a message's text is opened only for what needs it, and is never copied as a whole.
#pragma once

#include "common/event/task.h"
#include "common/mime/structure.h"
#include "common/store/account.h"
#include "imapd/session/fetch_items.h"
#include "imapd/session/sequence_set.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::imap {

class Session;

class Fetch {
  public:
    // by_uid: UID FETCH, every answer has the UID first. RFC 3501 6.4.8.
    Fetch(Session& session, std::vector<FetchItem> items, bool by_uid);

    // numbers: in the view. The session must outlive the run.
    task<> run(const std::vector<NumberRange>& numbers);
    // Some message, or part of its facts, could not be read; NIL stands for it.
    bool damaged() const { return damaged_; }

  private:
    // What one message of a batch got from the index, as offsets in arena_.
    struct Facts {
        size_t envelope = 0, structure = 0, structure_end = 0;
        size_t header = 0, header_end = 0;
    };
    // The text of the message being written.
    struct Text {
        store::MessageReader reader;
        std::string_view bytes;
        std::optional<mime::Structure> structure;
    };

    bool from_index(const FetchItem& item) const;
    task<> plain(NumberRange numbers);
    task<uint32_t> batch(uint32_t first, uint32_t count);
    void load(uint32_t first, uint32_t count);
    void mark_seen(uint32_t first);
    void gather_structures();
    void gather_headers();
    task<> message(uint32_t number, size_t index);
    task<> put_section(const FetchItem& item, size_t index, std::optional<Text>& text);
    task<> put_literal(std::string_view bytes);
    void put_simple(std::string& out, const FetchItem& item, const store::Entry& entry);
    void
    put_facts(std::string& out, const FetchItem& item, size_t index, std::optional<Text>& text);
    void put_flags_cached(std::string& out, const store::Entry& entry);
    std::string_view arena(size_t begin, size_t end) const;
    bool open(const store::Entry& entry, std::optional<Text>& text);
    const mime::Structure& structure_of(Text& text);

    Session& session_;
    std::vector<FetchItem> items_;
    bool wants_structure_ = false; // ENVELOPE, BODYSTRUCTURE
    bool wants_headers_ = false;   // fields that the index keeps
    bool wants_text_ = false;
    bool sets_seen_ = false;
    bool lists_flags_ = false;
    bool damaged_ = false;

    std::vector<store::Entry> entries_; // of the current batch
    std::vector<bool> marked_;          // \Seen was set for it just now
    std::vector<Facts> facts_;
    std::string arena_;

    // The flags written last: most messages have the same.
    std::string flags_text_;
    uint64_t flags_keywords_ = 0;
    int flags_key_ = -1;
};

} // namespace tambo::imap
