// The one implementation of Account. Each public call is one guarded step: an exception of the
// database or of the disk becomes a Refusal here, and only here.
#pragma once

#include "common/base/unique_fd.h"
#include "common/store/account.h"
#include "common/store/contents.h"
#include "common/store/index.h"
#include "common/store/work.h"

#include <system_error>
#include <unordered_map>

namespace tambo::store {

class SqliteAccount final : public Account {
  public:
    SqliteAccount(const std::string& dir, UniqueFd dir_fd, const Options& options);
    ~SqliteAccount() override;
    void close() override;

    const Id& account_id() const override { return index_.account_id(); }
    bool read_only() const override { return index_.options().read_only || failure_.has_value(); }
    std::optional<Refusal> failure() const override { return failure_; }
    Usage usage() const override { return index_.usage; }
    const Quota& quota() const override { return quota_; }
    void set_quota(const Quota& quota) override { quota_ = quota; }

    std::vector<MailboxInfo> list() const override;
    std::optional<MailboxInfo> info(std::string_view name) const override;
    Outcome<MailboxStatus> status(std::string_view name) const override;
    Outcome<std::shared_ptr<Mailbox>> select(std::string_view name) override;
    Outcome<std::vector<std::string>> create(std::string_view name, uint8_t special_use) override;
    Outcome<Done> remove(std::string_view name) override;
    Outcome<Done> rename(std::string_view from, std::string_view to) override;
    Outcome<Done> subscribe(std::string_view name, bool subscribed) override;
    std::vector<std::string> subscriptions() const override;
    std::optional<std::string> find_use(SpecialUse use) const override;

    Outcome<BodyWriter> new_body() override;
    Outcome<Appended>
    append(std::string_view mailbox, std::vector<NewMessage> messages, Origin origin) override;
    std::vector<Outcome<Delivered>> deliver(std::span<const Delivery> deliveries) override;
    void forget_deliveries(UtcTime queued_since) override;
    Outcome<FlagOutcome> store_flags(Mailbox& mailbox,
                                     std::span<const uint32_t> uids,
                                     const FlagChange& change,
                                     Origin origin) override;
    Outcome<std::vector<uint32_t>> expunge(Mailbox& mailbox,
                                           std::optional<std::span<const uint32_t>> uids,
                                           Origin origin) override;
    Outcome<std::vector<uint32_t>>
    discard(Mailbox& mailbox, std::span<const uint32_t> uids, Origin origin) override;
    Outcome<Copied> copy(Mailbox& from,
                         std::span<const uint32_t> uids,
                         std::string_view to,
                         Origin origin) override;
    Outcome<Copied> move(Mailbox& from,
                         std::span<const uint32_t> uids,
                         std::string_view to,
                         Origin origin) override;

    Outcome<MessageReader> open_message(const Entry& entry) override;
    Outcome<Done>
    read_facts(std::span<const Entry> entries,
               FactsPart part,
               const std::function<bool(const Entry&, const FactsView&)>& sink) override;
    Outcome<std::vector<Aux>> read_aux(const Mailbox& mailbox,
                                       std::optional<std::span<const uint32_t>> uids) override;
    Outcome<std::optional<std::vector<uint32_t>>> vanished_since(const Mailbox& mailbox,
                                                                 uint64_t modseq) override;

    void observe(AccountObserver& observer) override { index_.observers.push_back(&observer); }
    void ignore(AccountObserver& observer) override { std::erase(index_.observers, &observer); }
    bool lock_maildrop() override;
    void unlock_maildrop() override { maildrop_locked_ = false; }

    Outcome<bool> tidy() override;
    void release_memory() override;
    Outcome<Done> snapshot() override;
    void pin(uint32_t content) override { ++pins_[content]; }
    void unpin(uint32_t content) override;
    void claim_recent(Mailbox& mailbox) override;

    // For tests and fsck.
    Index& index() { return index_; }
    // Remembers a failure that ends the account, and says what to refuse with.
    Refusal note(const db::DbError& error);
    Refusal note(const std::system_error& error);

  private:
    // Runs step() (which returns an Outcome) and turns what it throws into a Refusal; refuses at
    // once what the account's state forbids. After a good change it keeps log and deltas short.
    template <class Step>
    auto reading(Step step) -> decltype(step());
    template <class Step>
    auto changing(Step step) -> decltype(step());
    void keep_short();

    MailboxInfo describe(const Row& row) const;
    void keep_warm(std::shared_ptr<LoadedMailbox> mailbox);
    // The row of a mailbox that can hold messages.
    Outcome<Row*> selectable(std::string_view name);
    std::optional<Refusal>
    quota_refusal(const Usage& usage, uint64_t bytes, uint64_t messages) const;

    Outcome<std::vector<std::string>>
    create_rows(const std::string& name, uint8_t special_use, Index::Rows& made);
    Outcome<Done> remove_row(Row& row);
    void remove_empty_parents(std::string_view name);
    Outcome<Done> rename_tree(Row& from, const std::string& to);
    Outcome<Done> rename_inbox(const std::string& to);

    Outcome<Appended> append_all(Row& row, std::vector<NewMessage>& messages, Origin origin);
    Outcome<Delivered> deliver_one(Work& work, const Delivery& delivery);
    Outcome<uint32_t> file(Work& work, Row& row, const Delivery& delivery, MessageReader& reader);
    Outcome<std::vector<uint32_t>>
    expunge_indexes(LoadedMailbox& mailbox, std::vector<uint32_t> indexes, Origin origin);
    Outcome<Copied> copy_entries(LoadedMailbox& from,
                                 std::span<const uint32_t> uids,
                                 std::string_view to,
                                 bool move,
                                 Origin origin);

    struct Facts {
        uint32_t content;
        MessageFacts facts;
    };
    MessageFacts compute_facts(uint32_t content, bool& readable);
    void keep_facts(std::vector<Facts>& computed);
    bool fold_some(bool all);
    bool prune_delivered();
    void prune_tombstones(Row& row);

    UniqueFd dir_fd_;
    std::string dir_;
    Index index_;
    Quota quota_;
    std::optional<Refusal> failure_;
    bool closed_ = false;
    bool maildrop_locked_ = false;
    UtcTime queued_since_{0}; // 0: not told yet
    std::vector<std::shared_ptr<LoadedMailbox>> kept_; // last selected, so that they are warm
    std::unordered_map<uint32_t, uint32_t> pins_;
};

template <class Step>
auto SqliteAccount::reading(Step step) -> decltype(step()) {
    if (failure_) return Err{*failure_};
    try {
        return step();
    } catch (const db::DbError& error) {
        return Err{note(error)};
    } catch (const std::system_error& error) {
        return Err{note(error)};
    }
}

template <class Step>
auto SqliteAccount::changing(Step step) -> decltype(step()) {
    if (index_.options().read_only) return Err{Refusal::read_only};
    auto outcome = reading(step);
    if (outcome.ok()) keep_short();
    return outcome;
}

} // namespace tambo::store
