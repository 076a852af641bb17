#include "common/store/checker.h"

#include "common/base/text.h"
#include "common/store/contents.h"
#include "common/store/mailbox_editor.h"
#include "common/store/work.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace tambo::store {

namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

std::unique_ptr<DIR, CloseDir> open_dir(int at, const std::string& path) {
    UniqueFd fd(::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    DIR* dir = fd ? ::fdopendir(fd.get()) : nullptr;
    if (!dir) throw std::system_error(errno, std::generic_category(), path);
    static_cast<void>(fd.release());
    return std::unique_ptr<DIR, CloseDir>(dir);
}

// Names in a directory without "." and "..".
std::vector<std::string> names_in(int at, const std::string& path) {
    std::vector<std::string> names;
    const auto dir = open_dir(at, path);
    while (const dirent* entry = ::readdir(dir.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    return names;
}

MailboxStatus counted(const Row& row, const LoadedMailbox& mailbox) {
    MailboxStatus status = row.status;
    status.messages = status.unseen = status.deleted = status.recent = 0;
    status.bytes = 0;
    for (const Entry& entry : mailbox.entries()) {
        ++status.messages;
        status.bytes += entry.size;
        if ((entry.flags & kSeen) == 0) ++status.unseen;
        if ((entry.flags & kDeleted) != 0) ++status.deleted;
        if (entry.uid >= status.recent_uid) ++status.recent;
        status.highestmodseq = std::max(status.highestmodseq, entry.modseq);
        if (entry.uid >= status.uidnext) status.uidnext = entry.uid + 1;
    }
    return status;
}

bool same_counters(const MailboxStatus& a, const MailboxStatus& b) {
    return a.messages == b.messages && a.unseen == b.unseen && a.deleted == b.deleted &&
           a.recent == b.recent && a.bytes == b.bytes && a.uidnext == b.uidnext &&
           a.highestmodseq == b.highestmodseq;
}

} // namespace

Checker::Checker(Index& index, const FsckOptions& options, FsckReport& report)
    : index_(index), options_(options), report_(report) {}

void Checker::add(FsckKind kind, std::string subject, bool repaired) {
    ++report_.findings_total;
    if (report_.findings.size() == kFsckFindingsMax) return;
    report_.findings.push_back(FsckFinding{kind, std::move(subject), repaired});
}

void Checker::run() {
    for (const auto& [name, row] : index_.rows()) {
        ++report_.mailboxes;
        if (!row->noselect) mailboxes_.push_back(index_.load(*row));
    }
    check_contents_exist();
    for (const auto& mailbox : mailboxes_)
        check_counters(mailbox->row(), *mailbox);
    check_references();
    check_bodies();
    check_files();
    if (options_.repair && options_.read_bodies) renew_facts();
    for (const auto& mailbox : mailboxes_)
        report_.messages += mailbox->entries().size();
}

void Checker::check_contents_exist() {
    for (const auto& mailbox : mailboxes_) {
        std::vector<uint32_t> invalid;
        for (uint32_t i = 0; i < mailbox->entries().size(); ++i) {
            const Entry& entry = mailbox->entries()[i];
            if (index_.db().integer("SELECT 1 FROM content WHERE id=?", entry.content)) continue;
            invalid.push_back(i);
            add(FsckKind::entry_invalid, cat(escape(mailbox->name()), " uid ", entry.uid),
                options_.repair);
        }
        if (invalid.empty() || !options_.repair) continue;
        Work work(index_, db::Sync::full, nullptr);
        work.expunge(*mailbox, std::move(invalid), false);
        work.commit();
    }
}

void Checker::check_counters(Row& row, const LoadedMailbox& mailbox) {
    const MailboxStatus status = counted(row, mailbox);
    if (same_counters(status, row.status)) return;
    add(FsckKind::counter_wrong, escape(row.name), options_.repair);
    if (!options_.repair) return;
    const uint32_t reserved = std::max(row.uid_reserved, status.uidnext);
    db::Transaction transaction(index_.db(), db::Sync::full);
    index_.update_row(row, status, reserved);
    transaction.commit();
    index_.usage.bytes += status.bytes - row.status.bytes;
    index_.usage.messages += uint64_t{status.messages} - row.status.messages;
    index_.modseq = std::max(index_.modseq, status.highestmodseq);
    row.status = status;
    row.uid_reserved = reserved;
    if (const auto loaded = row.loaded.lock()) MailboxEditor(*loaded).set_status(status);
}

void Checker::count_references() {
    references_.clear();
    for (const auto& mailbox : mailboxes_) {
        for (const Entry& entry : mailbox->entries())
            ++references_[entry.content];
    }
}

void Checker::check_references() {
    count_references();
    struct Found {
        uint32_t content;
        int64_t shared;
        bool dead;
    };
    std::vector<Found> all;
    {
        db::Statement rows =
            index_.db().prepare("SELECT content.id, shared.extra, dead.content FROM content "
                                "LEFT JOIN shared ON shared.content=content.id "
                                "LEFT JOIN dead ON dead.content=content.id");
        while (rows.step()) {
            all.push_back(
                Found{static_cast<uint32_t>(rows.integer(0)), rows.integer(1), !rows.is_null(2)});
        }
    }
    for (const Found& found : all) {
        const auto known = references_.find(found.content);
        const uint32_t references = known == references_.end() ? 0 : known->second;
        check_reference(found.content, references, found.shared, found.dead);
    }
}

void Checker::check_reference(uint32_t content, uint32_t references, int64_t shared, bool dead) {
    const int64_t extra = references > 1 ? int64_t{references} - 1 : 0;
    const bool must_be_dead = references == 0;
    if (shared == extra && dead == must_be_dead) return;
    add(FsckKind::reference_wrong, cat("content ", content), options_.repair);
    if (!options_.repair) return;
    db::Transaction transaction(index_.db(), db::Sync::full);
    index_.db().run("DELETE FROM shared WHERE content=?", content);
    if (extra > 0) index_.db().run("INSERT INTO shared VALUES(?, ?)", content, extra);
    if (must_be_dead) {
        index_.db().run("INSERT OR IGNORE INTO dead VALUES(?, ?)", content, index_.now().ms);
    } else {
        index_.db().run("DELETE FROM dead WHERE content=?", content);
    }
    transaction.commit();
}

void Checker::check_bodies() {
    std::vector<uint32_t> contents;
    {
        db::Statement rows = index_.db().prepare("SELECT id FROM content ORDER BY id");
        while (rows.step())
            contents.push_back(static_cast<uint32_t>(rows.integer(0)));
    }
    for (const uint32_t content : contents)
        check_body(content);
}

void Checker::check_body(uint32_t id) {
    const auto content = read_content(index_, id);
    if (!content) return; // went with an earlier repair
    known_bodies_.insert(content->body.text());
    if (!references_.contains(id)) return; // dead: the file may be gone already
    const std::string path = content->body.path();
    struct stat status {};
    const bool there =
        ::fstatat(index_.account_dir(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode);
    if (!there) {
        add(FsckKind::body_missing, content->body.text(), options_.repair);
        if (options_.repair) expunge_content(id, true);
        return;
    }
    ++report_.bodies;
    report_.body_bytes += static_cast<uint64_t>(status.st_size);
    if (static_cast<uint64_t>(status.st_size) == content->body_bytes) return;
    add(FsckKind::body_size_wrong, content->body.text(), options_.repair);
    if (options_.repair) resize_content(id, static_cast<uint64_t>(status.st_size));
}

void Checker::expunge_content(uint32_t content, bool drop) {
    for (const auto& mailbox : mailboxes_) {
        std::vector<uint32_t> indexes;
        for (uint32_t i = 0; i < mailbox->entries().size(); ++i) {
            if (mailbox->entries()[i].content == content) indexes.push_back(i);
        }
        if (indexes.empty()) continue;
        Work work(index_, db::Sync::full, nullptr);
        work.expunge(*mailbox, std::move(indexes), drop);
        work.commit();
    }
}

// A message under its uid never changes (RFC 9051 2.3.1.1): the right size needs a new one.
void Checker::resize_content(uint32_t content, uint64_t body_bytes) {
    const auto old = read_content(index_, content);
    const auto size =
        static_cast<uint32_t>(std::min<uint64_t>(body_bytes + old->prefix.size(), UINT32_MAX));
    for (const auto& mailbox : mailboxes_) {
        std::vector<uint32_t> indexes;
        for (uint32_t i = 0; i < mailbox->entries().size(); ++i) {
            if (mailbox->entries()[i].content == content) indexes.push_back(i);
        }
        if (indexes.empty()) continue;
        Work work(index_, db::Sync::full, nullptr);
        index_.db().run("UPDATE content SET body_bytes=?, facts_version=0 WHERE id=?",
                        static_cast<int64_t>(body_bytes), content);
        for (const uint32_t i : indexes) {
            Entry entry = mailbox->entries()[i];
            entry.size = size;
            work.append(mailbox->row(), entry, read_email_id(index_, content));
        }
        work.expunge(*mailbox, std::move(indexes), false);
        work.commit();
    }
}

void Checker::check_files() {
    for (const std::string& bucket : names_in(index_.account_dir(), "bodies")) {
        struct stat status {};
        const std::string path = "bodies/" + bucket;
        if (::fstatat(index_.account_dir(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISDIR(status.st_mode)) {
            add(FsckKind::foreign_file, escape(path), false);
            continue;
        }
        for (const std::string& name : names_in(index_.account_dir(), path)) {
            if (!known_bodies_.contains(name)) check_file(bucket, name);
        }
    }
}

void Checker::check_file(const std::string& bucket, const std::string& name) {
    const std::string path = cat("bodies/", bucket, '/', name);
    const auto body = BodyName::parse(name);
    struct stat status {};
    if (::fstatat(index_.account_dir(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!body || body->bucket() != bucket || !S_ISREG(status.st_mode)) {
        add(FsckKind::foreign_file, escape(path), false);
        return;
    }
    // ctime: when it was linked here, whatever its content's age.
    if (index_.now().ms - status.st_ctim.tv_sec * 1000 < options_.orphan_age_ms) return;
    add(FsckKind::body_orphan, escape(path), options_.repair);
    if (!options_.repair) return;
    file_orphan(*body, static_cast<uint64_t>(status.st_size),
                UtcTime::from_seconds(status.st_mtim.tv_sec));
}

Row& Checker::lost_and_found() {
    Row* known = index_.find(kLostAndFound);
    if (known && !known->noselect) return *known;
    auto row = std::make_unique<Row>();
    row->name = kLostAndFound;
    row->status.mailbox_id = index_.options().new_id();
    db::Transaction transaction(index_.db(), db::Sync::full);
    row->status.uidvalidity = index_.next_uidvalidity();
    if (known) index_.erase_row(known->id);
    index_.insert_row(*row);
    transaction.commit();
    index_.rows().erase(row->name);
    Row& made = *index_.rows().emplace(row->name, std::move(row)).first->second;
    mailboxes_.push_back(index_.load(made));
    for (AccountObserver* observer : index_.observers)
        observer->mailbox_created(made.name);
    return made;
}

void Checker::file_orphan(const BodyName& name, uint64_t bytes, UtcTime date) {
    Row& row = lost_and_found();
    Work work(index_, db::Sync::full, nullptr);
    Entry entry;
    entry.size = static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
    entry.internaldate_s = date.seconds();
    entry.content = insert_content(index_, Content{name, bytes, {}}, {}, 0);
    work.append(row, entry, name.email_id());
    // Filed is filed: a replay of the same delivery must not bring it a second time (RULES.md R10).
    if (name.delivered) {
        const std::string key = key_bytes(DeliveryKey{name.id, name.rcpt, name.action});
        index_.db().run("INSERT OR IGNORE INTO delivered VALUES(?, ?, ?)", db::Blob{key},
                        entry.content, work.now().ms);
    }
    work.commit();
}

void Checker::renew_facts() {
    const FactsParser& parser = index_.options().facts;
    if (!parser.parse) return;
    count_references();
    for (const auto& [content, references] : references_) {
        auto row = read_content(index_, content);
        auto reader = row ? open_content(index_, std::move(*row)) : std::nullopt;
        if (!reader) continue;
        const MessageFacts facts = parser.parse(reader->text());
        db::Transaction transaction(index_.db(), db::Sync::normal);
        update_facts(index_, content, facts, parser.version);
        transaction.commit();
    }
}

} // namespace tambo::store
