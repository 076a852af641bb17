// See fetch.h. While output waits for the client, others may change the mailbox: entries are copied
// for a batch, and the view keeps numbers and texts of expunged messages good.
#include "imapd/session/fetch.h"

#include "common/base/text.h"
#include "common/mime/imap_text.h"
#include "common/mime/section.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace tambo::imap {

namespace {

using Kind = FetchItem::Kind;

constexpr uint32_t kPlainBatch = 1024;
constexpr uint32_t kBatch = 64;
constexpr uint32_t kSeenBatch = 16;        // marked as seen before their texts are sent
constexpr size_t kArenaBytes = 256 * 1024; // facts of a batch, then a smaller batch must do

constexpr std::string_view kNoEnvelope = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
constexpr std::string_view kNoBody = "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)";
constexpr std::string_view kNoStructure =
    "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)";

bool is_simple(Kind kind) {
    return kind == Kind::uid || kind == Kind::flags || kind == Kind::internal_date ||
           kind == Kind::rfc822_size;
}

bool is_structure(Kind kind) {
    return kind == Kind::envelope || kind == Kind::body_structure;
}

} // namespace

Fetch::Fetch(Session& session, std::vector<FetchItem> items, bool by_uid)
    : session_(session), items_(std::move(items)) {
    if (by_uid) {
        std::erase_if(items_, [](const FetchItem& item) { return item.kind == Kind::uid; });
        FetchItem uid;
        uid.kind = Kind::uid;
        items_.insert(items_.begin(), uid);
    }
    for (const FetchItem& item : items_) {
        lists_flags_ |= item.kind == Kind::flags;
        sets_seen_ |= !item.peek;
        if (is_structure(item.kind)) {
            wants_structure_ = true;
        } else if (from_index(item)) {
            wants_headers_ = true;
        } else {
            wants_text_ |= !is_simple(item.kind);
        }
    }
    sets_seen_ = sets_seen_ && !session.view().read_only() && !session.account().read_only();
}

// Fields of the message's own header that the index keeps.
bool Fetch::from_index(const FetchItem& item) const {
    const mime::Section& s = item.section;
    return item.kind == Kind::section && s.kind == mime::Section::Kind::header_fields &&
           s.path.empty() && std::all_of(s.fields.begin(), s.fields.end(), store::is_cached_header);
}

task<> Fetch::run(const std::vector<NumberRange>& numbers) {
    const bool simple = !wants_structure_ && !wants_headers_ && !wants_text_;
    for (const NumberRange& range : numbers) {
        if (simple) {
            co_await plain(range);
            continue;
        }
        for (uint32_t next = range.first; next <= range.last;) {
            const uint32_t most = sets_seen_ ? kSeenBatch : kBatch;
            const uint32_t count = std::min(most, range.last - next + 1);
            const uint32_t done = co_await batch(next, count);
            next += done;
            co_await session_.breathe();
        }
    }
}

// Nothing but what an entry has.
task<> Fetch::plain(NumberRange numbers) {
    std::string out;
    for (uint32_t next = numbers.first; next <= numbers.last;) {
        const uint32_t end = next + std::min(kPlainBatch, numbers.last - next + 1);
        out.clear();
        for (; next < end; ++next) {
            const store::Entry& entry = session_.view().at(next);
            cat_to(out, "* ");
            cat_to(out, next);
            cat_to(out, " FETCH (");
            for (const FetchItem& item : items_) {
                put_simple(out, item, entry);
                out.push_back(' ');
            }
            out.back() = ')';
            cat_to(out, "\r\n");
        }
        session_.io().put(out);
        if (session_.crowded()) co_await session_.io().flush();
        co_await session_.breathe();
    }
}

// Answers for some messages from first on, at most count; returns for how many.
task<uint32_t> Fetch::batch(uint32_t first, uint32_t count) {
    load(first, count);
    if (sets_seen_) mark_seen(first);
    arena_.clear();
    facts_.assign(entries_.size(), Facts{});
    if (wants_structure_) gather_structures();
    if (wants_headers_) gather_headers();
    if (entries_.empty()) throw No("UNAVAILABLE", "the index gave nothing");
    const auto found = static_cast<uint32_t>(entries_.size());
    for (uint32_t i = 0; i < found; ++i) {
        co_await message(first + i, i);
        if (session_.crowded()) co_await session_.io().flush();
        co_await session_.breathe();
    }
    co_return found;
}

