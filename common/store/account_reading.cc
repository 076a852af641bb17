// Reading messages and their facts.
#include "common/base/check.h"
#include "common/store/sqlite_account.h"

#include <algorithm>

namespace tambo::store {

namespace {

constexpr size_t kFactsKeptAtOnce = 64; // computed facts in one transaction
constexpr std::string_view kReadStructure =
    "SELECT facts_version, sent_s, envelope, bodystructure, id FROM content WHERE id>=?";
constexpr std::string_view kReadText =
    "SELECT facts_version, sent_s, header, sender, recipient, cc, bcc, subject, content.id "
    "FROM content LEFT JOIN content_text USING(id) WHERE content.id>=?";

FactsView view_of(const MessageFacts& facts) {
    return {facts.envelope, facts.bodystructure, facts.header,  facts.from,  facts.to,
            facts.cc,       facts.bcc,           facts.subject, facts.sent_s};
}

FactsView view_of(const db::Statement& row, FactsPart part) {
    FactsView view;
    if (!row.is_null(1)) view.sent_s = row.integer(1);
    if (part == FactsPart::structure) {
        view.envelope = row.text(2);
        view.bodystructure = row.text(3);
    } else {
        view.header = row.text(2);
        view.from = row.text(3);
        view.to = row.text(4);
        view.cc = row.text(5);
        view.bcc = row.text(6);
        view.subject = row.text(7);
    }
    return view;
}

// Rows of contents by number: neighbours, as most messages of a mailbox are, are stepped to instead
// of looked up, which is three times as fast.
class FactsRows {
  public:
    FactsRows(db::Database& database, FactsPart part)
        : row_(database.prepare(part == FactsPart::structure ? kReadStructure : kReadText)),
          id_column_(part == FactsPart::structure ? 4 : 8) {}

    // The row of this content; nullptr if there is none. Valid until the next call.
    const db::Statement* find(uint32_t content) {
        for (int steps = 0; at_ < content && at_ != 0 && steps < kStepsMax; ++steps)
            step();
        if (at_ < content || (at_ > content && before_ >= content)) {
            row_.reset();
            row_.bind_all(content);
            before_ = content - 1;
            step();
        }
        return at_ == content ? &row_ : nullptr;
    }
    // Gives the row up: the database may be written to.
    void release() {
        row_.reset();
        at_ = 0;
    }

  private:
    static constexpr int kStepsMax = 4;
    void step() {
        if (at_ != 0) before_ = at_;
        at_ = row_.step() ? static_cast<uint64_t>(row_.integer(id_column_)) : kEnd;
    }

    static constexpr uint64_t kEnd = UINT64_MAX;
    db::Statement row_;
    int id_column_;
    uint64_t at_ = 0, before_ = 0; // the row it stands on, and one below it; 0: on none
};

} // namespace

Outcome<MessageReader> SqliteAccount::open_message(const Entry& entry) {
    return reading([&]() -> Outcome<MessageReader> {
        auto content = read_content(index_, entry.content);
        if (!content) return Err{Refusal::no_body};
        auto reader = open_content(index_, std::move(*content));
        if (!reader) return Err{Refusal::no_body};
        return std::move(*reader);
    });
}

MessageFacts SqliteAccount::compute_facts(uint32_t content, bool& readable) {
    auto row = read_content(index_, content);
    auto reader = row ? open_content(index_, std::move(*row)) : std::nullopt;
    readable = reader.has_value();
    return reader ? index_.options().facts.parse(reader->text()) : MessageFacts{};
}

void SqliteAccount::keep_facts(std::vector<Facts>& computed) {
    if (!computed.empty() && !read_only()) {
        db::Transaction transaction(index_.db(), db::Sync::normal);
        index_.mark_dirty();
        for (const Facts& one : computed) {
            update_facts(index_, one.content, one.facts, index_.options().facts.version);
        }
        transaction.commit();
    }
    computed.clear();
}

Outcome<Done>
SqliteAccount::read_facts(std::span<const Entry> entries,
                          FactsPart part,
                          const std::function<bool(const Entry&, const FactsView&)>& sink) {
    return reading([&]() -> Outcome<Done> {
        const FactsParser& parser = index_.options().facts;
        std::vector<Facts> computed;
        FactsRows rows(index_.db(), part);
        for (const Entry& entry : entries) {
            const db::Statement* row = rows.find(entry.content);
            bool more = false;
            if (row && (!parser.parse || row->integer(0) >= int64_t{parser.version})) {
                more = sink(entry, view_of(*row, part));
            } else {
                bool readable = false;
                MessageFacts facts =
                    row && parser.parse ? compute_facts(entry.content, readable) : MessageFacts{};
                more = sink(entry, view_of(facts));
                if (readable) computed.push_back(Facts{entry.content, std::move(facts)});
            }
            if (!more) break;
            if (computed.size() < kFactsKeptAtOnce) continue;
            rows.release();
            keep_facts(computed);
        }
        rows.release();
        keep_facts(computed);
        return Done{};
    });
}

Outcome<std::vector<Aux>> SqliteAccount::read_aux(const Mailbox& mailbox,
                                                  std::optional<std::span<const uint32_t>> uids) {
    return reading([&]() -> Outcome<std::vector<Aux>> {
        if (mailbox.is_deleted()) return Err{Refusal::nonexistent};
        const auto& loaded = static_cast<const LoadedMailbox&>(mailbox);
        std::vector<Aux> all;
        db::Statement rows =
            index_.db().prepare("SELECT data FROM aux WHERE id BETWEEN ? AND ? ORDER BY id");
        rows.bind_all(block_id(loaded.row_id(), 0), block_id(loaded.row_id(), UINT32_MAX));
        while (rows.step()) {
            if (!decode_aux(rows.blob(0), all)) throw_corrupt(index_.db(), "aux of a block");
        }
        all.insert(all.end(), loaded.fresh_aux().begin(), loaded.fresh_aux().end());
        std::erase_if(all, [&](const Aux& aux) {
            return !mailbox.find(aux.uid) ||
                   (uids && !std::binary_search(uids->begin(), uids->end(), aux.uid));
        });
        return all;
    });
}

Outcome<std::optional<std::vector<uint32_t>>> SqliteAccount::vanished_since(const Mailbox& mailbox,
                                                                            uint64_t modseq) {
    return reading([&]() -> Outcome<std::optional<std::vector<uint32_t>>> {
        if (mailbox.is_deleted()) return Err{Refusal::nonexistent};
        std::optional<std::vector<uint32_t>> uids;
        if (modseq < mailbox.status().tombstone_floor) return uids;
        uids.emplace();
        std::vector<Tombstone> tombstones;
        db::Statement rows =
            index_.db().prepare("SELECT data FROM tombstone WHERE mailbox=? AND modseq>?");
        rows.bind_all(static_cast<const LoadedMailbox&>(mailbox).row_id(),
                      static_cast<int64_t>(modseq));
        while (rows.step()) {
            if (!decode_tombstones(rows.blob(0), tombstones)) {
                throw_corrupt(index_.db(), "tombstones");
            }
        }
        for (const Tombstone& tombstone : tombstones)
            uids->push_back(tombstone.uid);
        std::sort(uids->begin(), uids->end());
        return uids;
    });
}

} // namespace tambo::store
