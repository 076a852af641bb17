// Opening, loading and folding. Deltas are the truth until they are folded: loading reads the
// blocks and replays them; folding writes the blocks that differ and deletes the deltas in one
// transaction.
#include "common/store/index.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/store/layout.h"
#include "common/store/mailbox_editor.h"

#include <algorithm>
#include <array>

namespace tambo::store {

namespace {

struct Default {
    std::string_view name;
    uint8_t special_use;
};

// RFC 6154; the names that clients expect (RULES.md Q15).
constexpr std::array<Default, 6> kDefaults{{{"INBOX", 0},
                                            {"Archive", kUseArchive},
                                            {"Drafts", kUseDrafts},
                                            {"Junk", kUseJunk},
                                            {"Sent", kUseSent},
                                            {"Trash", kUseTrash}}};

db::OpenOptions open_options(const Options& options) {
    db::OpenOptions out;
    out.create = !options.read_only;
    out.read_only = options.read_only;
    out.busy_timeout_ms = options.busy_wait_ms;
    return out;
}

Row read_row(const db::Statement& statement) {
    Row row;
    const auto u32 = [&](int column) { return static_cast<uint32_t>(statement.integer(column)); };
    row.id = u32(0);
    row.name = statement.text(1);
    row.noselect = statement.is_null(2);
    row.status.mailbox_id = statement.id(2);
    row.special_use = static_cast<uint8_t>(statement.integer(3));
    row.status.uidvalidity = u32(4);
    row.status.uidnext = u32(5);
    row.uid_reserved = u32(6);
    row.status.messages = u32(7);
    row.status.unseen = u32(8);
    row.status.deleted = u32(9);
    row.status.recent = u32(10);
    row.status.recent_uid = u32(11);
    row.status.bytes = static_cast<uint64_t>(statement.integer(12));
    row.status.highestmodseq = static_cast<uint64_t>(statement.integer(13));
    row.status.tombstone_floor = static_cast<uint64_t>(statement.integer(14));
    return row;
}

} // namespace

void throw_corrupt(const db::Database& database, std::string_view what) {
    throw db::DbError(db::DbError::Kind::corrupt, 0, cat(database.path(), ": ", what));
}

Index::Index(const std::string& dir, int account_dir, const Options& options)
    : options_(options), account_dir_(account_dir),
      db_(cat(dir, '/', kIndexFile), kSchema, open_options(options)) {
    if (!db_.integer("SELECT id FROM account")) make_account();
    read_account();
    read_rows();
    read_delta_sizes();
    const auto last = db_.integer("SELECT max(id) FROM content").value_or(0);
    content_next = std::max(content_next, static_cast<uint32_t>(last) + 1);
}

void Index::make_account() {
    if (options_.read_only) throw_corrupt(db_, "no account in it");
    db::Transaction transaction(db_, db::Sync::full);
    // Seeded with the time so that an index made anew after a loss starts above the old one; from
    // then on a counter (RULES.md R16).
    const auto seed = static_cast<uint32_t>(std::max<int64_t>(now().seconds(), 1));
    db_.run("INSERT INTO account VALUES(1, ?, ?, 0, ?, 1, 1, 1, ?)", options_.new_id(),
            options_.epoch, seed, now().ms);
    transaction.commit();
}

void Index::read_account() {
    db::Statement row = db_.prepare("SELECT account_id, epoch, clean, uidvalidity_next, "
                                    "modseq_floor, modseq_reserved, content_next FROM account");
    if (!row.step()) throw_corrupt(db_, "no account in it");
    account_id_ = row.id(0);
    epoch_ = static_cast<uint32_t>(row.integer(1));
    clean_ = row.integer(2) != 0;
    uidvalidity_next_ = static_cast<uint32_t>(row.integer(3));
    modseq = static_cast<uint64_t>(row.integer(4));
    modseq_reserved = static_cast<uint64_t>(row.integer(5));
    content_next = static_cast<uint32_t>(row.integer(6));
}

void Index::read_rows() {
    db::Statement rows = db_.prepare(
        "SELECT id, name, mailbox_id, special_use, uidvalidity, uidnext, uid_reserved, messages, "
        "unseen, deleted, recent, recent_uid, bytes, highestmodseq, tombstone_floor FROM mailbox");
    while (rows.step()) {
        auto row = std::make_unique<Row>(read_row(rows));
        modseq = std::max(modseq, row->status.highestmodseq);
        usage.bytes += row->status.bytes;
        usage.messages += row->status.messages;
        const std::string name = row->name;
        rows_.emplace(name, std::move(row));
    }
    db::Statement subscribed = db_.prepare("SELECT name FROM subscription");
    while (subscribed.step())
        subscribed_.emplace(subscribed.text(0));
}

void Index::read_delta_sizes() {
    std::map<uint32_t, Row*> by_id;
    for (const auto& [name, row] : rows_)
        by_id.emplace(row->id, row.get());
    db::Statement deltas = db_.prepare("SELECT id >> 32, count(*), max(id), sum(length(data)) "
                                       "FROM delta GROUP BY 1");
    while (deltas.step()) {
        const auto found = by_id.find(static_cast<uint32_t>(deltas.integer(0)));
        if (found == by_id.end()) throw_corrupt(db_, "a change of no mailbox");
        Row& row = *found->second;
        row.deltas = static_cast<uint32_t>(deltas.integer(1));
        row.delta_next = static_cast<uint32_t>(deltas.integer(2)) + 1;
        row.delta_bytes = static_cast<uint64_t>(deltas.integer(3));
    }
}

Row* Index::find(std::string_view name) {
    const auto found = rows_.find(name);
    return found == rows_.end() ? nullptr : found->second.get();
}

const Row* Index::find(std::string_view name) const {
    const auto found = rows_.find(name);
    return found == rows_.end() ? nullptr : found->second.get();
}

std::vector<std::string> Index::subscriptions() const {
    return {subscribed_.begin(), subscribed_.end()};
}

void Index::set_subscribed(const std::string& name, bool subscribed) {
    db::Transaction transaction(db_, db::Sync::full);
    mark_dirty();
    if (subscribed) {
        db_.run("INSERT OR IGNORE INTO subscription VALUES(?)", name);
    } else {
        db_.run("DELETE FROM subscription WHERE name=?", name);
    }
    transaction.commit();
    if (subscribed) {
        subscribed_.insert(name);
    } else {
        subscribed_.erase(name);
    }
}

bool Index::has_children(std::string_view name) const {
    const auto next = rows_.lower_bound(cat(name, '/'));
    return next != rows_.end() && next->first.size() > name.size() &&
           next->first.starts_with(cat(name, '/'));
}

void Index::take_epoch() {
    if (epoch_ == options_.epoch || options_.read_only) return;
    if (!clean_) {
        const auto problems = db_.check_integrity(false);
        if (!problems.empty()) throw_corrupt(db_, problems.front());
    }
    db::Transaction transaction(db_, db::Sync::full);
    modseq = std::max(modseq, modseq_reserved);
    modseq_reserved = modseq;
    for (const auto& [name, row] : rows_) {
        if (row->noselect) continue;
        MailboxStatus& status = row->status;
        status.uidnext = std::max(status.uidnext, row->uid_reserved);
        row->uid_reserved = status.uidnext;
        // Messages whose filing was lost may have been shown: who resynchronises compares uids.
        status.highestmodseq = status.tombstone_floor = modseq;
        update_row(*row, status, row->uid_reserved);
    }
    epoch_ = options_.epoch;
    save_counters();
    transaction.commit();
}

void Index::renew_uidvalidities() {
    db::Transaction transaction(db_, db::Sync::full);
    mark_dirty();
    const auto seconds = static_cast<uint32_t>(std::max<int64_t>(now().seconds(), 1));
    uidvalidity_next_ = std::max(uidvalidity_next_, seconds);
    for (const auto& [name, row] : rows_) {
        if (row->noselect) continue;
        row->status.uidvalidity = next_uidvalidity();
        db_.run("UPDATE mailbox SET uidvalidity=? WHERE id=?", row->status.uidvalidity, row->id);
    }
    transaction.commit();
}

void Index::make_defaults() {
    if (find("INBOX") || options_.read_only) return;
    db::Transaction transaction(db_, db::Sync::full);
    Rows made;
    for (const auto& [name, special_use] : kDefaults) {
        auto row = std::make_unique<Row>();
        row->name = name;
        row->special_use = special_use;
        row->status.uidvalidity = next_uidvalidity();
        row->status.mailbox_id = options_.new_id();
        insert_row(*row);
        db_.run("INSERT OR IGNORE INTO subscription VALUES(?)", name);
        made.emplace(std::string(name), std::move(row));
    }
    save_counters();
    transaction.commit();
    for (const auto& [name, row] : made)
        subscribed_.insert(name);
    rows_.merge(made);
}

std::shared_ptr<LoadedMailbox> Index::load(Row& row) {
    if (auto loaded = row.loaded.lock()) return loaded;
    auto mailbox = std::make_shared<LoadedMailbox>(row, read_keywords(row.id));
    db::Statement blocks =
        db_.prepare("SELECT block.id, block.data, state.data FROM block JOIN state USING(id) "
                    "WHERE id BETWEEN ? AND ? ORDER BY id");
    blocks.bind_all(block_id(row.id, 0), block_id(row.id, UINT32_MAX));
    while (blocks.step()) {
        const auto key = static_cast<uint32_t>(blocks.integer(0));
        if (!mailbox->load_block(key, blocks.blob(1), blocks.blob(2))) {
            throw_corrupt(db_, cat("a block of ", escape(row.name)));
        }
    }
    db::Statement deltas =
        db_.prepare("SELECT data FROM delta WHERE id BETWEEN ? AND ? ORDER BY id");
    deltas.bind_all(block_id(row.id, 0), block_id(row.id, UINT32_MAX));
    Delta delta;
    while (deltas.step()) {
        if (!decode_delta(deltas.blob(0), delta) || !mailbox->apply(delta)) {
            throw_corrupt(db_, cat("a change of ", escape(row.name)));
        }
    }
    row.loaded = mailbox;
    return mailbox;
}

Keywords Index::read_keywords(uint32_t mailbox) {
    Keywords keywords;
    db::Statement names = db_.prepare("SELECT bit, name FROM keyword WHERE mailbox=?");
    names.bind_all(mailbox);
    while (names.step()) {
        const auto bit = static_cast<uint64_t>(names.integer(0));
        if (bit >= Keywords::kMax || !Keywords::is_valid_name(names.text(1))) {
            throw_corrupt(db_, "a keyword");
        }
        keywords.set(static_cast<unsigned>(bit), names.text(1));
    }
    return keywords;
}

std::string Index::encode_aux_of(const LoadedMailbox& mailbox,
                                 const Block& block,
                                 std::span<const Entry> entries) {
    std::vector<Aux> known;
    const auto add_from_disk = [&](uint32_t key) {
        db::Statement old = db_.prepare("SELECT data FROM aux WHERE id=?");
        old.bind_all(block_id(mailbox.row_id(), key));
        if (old.step() && !decode_aux(old.blob(0), known)) throw_corrupt(db_, "aux of a block");
    };
    add_from_disk(block.key);
    for (const uint32_t key : block.absorbed)
        add_from_disk(key);
    const auto below = [](const Aux& aux, uint32_t uid) { return aux.uid < uid; };
    const auto& fresh = mailbox.fresh_aux();
    const auto from = std::lower_bound(fresh.begin(), fresh.end(), entries.front().uid, below);
    const auto to = std::lower_bound(from, fresh.end(), entries.back().uid + 1, below);
    known.insert(known.end(), from, to);
    std::sort(known.begin(), known.end(), [](const Aux& a, const Aux& b) { return a.uid < b.uid; });
    std::erase_if(known, [&](const Aux& aux) {
        const auto found =
            std::lower_bound(entries.begin(), entries.end(), aux.uid,
                             [](const Entry& entry, uint32_t uid) { return entry.uid < uid; });
        return found == entries.end() || found->uid != aux.uid;
    });
    return encode_aux(known);
}

void Index::write_block(LoadedMailbox& mailbox,
                        const Block& block,
                        std::span<const Entry> entries) {
    const int64_t id = block_id(mailbox.row_id(), block.key);
    if (block.entries_changed && !entries.empty()) {
        const std::string aux = encode_aux_of(mailbox, block, entries);
        db_.run("INSERT OR REPLACE INTO aux VALUES(?, ?)", id, db::Blob{aux});
        const std::string data = encode_block(entries);
        db_.run("INSERT OR REPLACE INTO block VALUES(?, ?)", id, db::Blob{data});
    }
    if (block.state_changed && !entries.empty()) {
        const std::string state = encode_state(entries);
        db_.run("INSERT OR REPLACE INTO state VALUES(?, ?)", id, db::Blob{state});
    }
    std::vector<uint32_t> gone = block.absorbed;
    if (entries.empty()) gone.push_back(block.key);
    for (const uint32_t key : gone) {
        db_.run("DELETE FROM block WHERE id=?", block_id(mailbox.row_id(), key));
        db_.run("DELETE FROM state WHERE id=?", block_id(mailbox.row_id(), key));
        db_.run("DELETE FROM aux WHERE id=?", block_id(mailbox.row_id(), key));
    }
}

void Index::fold(LoadedMailbox& mailbox) {
    Row& row = mailbox.row();
    if (row.deltas == 0) return;
    mailbox.merge_blocks();
    db::Transaction transaction(db_, db::Sync::normal);
    mark_dirty();
    size_t start = 0;
    for (const Block& block : mailbox.blocks()) {
        write_block(mailbox, block, mailbox.entries().subspan(start, block.count));
        start += block.count;
    }
    if (start != mailbox.entries().size()) throw_corrupt(db_, "blocks miss entries");
    db_.run("DELETE FROM delta WHERE id BETWEEN ? AND ?", block_id(row.id, 0),
            block_id(row.id, UINT32_MAX));
    transaction.commit();
    mailbox.folded();
    row.deltas = 0;
    row.delta_bytes = 0;
    row.delta_next = 1;
}

void Index::insert_row(Row& row) {
    row.id = static_cast<uint32_t>(db_.integer("SELECT max(id) FROM mailbox").value_or(0) + 1);
    row.status.highestmodseq = std::max(row.status.highestmodseq, modseq);
    const MailboxStatus& s = row.status;
    db_.run("INSERT INTO mailbox VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row.id,
            row.name, row.noselect ? std::optional<Id>() : std::optional<Id>(s.mailbox_id),
            row.special_use, s.uidvalidity, s.uidnext, row.uid_reserved, s.messages, s.unseen,
            s.deleted, s.recent, s.recent_uid, static_cast<int64_t>(s.bytes),
            static_cast<int64_t>(s.highestmodseq), static_cast<int64_t>(s.tombstone_floor));
}

void Index::update_row(const Row& row, const MailboxStatus& s, uint32_t uid_reserved) {
    db_.run("UPDATE mailbox SET uidnext=?, uid_reserved=?, messages=?, unseen=?, deleted=?, "
            "recent=?, recent_uid=?, bytes=?, highestmodseq=?, tombstone_floor=? WHERE id=?",
            s.uidnext, uid_reserved, s.messages, s.unseen, s.deleted, s.recent, s.recent_uid,
            static_cast<int64_t>(s.bytes), static_cast<int64_t>(s.highestmodseq),
            static_cast<int64_t>(s.tombstone_floor), row.id);
}

void Index::erase_messages(uint32_t mailbox) {
    const int64_t from = block_id(mailbox, 0), to = block_id(mailbox, UINT32_MAX);
    db_.run("DELETE FROM block WHERE id BETWEEN ? AND ?", from, to);
    db_.run("DELETE FROM state WHERE id BETWEEN ? AND ?", from, to);
    db_.run("DELETE FROM aux WHERE id BETWEEN ? AND ?", from, to);
    db_.run("DELETE FROM delta WHERE id BETWEEN ? AND ?", from, to);
    db_.run("DELETE FROM keyword WHERE mailbox=?", mailbox);
    db_.run("DELETE FROM tombstone WHERE mailbox=?", mailbox);
}

void Index::erase_row(uint32_t mailbox) {
    db_.run("DELETE FROM mailbox WHERE id=?", mailbox);
}

void Index::rename_row(const Row& row, const std::string& name) {
    db_.run("UPDATE mailbox SET name=? WHERE id=?", name, row.id);
}

uint32_t Index::next_uidvalidity() {
    const uint32_t validity = uidvalidity_next_++;
    db_.run("UPDATE account SET uidvalidity_next=?", uidvalidity_next_);
    return validity;
}

void Index::mark_dirty() {
    if (!clean_) return;
    db_.run("UPDATE account SET clean=0");
    clean_ = false;
}

void Index::save_counters() {
    db_.run("UPDATE account SET epoch=?, clean=0, modseq_floor=?, modseq_reserved=?, "
            "content_next=?",
            epoch_, static_cast<int64_t>(modseq), static_cast<int64_t>(modseq_reserved),
            content_next);
    clean_ = false;
}

void Index::close() {
    bool unsaved = false;
    for (const auto& [name, row] : rows_)
        unsaved |= row->unsaved;
    if (clean_ && !unsaved) return;
    db::Transaction transaction(db_, db::Sync::normal);
    for (const auto& [name, row] : rows_) {
        if (row->unsaved) update_row(*row, row->status, row->uid_reserved);
        row->unsaved = false;
    }
    db_.run("UPDATE account SET clean=1");
    transaction.commit();
    clean_ = true;
}

} // namespace tambo::store
