#include "common/store/contents.h"

#include "common/base/text.h"
#include "common/sys/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace tambo::store {

namespace {

void insert_text(Index& index, uint32_t id, const MessageFacts& facts) {
    index.db().run("INSERT OR REPLACE INTO content_text VALUES(?, ?, ?, ?, ?, ?, ?)", id,
                   facts.from, facts.to, facts.cc, facts.bcc, facts.subject, facts.header);
}

// False: the file could not be removed just now; the content stays on the list.
bool purge_one(Index& index, uint32_t id) {
    if (const auto content = read_content(index, id)) {
        const std::string path = content->body.path();
        if (::unlinkat(index.account_dir(), path.c_str(), 0) != 0 && errno != ENOENT) {
            if (errno == EIO) throw std::system_error(errno, std::generic_category(), path);
            return false;
        }
    }
    index.db().run("DELETE FROM content WHERE id=?", id);
    index.db().run("DELETE FROM content_text WHERE id=?", id);
    index.db().run("DELETE FROM dead WHERE content=?", id);
    return true;
}

} // namespace

std::string key_bytes(const DeliveryKey& key) {
    std::string out;
    for (const uint64_t word :
         {key.queue.high, key.queue.low, uint64_t{key.rcpt} << 32 | key.action}) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            out.push_back(static_cast<char>(word >> shift & 0xff));
        }
    }
    return out;
}

uint32_t insert_content(Index& index,
                        const Content& content,
                        const MessageFacts& facts,
                        uint32_t facts_version) {
    if (index.content_next == UINT32_MAX) throw_corrupt(index.db(), "content numbers are used up");
    const uint32_t id = index.content_next++;
    const bool known = facts_version != 0;
    const auto optional_text = [known](const std::string& text) {
        return known ? std::optional<std::string_view>(text) : std::nullopt;
    };
    index.db().run("INSERT INTO content VALUES(?, ?, NULL, ?, ?, ?, ?, ?, ?, ?)", id,
                   content.body.email_id(), facts_version, facts.sent_s,
                   optional_text(facts.envelope), optional_text(facts.bodystructure),
                   content.body.text(), static_cast<int64_t>(content.body_bytes), content.prefix);
    if (known) insert_text(index, id, facts);
    return id;
}

void update_facts(Index& index,
                  uint32_t content,
                  const MessageFacts& facts,
                  uint32_t facts_version) {
    index.db().run("UPDATE content SET facts_version=?, sent_s=?, envelope=?, bodystructure=? "
                   "WHERE id=?",
                   facts_version, facts.sent_s, facts.envelope, facts.bodystructure, content);
    insert_text(index, content, facts);
}

std::optional<Content> read_content(Index& index, uint32_t content) {
    db::Statement row =
        index.db().prepare("SELECT body, body_bytes, prefix FROM content WHERE id=?");
    row.bind_all(content);
    if (!row.step()) return std::nullopt;
    const auto body = BodyName::parse(row.text(0));
    if (!body) throw_corrupt(index.db(), "name of a body");
    return Content{*body, static_cast<uint64_t>(row.integer(1)), std::string(row.text(2))};
}

Id read_email_id(Index& index, uint32_t content) {
    db::Statement row = index.db().prepare("SELECT email_id FROM content WHERE id=?");
    row.bind_all(content);
    return row.step() ? row.id(0) : Id{};
}

void add_reference(Index& index, uint32_t content) {
    index.db().run("INSERT INTO shared VALUES(?, 1) "
                   "ON CONFLICT(content) DO UPDATE SET extra=extra+1",
                   content);
}

void drop_reference(Index& index, uint32_t content, UtcTime now) {
    const auto extra = index.db().integer("SELECT extra FROM shared WHERE content=?", content);
    if (!extra) {
        index.db().run("INSERT OR IGNORE INTO dead VALUES(?, ?)", content, now.ms);
    } else if (*extra > 1) {
        index.db().run("UPDATE shared SET extra=extra-1 WHERE content=?", content);
    } else {
        index.db().run("DELETE FROM shared WHERE content=?", content);
    }
}

bool purge_dead(Index& index,
                UtcTime before,
                size_t limit,
                const std::unordered_map<uint32_t, uint32_t>& keep) {
    std::vector<uint32_t> dead;
    {
        db::Statement rows = index.db().prepare("SELECT content FROM dead WHERE since<=?");
        rows.bind_all(before.ms);
        while (dead.size() < limit && rows.step()) {
            const auto id = static_cast<uint32_t>(rows.integer(0));
            if (!keep.contains(id)) dead.push_back(id);
        }
    }
    if (dead.empty()) return false;
    db::Transaction transaction(index.db(), db::Sync::normal);
    index.mark_dirty();
    size_t purged = 0;
    for (const uint32_t id : dead)
        purged += purge_one(index, id) ? 1 : 0;
    // The highest number may be among them: it must not be given out again after a restart.
    index.save_counters();
    transaction.commit();
    return purged == limit;
}

namespace {

// What reads it gets an error where the bytes end, and says no more than that.
void report_short(int fd, const Content& content) {
    struct stat status {};
    const bool known = ::fstat(fd, &status) == 0;
    if (!known || static_cast<uint64_t>(status.st_size) >= content.body_bytes) return;
    log::Event("account.body_short", log::Level::critical)
        .with("body", content.body.path())
        .with("recorded", static_cast<int64_t>(content.body_bytes))
        .with("bytes", int64_t{status.st_size});
}

} // namespace

std::optional<MessageReader> open_content(const Index& index, Content content) {
    const std::string path = content.body.path();
    UniqueFd fd(::openat(index.account_dir(), path.c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ELOOP || errno == EACCES) return std::nullopt;
        throw std::system_error(errno, std::generic_category(), path);
    }
    report_short(fd.get(), content);
    return MessageReader(std::move(content.prefix), std::move(fd), content.body_bytes);
}

} // namespace tambo::store