void Fetch::load(uint32_t first, uint32_t count) {
    const store::View& view = session_.view();
    entries_.clear();
    for (uint32_t i = 0; i < count; ++i)
        entries_.push_back(view.at(first + i));
    marked_.assign(count, false);
}

// RFC 3501 6.4.5: the flag is set, and told, with the answer that shows the text. If it cannot be
// set (the disk is full) the text is shown all the same.
void Fetch::mark_seen(uint32_t first) {
    const store::View& view = session_.view();
    std::vector<uint32_t> uids;
    for (size_t i = 0; i < entries_.size(); ++i) {
        const bool seen = (entries_[i].flags & store::kSeen) != 0;
        if (seen || view.is_expunged(first + static_cast<uint32_t>(i))) continue;
        uids.push_back(entries_[i].uid);
        marked_[i] = true;
    }
    if (uids.empty()) return;
    store::FlagChange change;
    change.flags = store::kSeen;
    const auto outcome =
        session_.account().store_flags(session_.view().mailbox(), uids, change, session_.origin());
    for (size_t i = 0; i < entries_.size(); ++i) {
        entries_[i] = view.at(first + static_cast<uint32_t>(i));
        if (!outcome.ok()) marked_[i] = false;
    }
}

// Facts come in order; entries that find no room are left to the next batch.
void Fetch::gather_structures() {
    size_t index = 0;
    const auto take = [&](const store::Entry&, const store::FactsView& facts) {
        Facts& at = facts_[index++];
        const bool good = !facts.envelope.empty();
        damaged_ |= !good;
        at.envelope = arena_.size();
        arena_.append(good ? facts.envelope : kNoEnvelope);
        at.structure = arena_.size();
        arena_.append(good ? facts.bodystructure : kNoStructure);
        at.structure_end = arena_.size();
        return arena_.size() < kArenaBytes;
    };
    accepted(session_.account().read_facts(entries_, store::FactsPart::structure, take));
    entries_.resize(index);
}

void Fetch::gather_headers() {
    size_t index = 0;
    const auto take = [&](const store::Entry&, const store::FactsView& facts) {
        Facts& at = facts_[index++];
        at.header = arena_.size();
        arena_.append(facts.header);
        at.header_end = arena_.size();
        return arena_.size() < 2 * kArenaBytes;
    };
    accepted(session_.account().read_facts(entries_, store::FactsPart::text, take));
    entries_.resize(index);
}

std::string_view Fetch::arena(size_t begin, size_t end) const {
    return std::string_view(arena_).substr(begin, end - begin);
}

// ---- one message

task<> Fetch::message(uint32_t number, size_t index) {
    std::optional<Text> text;
    std::string out = cat("* ", number, " FETCH (");
    bool first = true;
    for (const FetchItem& item : items_) {
        if (!std::exchange(first, false)) out.push_back(' ');
        if (is_simple(item.kind)) {
            put_simple(out, item, entries_[index]);
        } else if (is_structure(item.kind) || item.kind == Kind::body) {
            put_facts(out, item, index, text);
        } else {
            cat_to(out, cat(fetch_label(item), ' '));
            session_.io().put(out);
            out.clear();
            co_await put_section(item, index, text);
            co_await session_.breathe(); // each may look through the whole text
        }
    }
    if (marked_[index] && !lists_flags_) {
        cat_to(out, " FLAGS ");
        put_flags_cached(out, entries_[index]);
    }
    cat_to(out, ")\r\n");
    session_.io().put(out);
}

void Fetch::put_simple(std::string& out, const FetchItem& item, const store::Entry& entry) {
    switch (item.kind) {
    case Kind::uid:
        cat_to(out, "UID ");
        cat_to(out, entry.uid);
        return;
    case Kind::flags:
        cat_to(out, "FLAGS ");
        put_flags_cached(out, entry);
        return;
    case Kind::internal_date:
        cat_to(out, cat("INTERNALDATE \"", format_imap(entry.internaldate()), '"'));
        return;
    default:
        cat_to(out, "RFC822.SIZE ");
        cat_to(out, entry.size);
        return;
    }
}

