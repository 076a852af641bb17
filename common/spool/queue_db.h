// queue.db: the envelopes. The only SQL of the queue.
//
// Writing calls need an open transaction (Batch); what they change is durable with the barrier that
// begins after its commit, never before (RULES.md R3). They only touch the database, so that a
// batch that was rolled back can be applied again. Everything may throw db::DbError.
#pragma once

#include "common/db/database.h"
#include "common/spool/envelope.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace tambo::spool {

// A recipient that is due, with what a delivery needs before the envelope is loaded.
struct Due {
    RecipientKey key;
    Id qid;
    Recipient recipient;
};

// A row of the queue as an administrator sees it.
struct Listed {
    RecipientKey key;
    Id qid;
    UtcTime accepted;
    uint64_t length = 0;
    std::string reverse_path;
    bool held = false, lost = false;
    Recipient recipient;
};

// Where reading of due recipients goes on; the default is before all of them.
struct DueCursor {
    UtcTime time{INT64_MIN};
    RecipientKey key;

    auto operator<=>(const DueCursor&) const = default;
};

struct Counts {
    int64_t messages = 0, recipients = 0, held = 0, lost = 0, deferred = 0;
    std::optional<UtcTime> oldest; // acceptance
};

// What proves that a body is complete.
struct BodyFacts {
    int64_t seq = 0;
    Id qid;
    uint64_t length = 0;
    uint32_t crc32c = 0;
};

class QueueDb {
  public:
    // Makes the file when there is none. Exclusive: one process only.
    explicit QueueDb(const std::string& path);

    // The file was made by this process: bodies found in the spool belong to a lost queue.db.
    bool created() const { return created_; }
    db::Database& database() { return database_; }

    class Batch {
      public:
        explicit Batch(QueueDb& db) : transaction_(db.database_) {}
        void commit() { transaction_.commit(); }

      private:
        db::Transaction transaction_;
    };

    // ---- numbers that outlive the process
    int64_t number(std::string_view name);
    void set_number(std::string_view name, int64_t value);

    // ---- writing
    // envelope.seq is given by the caller. false, and nothing inserted, if a report with this
    // report_key was written before.
    bool insert(const Envelope& envelope, std::span<const Recipient> recipients);
    // The delivery is over. True if it was the message's last: the envelope has gone too.
    bool finish(const RecipientKey& key);
    // Of a held or lost message the time is not set: it waits for release().
    void defer(const RecipientKey& key, const Recipient& after_attempt);
    void set_notified(int64_t seq);
    // Marks that the body has gone; its recipients are never due again.
    void set_lost(int64_t seq);
    void hold(int64_t seq);
    void release(int64_t seq, UtcTime now);
    // All waiting recipients of the message, held ones excepted, are due at the time.
    void retry(int64_t seq, UtcTime now);
    void remove(int64_t seq);
    // No time may lie beyond latest (RULES.md R23). Returns how many did. With the
    // present as latest: all are due.
    int64_t clamp(UtcTime latest);

    // ---- reading
    std::optional<Envelope> find(const Id& qid);
    std::optional<Envelope> load(int64_t seq);
    std::vector<std::pair<RecipientKey, Recipient>> recipients(int64_t seq);
    // Up to limit recipients with cursor < (time, key) and time <= now, in that order.
    std::vector<Due> due(const DueCursor& after, UtcTime now, size_t limit);
    // The earliest time behind the cursor.
    std::optional<UtcTime> next_due(const DueCursor& after);
    // Messages with seq > after, in order.
    std::vector<BodyFacts> bodies_after(int64_t after);
    bool holds(const Id& qid);
    int64_t last_seq();
    Counts count(UtcTime now);
    // When the message with the lowest seq was accepted; nullopt if there is none.
    std::optional<UtcTime> oldest();
    // Calls visit for rows behind the key, in order, until it returns false or scanned reaches
    // limit. Returns the last key visited, nullopt when the end was reached.
    std::optional<RecipientKey>
    scan(const RecipientKey& after, size_t limit, const std::function<bool(const Listed&)>& visit);

  private:
    bool created_;
    db::Database database_;
};

} // namespace tambo::spool
