// Messages coming in: APPEND by clients, filing for deliverd.
#include "common/base/check.h"
#include "common/store/names.h"
#include "common/store/sqlite_account.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

namespace tambo::store {

namespace {

constexpr int kIdTries = 4; // a fresh id that is taken means a broken random source
constexpr int64_t kForgetAfterMs = 7 * 86'400'000ll; // for clocks that were set back
constexpr int64_t kPruneEveryMs = 86'400'000;

MessageFacts parse_facts(const FactsParser& parser, MessageReader& reader) {
    return parser.parse ? parser.parse(reader.text()) : MessageFacts{};
}

void keep(std::vector<NewMessage>& messages) {
    for (NewMessage& message : messages)
        message.body.keep();
}

uint32_t version_of(const FactsParser& parser) {
    return parser.parse ? parser.version : 0;
}

} // namespace

Outcome<BodyWriter> SqliteAccount::new_body() {
    return changing([&]() -> Outcome<BodyWriter> {
        struct statvfs disk {};
        if (::fstatvfs(index_.account_dir(), &disk) == 0 &&
            uint64_t{disk.f_bavail} * disk.f_frsize < index_.options().disk_reserve_bytes) {
            return Err{Refusal::disk_full};
        }
        for (int i = 0; i < kIdTries; ++i) {
            const auto name = BodyName::appended(index_.options().new_id());
            UniqueFd fd(::openat(index_.account_dir(), name.path().c_str(),
                                 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
            if (fd) return BodyWriter(index_.account_dir(), name, std::move(fd));
            if (errno == EEXIST) continue;
            throw std::system_error(errno, std::generic_category(), name.path());
        }
        return Err{Refusal::io_error};
    });
}

Outcome<Appended>
SqliteAccount::append_all(Row& row, std::vector<NewMessage>& messages, Origin origin) {
    Work work(index_, db::Sync::full, origin);
    Appended appended;
    appended.uidvalidity = row.status.uidvalidity;
    if (!work.has_uids(row, messages.size())) return Err{Refusal::limit};
    for (NewMessage& message : messages) {
        Content content{message.body.name(), message.body.bytes(), std::move(message.prefix)};
        auto reader = open_content(index_, content);
        if (!reader) return Err{Refusal::no_body};
        if (reader->size() > UINT32_MAX) return Err{Refusal::too_big};
        const FactsParser& parser = index_.options().facts;
        Entry entry;
        entry.size = static_cast<uint32_t>(reader->size());
        entry.flags = message.flags;
        entry.internaldate_s = message.internaldate.value_or(work.now()).seconds();
        bool dropped = false;
        entry.keywords = work.keyword_bits(row, message.keywords, true, dropped);
        entry.content =
            insert_content(index_, content, parse_facts(parser, *reader), version_of(parser));
        appended.uids.push_back(work.append(row, entry, content.body.email_id()));
    }
    try {
        work.commit();
    } catch (const db::IoError&) {
        // A body without its row harms nobody; a row without its body would.
        if (index_.db().failed_commit_may_return()) keep(messages);
        throw;
    }
    keep(messages);
    return appended;
}

Outcome<Appended>
SqliteAccount::append(std::string_view mailbox, std::vector<NewMessage> messages, Origin origin) {
    return changing([&]() -> Outcome<Appended> {
        auto row = selectable(mailbox);
        if (!row.ok()) return Err{row.error()};
        uint64_t bytes = 0;
        for (const NewMessage& message : messages) {
            bytes += message.body.bytes() + message.prefix.size();
        }
        if (const auto refusal = quota_refusal(index_.usage, bytes, messages.size())) {
            return Err{*refusal};
        }
        for (NewMessage& message : messages) {
            const auto synced = message.body.sync();
            if (synced.ok()) continue;
            if (synced.error() == Refusal::io_error) failure_ = Refusal::io_error;
            return Err{synced.error()};
        }
        return append_all(**row, messages, origin);
    });
}

Outcome<uint32_t>
SqliteAccount::file(Work& work, Row& row, const Delivery& delivery, MessageReader& reader) {
    const FactsParser& parser = index_.options().facts;
    const auto body = BodyName::of(delivery.key);
    const Content content{body, reader.size() - delivery.prefix.size(), delivery.prefix};
    Entry entry;
    entry.size = static_cast<uint32_t>(reader.size());
    entry.flags = delivery.flags;
    entry.internaldate_s = delivery.internaldate.value_or(work.now()).seconds();
    bool dropped = false;
    entry.keywords = work.keyword_bits(row, delivery.keywords, true, dropped);
    entry.content =
        insert_content(index_, content, parse_facts(parser, reader), version_of(parser));
    const std::string key = key_bytes(delivery.key);
    index_.db().run("INSERT INTO delivered VALUES(?, ?, ?)", db::Blob{key}, entry.content,
                    work.now().ms);
    return work.append(row, entry, body.email_id());
}

Outcome<Delivered> SqliteAccount::deliver_one(Work& work, const Delivery& delivery) {
    const auto body = BodyName::of(delivery.key);
    const std::string key = key_bytes(delivery.key);
    const auto known =
        index_.db().integer("SELECT content FROM delivered WHERE key=?", db::Blob{key});
    if (known) {
        // Filed and purged since: nothing refers to the link that deliverd has just made again.
        if (!read_content(index_, static_cast<uint32_t>(*known))) {
            ::unlinkat(index_.account_dir(), body.path().c_str(), 0);
        }
        return Delivered{true, 0, 0};
    }
    auto row = selectable(delivery.mailbox);
    if (!row.ok()) return Err{row.error()};
    UniqueFd fd(::openat(index_.account_dir(), body.path().c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return Err{Refusal::no_body};
    }
    const auto bytes = static_cast<uint64_t>(status.st_size);
    // What is tried again is linked again, and what is given up must not keep its space.
    const auto refuse = [&](Refusal refusal) {
        ::unlinkat(index_.account_dir(), body.path().c_str(), 0);
        return Err{refusal};
    };
    if (bytes + delivery.prefix.size() > UINT32_MAX) return refuse(Refusal::too_big);
    if (const auto refusal = quota_refusal(work.usage(), bytes + delivery.prefix.size(), 1)) {
        return refuse(*refusal);
    }
    if (!work.has_uids(**row, 1)) return refuse(Refusal::limit);
    MessageReader reader(delivery.prefix, std::move(fd), bytes);
    auto uid = file(work, **row, delivery, reader);
    if (!uid.ok()) return Err{uid.error()};
    return Delivered{false, (*row)->status.uidvalidity, *uid};
}

std::vector<Outcome<Delivered>> SqliteAccount::deliver(std::span<const Delivery> deliveries) {
    std::vector<Outcome<Delivered>> outcomes;
    const auto all = changing([&]() -> Outcome<Done> {
        Work work(index_, db::Sync::normal, nullptr);
        for (const Delivery& delivery : deliveries) {
            outcomes.push_back(deliver_one(work, delivery));
        }
        work.commit();
        return Done{};
    });
    if (!all.ok()) outcomes.assign(deliveries.size(), Err{all.error()});
    return outcomes;
}

void SqliteAccount::forget_deliveries(UtcTime queued_since) {
    queued_since_ = std::max(queued_since_, queued_since);
}

bool SqliteAccount::prune_delivered() {
    const int64_t now = index_.now().ms;
    const int64_t before = std::min(now, queued_since_.ms) - kForgetAfterMs;
    if (queued_since_.ms == 0) return false;
    if (now - index_.db().integer("SELECT pruned FROM account").value_or(0) < kPruneEveryMs) {
        return false;
    }
    db::Transaction transaction(index_.db(), db::Sync::normal);
    index_.mark_dirty();
    index_.db().run("DELETE FROM delivered WHERE filed<?", before);
    index_.db().run("UPDATE account SET pruned=?", now);
    transaction.commit();
    return true;
}

} // namespace tambo::store
