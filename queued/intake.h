// The side of queued that one smtpd process talks to: spool files to write, envelopes, commits
// (common/ipc/messages/queued.h).
//
// Nothing that smtpd says is trusted. The class of the channel (mx or submission) is known from the
// name that master gave it; whether a message may go anywhere is asked of authd here, once, and the
// answer is frozen (ARCHITECTURE.md, "Decisions"; RULES.md R19). A body is taken only when nobody
// can write to it any more.
#pragma once

#include "common/event/gate.h"
#include "common/event/workers.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/queued.h"
#include "queued/queue.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace tambo::queued {

// What all intakes share.
struct IntakeWorld {
    Queue& queue;
    ipc::Channel& authd;
    Workers& workers; // for the checksums of big bodies
};

class Intake {
  public:
    static constexpr size_t kOpenMax = 3000; // transactions of one smtpd at a time
    static constexpr size_t kRecipientsAtOnce = 50;
    static constexpr size_t kPrefixBytesMax = 24 * 1024;
    static constexpr size_t kAddressBytesMax = 1100;

    // channel outlives the intake, which outlives every handler.
    Intake(IntakeWorld world, ipc::Channel& channel, ipc::Service service);
    ~Intake();
    Intake(const Intake&) = delete;

    size_t open_count() const { return transactions_.size(); }

  private:
    struct Transaction {
        explicit Transaction(Nursery& nursery) : done(nursery) {}
        Id qid;
        UniqueFd body;
        bool started = false, committing = false;
        ipc::EnvelopeStart envelope;
        std::vector<ipc::EnvelopeRecipient> recipients;
        std::shared_ptr<bool> abandoned = std::make_shared<bool>(false);
        Gate done; // open when the commit has ended
    };
    using TransactionPtr = std::shared_ptr<Transaction>;

    task<ipc::SpoolOpened> open(ipc::OpenSpool request);
    void start(ipc::EnvelopeStart envelope);
    void add_recipients(ipc::EnvelopeRecipients more);
    task<ipc::ReplyText> commit(ipc::Commit request);
    void discard(ipc::Discard request);
    task<ipc::CommittedAnswer> ask(ipc::AskCommitted question);

    TransactionPtr find(const Id& qid) const;
    void abandon_all();
    void remove_body(const Id& qid);
    task<ipc::ReplyText> process(TransactionPtr transaction, ipc::Commit request);
    task<bool> is_complete(TransactionPtr transaction, ipc::Commit request);
    task<ipc::ReplyText> resolve(TransactionPtr transaction, Acceptance& into);
    ipc::ReplyText take_answers(const Transaction& transaction,
                                std::vector<ipc::ResolvedRecipient>& answers,
                                Acceptance& into);
    void fill_envelope(const Transaction& transaction,
                       const ipc::Commit& request,
                       spool::Envelope& into);

    Queue& queue_;
    ipc::Channel& channel_;
    ipc::Channel& authd_;
    Workers& workers_;
    const ipc::Service service_;
    std::unordered_map<Id, TransactionPtr, IdHash> transactions_;
};

} // namespace tambo::queued