void Fetch::put_flags_cached(std::string& out, const store::Entry& entry) {
    const int key = entry.flags * 2 + (session_.view().is_recent(entry.uid) ? 1 : 0);
    if (key != flags_key_ || entry.keywords != flags_keywords_) {
        flags_text_.clear();
        session_.put_flags_of(flags_text_, entry);
        flags_key_ = key;
        flags_keywords_ = entry.keywords;
    }
    out.append(flags_text_);
}

void Fetch::put_facts(std::string& out,
                      const FetchItem& item,
                      size_t index,
                      std::optional<Text>& text) {
    const Facts& facts = facts_[index];
    if (item.kind == Kind::envelope) {
        cat_to(out, cat("ENVELOPE ", arena(facts.envelope, facts.structure)));
    } else if (item.kind == Kind::body_structure) {
        cat_to(out, cat("BODYSTRUCTURE ", arena(facts.structure, facts.structure_end)));
    } else if (open(entries_[index], text)) {
        const mime::MessageView view(text->bytes);
        cat_to(out, cat("BODY ", mime::body_text(view, structure_of(*text))));
    } else {
        cat_to(out, cat("BODY ", kNoBody));
    }
}

// ---- texts

// false: the message cannot be read.
bool Fetch::open(const store::Entry& entry, std::optional<Text>& text) {
    if (text) return true;
    auto opened = session_.account().open_message(entry);
    damaged_ |= !opened.ok();
    if (!opened.ok()) return false;
    text.emplace(Text{std::move(opened).value(), {}, std::nullopt});
    try {
        text->bytes = text->reader.text();
    } catch (const std::system_error&) {
        text.reset();
        damaged_ = true;
    }
    return text.has_value();
}

const mime::Structure& Fetch::structure_of(Text& text) {
    if (!text.structure) text.structure = mime::parse_structure(mime::MessageView(text.bytes));
    return *text.structure;
}

// The value of an item that is a string, as a literal or NIL.
task<> Fetch::put_section(const FetchItem& item, size_t index, std::optional<Text>& text) {
    std::string made;
    std::optional<std::string_view> bytes;
    mime::Section section = item.section;
    if (item.kind == Kind::rfc822_header) section.kind = mime::Section::Kind::header;
    if (item.kind == Kind::rfc822_text) section.kind = mime::Section::Kind::text;
    const bool whole = section.kind == mime::Section::Kind::all && section.path.empty();
    if (from_index(item)) {
        const auto kept = arena(facts_[index].header, facts_[index].header_end);
        made = mime::select_fields(mime::Header::parse(kept), kept, section.fields, false);
        made.append("\r\n");
        bytes = made;
    } else if (open(entries_[index], text)) {
        bytes = text->bytes;
        if (!whole) {
            const mime::MessageView view(text->bytes);
            auto found = mime::find_section(view, structure_of(*text), section);
            made = std::move(found.bytes);
            bytes = text->bytes.substr(found.range.begin, found.range.size());
            if (found.generated) bytes = made;
            if (!found.exists) bytes.reset();
        }
    }
    if (!bytes) {
        session_.io().put("NIL");
        co_return;
    }
    auto wanted = *bytes;
    if (item.partial) {
        const size_t skipped = std::min<size_t>(item.partial->offset, wanted.size());
        wanted = wanted.substr(skipped, item.partial->count);
    }
    co_await put_literal(wanted);
}

// NUL has no form in IMAP4rev1 (RFC 3501 9, CHAR8).
task<> Fetch::put_literal(std::string_view bytes) {
    constexpr size_t kPiece = 16 * 1024;
    session_.io().put(cat('{', bytes.size(), "}\r\n"));
    while (!bytes.empty()) {
        const auto piece = bytes.substr(0, kPiece);
        bytes.remove_prefix(piece.size());
        if (piece.find('\0') == std::string_view::npos) {
            session_.io().put(piece);
        } else {
            std::string clean(piece);
            std::replace(clean.begin(), clean.end(), '\0', '\x80');
            session_.io().put(clean);
        }
        if (session_.crowded()) co_await session_.io().flush();
    }
}

} // namespace tambo::imap
