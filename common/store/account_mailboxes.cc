// The tree of mailboxes. Memory follows the disk: rows_ changes after the commit.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/store/mailbox_editor.h"
#include "common/store/names.h"
#include "common/store/sqlite_account.h"

#include <algorithm>

namespace tambo::store {

namespace {

constexpr size_t kMailboxesKept = 2;

} // namespace

MailboxInfo SqliteAccount::describe(const Row& row) const {
    MailboxInfo info;
    info.name = row.name;
    info.mailbox_id = row.status.mailbox_id;
    info.special_use = row.special_use;
    info.noselect = row.noselect;
    info.has_children = index_.has_children(row.name);
    info.subscribed = index_.is_subscribed(row.name);
    return info;
}

std::vector<MailboxInfo> SqliteAccount::list() const {
    std::vector<MailboxInfo> all;
    all.reserve(index_.rows().size());
    for (const auto& [name, row] : index_.rows())
        all.push_back(describe(*row));
    std::stable_partition(all.begin(), all.end(),
                          [](const MailboxInfo& info) { return info.name == "INBOX"; });
    return all;
}

std::optional<MailboxInfo> SqliteAccount::info(std::string_view name) const {
    const auto stored = normalise_name(name);
    const Row* row = stored ? index_.find(*stored) : nullptr;
    if (!row) return std::nullopt;
    return describe(*row);
}

Outcome<Row*> SqliteAccount::selectable(std::string_view name) {
    const auto stored = normalise_name(name);
    Row* row = stored ? index_.find(*stored) : nullptr;
    if (!row) return Err{Refusal::nonexistent};
    if (row->noselect) return Err{Refusal::not_selectable};
    return row;
}

Outcome<MailboxStatus> SqliteAccount::status(std::string_view name) const {
    const auto stored = normalise_name(name);
    const Row* row = stored ? index_.find(*stored) : nullptr;
    if (!row) return Err{Refusal::nonexistent};
    if (row->noselect) return Err{Refusal::not_selectable};
    return row->status;
}

Outcome<std::shared_ptr<Mailbox>> SqliteAccount::select(std::string_view name) {
    return reading([&]() -> Outcome<std::shared_ptr<Mailbox>> {
        auto row = selectable(name);
        if (!row.ok()) return Err{row.error()};
        auto mailbox = index_.load(**row);
        keep_warm(mailbox);
        return std::static_pointer_cast<Mailbox>(std::move(mailbox));
    });
}

void SqliteAccount::keep_warm(std::shared_ptr<LoadedMailbox> mailbox) {
    std::erase_if(kept_, [&](const auto& kept) { return kept == mailbox || kept->is_deleted(); });
    kept_.insert(kept_.begin(), std::move(mailbox));
    if (kept_.size() > kMailboxesKept) kept_.pop_back();
}

std::vector<std::string> SqliteAccount::subscriptions() const {
    return index_.subscriptions();
}

std::optional<std::string> SqliteAccount::find_use(SpecialUse use) const {
    for (const auto& [name, row] : index_.rows()) {
        if ((row->special_use & use) != 0) return name;
    }
    return std::nullopt;
}

Outcome<std::vector<std::string>>
SqliteAccount::create_rows(const std::string& name, uint8_t special_use, Index::Rows& made) {
    std::vector<std::string> names;
    for (std::string& ancestor : ancestors_of(name)) {
        if (!index_.find(ancestor)) names.push_back(std::move(ancestor));
    }
    names.push_back(name);
    if (index_.rows().size() + names.size() > limits::mailboxes_max) return Err{Refusal::limit};
    for (const std::string& each : names) {
        auto row = std::make_unique<Row>();
        row->name = each;
        row->special_use = each == name ? special_use : uint8_t{0};
        row->status.uidvalidity = index_.next_uidvalidity();
        row->status.mailbox_id = index_.options().new_id();
        index_.insert_row(*row);
        made.emplace(each, std::move(row));
    }
    return names;
}

Outcome<std::vector<std::string>> SqliteAccount::create(std::string_view name,
                                                        uint8_t special_use) {
    return changing([&]() -> Outcome<std::vector<std::string>> {
        const auto stored = normalise_name(name);
        if (!stored) return Err{Refusal::cannot};
        Row* known = index_.find(*stored);
        if (known && !known->noselect) return Err{Refusal::already_exists};
        for (const auto& [other, row] : index_.rows()) {
            if ((row->special_use & special_use) != 0) return Err{Refusal::cannot};
        }
        Index::Rows made;
        std::vector<std::string> names{*stored};
        db::Transaction transaction(index_.db(), db::Sync::full);
        index_.mark_dirty();
        if (known) {
            // A name that was \Noselect becomes a new mailbox in its place.
            index_.erase_row(known->id);
            auto row = std::make_unique<Row>();
            row->name = *stored;
            row->special_use = special_use;
            row->status.uidvalidity = index_.next_uidvalidity();
            row->status.mailbox_id = index_.options().new_id();
            index_.insert_row(*row);
            made.emplace(*stored, std::move(row));
        } else {
            auto created = create_rows(*stored, special_use, made);
            if (!created.ok()) return created;
            names = std::move(*created);
        }
        transaction.commit();
        index_.rows().erase(*stored);
        index_.rows().merge(made);
        for (AccountObserver* observer : index_.observers) {
            for (const std::string& each : names)
                observer->mailbox_created(each);
        }
        return names;
    });
}

Outcome<Done> SqliteAccount::remove_row(Row& row) {
    const std::string name = row.name;
    const bool keep_place = index_.has_children(name);
    {
        Work work(index_, db::Sync::full, nullptr);
        const auto mailbox = index_.load(row);
        work.remove_mailbox(*mailbox);
        index_.erase_row(row.id);
        auto place = std::make_unique<Row>();
        place->name = name;
        place->noselect = true;
        if (keep_place) index_.insert_row(*place);
        work.commit();
        index_.rows().erase(name);
        if (keep_place) index_.rows().emplace(name, std::move(place));
    }
    for (AccountObserver* observer : index_.observers)
        observer->mailbox_deleted(name);
    return Done{};
}

void SqliteAccount::remove_empty_parents(std::string_view name) {
    for (auto parent = std::string(parent_of(name)); !parent.empty();
         parent = std::string(parent_of(parent))) {
        const Row* row = index_.find(parent);
        if (!row || !row->noselect || index_.has_children(parent)) return;
        db::Transaction transaction(index_.db(), db::Sync::full);
        index_.erase_row(row->id);
        transaction.commit();
        index_.rows().erase(parent);
        for (AccountObserver* observer : index_.observers)
            observer->mailbox_deleted(parent);
    }
}

Outcome<Done> SqliteAccount::remove(std::string_view name) {
    return changing([&]() -> Outcome<Done> {
        const auto stored = normalise_name(name);
        if (stored == "INBOX") return Err{Refusal::cannot}; // RFC 9051 6.3.5
        Row* row = stored ? index_.find(*stored) : nullptr;
        if (!row) return Err{Refusal::nonexistent};
        if (row->noselect) return Err{Refusal::has_children};
        auto removed = remove_row(*row);
        if (removed.ok()) remove_empty_parents(*stored);
        return removed;
    });
}

Outcome<Done> SqliteAccount::rename_tree(Row& from, const std::string& to) {
    const std::string tree = from.name;
    std::vector<Row*> moving{&from};
    for (auto next = index_.rows().lower_bound(cat(tree, '/'));
         next != index_.rows().end() && is_below(next->first, tree); ++next) {
        moving.push_back(next->second.get());
    }
    std::vector<std::string> names;
    for (const Row* row : moving) {
        auto renamed = normalise_name(cat(to, std::string_view(row->name).substr(tree.size())));
        if (!renamed) return Err{Refusal::cannot};
        if (index_.find(*renamed)) return Err{Refusal::already_exists};
        names.push_back(std::move(*renamed));
    }
    Index::Rows made;
    std::vector<std::string> parents;
    db::Transaction transaction(index_.db(), db::Sync::full);
    index_.mark_dirty();
    if (const auto parent = parent_of(to); !parent.empty() && !index_.find(parent)) {
        auto created = create_rows(std::string(parent), 0, made);
        if (!created.ok()) return Err{created.error()};
        parents = std::move(*created);
    }
    for (size_t i = 0; i < moving.size(); ++i)
        index_.rename_row(*moving[i], names[i]);
    transaction.commit();
    index_.rows().merge(made);
    for (const std::string& parent : parents) {
        for (AccountObserver* observer : index_.observers)
            observer->mailbox_created(parent);
    }
    for (size_t i = 0; i < moving.size(); ++i) {
        auto node = index_.rows().extract(moving[i]->name);
        const std::string before = std::move(node.key());
        node.key() = moving[i]->name = names[i];
        if (const auto loaded = moving[i]->loaded.lock()) MailboxEditor(*loaded).set_name(names[i]);
        index_.rows().insert(std::move(node));
        for (AccountObserver* observer : index_.observers) {
            observer->mailbox_renamed(before, names[i]);
        }
    }
    return Done{};
}

Outcome<Done> SqliteAccount::rename_inbox(const std::string& to) {
    Index::Rows made;
    std::vector<std::string> names;
    const auto inbox = index_.load(*index_.find("INBOX"));
    {
        Work work(index_, db::Sync::full, nullptr);
        auto created = create_rows(to, 0, made);
        if (!created.ok()) return Err{created.error()};
        names = std::move(*created);
        Row& target = *made.find(to)->second;
        std::vector<uint32_t> all;
        for (const Entry& entry : inbox->entries()) {
            bool dropped = false;
            Entry moved = entry;
            moved.keywords =
                work.keyword_bits(target, inbox->keywords().names(entry.keywords), true, dropped);
            work.append(target, moved, read_email_id(index_, entry.content));
            all.push_back(static_cast<uint32_t>(all.size()));
        }
        if (!all.empty()) work.expunge(*inbox, std::move(all), false);
        work.commit();
    }
    index_.rows().merge(made);
    for (AccountObserver* observer : index_.observers) {
        for (const std::string& name : names)
            observer->mailbox_created(name);
    }
    return Done{};
}

Outcome<Done> SqliteAccount::rename(std::string_view from, std::string_view to) {
    return changing([&]() -> Outcome<Done> {
        const auto old_name = normalise_name(from), new_name = normalise_name(to);
        Row* row = old_name ? index_.find(*old_name) : nullptr;
        if (!row) return Err{Refusal::nonexistent};
        if (!new_name) return Err{Refusal::cannot};
        if (index_.find(*new_name)) return Err{Refusal::already_exists};
        if (*old_name == "INBOX") return rename_inbox(*new_name);
        if (is_below(*new_name, *old_name)) return Err{Refusal::cannot};
        auto renamed = rename_tree(*row, *new_name);
        if (renamed.ok()) remove_empty_parents(*old_name);
        return renamed;
    });
}

Outcome<Done> SqliteAccount::subscribe(std::string_view name, bool subscribed) {
    return changing([&]() -> Outcome<Done> {
        const auto stored = normalise_name(name);
        if (!stored) return Err{Refusal::cannot};
        if (index_.is_subscribed(*stored) == subscribed) return Done{};
        index_.set_subscribed(*stored, subscribed);
        for (AccountObserver* observer : index_.observers) {
            observer->subscription_changed(*stored, subscribed);
        }
        return Done{};
    });
}

} // namespace tambo::store
