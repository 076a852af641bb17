// The verbs of control/queued.sock:
//
//   queue.list     [QUEUE-ID...] [FILTER...]   one row for each recipient
//   queue.show     QUEUE-ID                    all that is known of a message
//   queue.cat      QUEUE-ID                    its text, prefix and body
//   queue.hold     QUEUE-ID... | FILTER...     not delivered until released
//   queue.release  QUEUE-ID... | FILTER...
//   queue.retry    QUEUE-ID... | FILTER...     due now
//   queue.drop     QUEUE-ID... | FILTER...     removed, nobody is told
//   queue.flush                                everything is due now
//   status                                     numbers
//
// FILTER: from=ADDRESS, to=ADDRESS, domain=DOMAIN (of a recipient), older=DURATION,
// status=queued|deferred|held|lost|delivered; all given must hold. "from=" alone is the null sender.
#pragma once

#include "common/base/result.h"
#include "common/ipc/admin.h"
#include "queued/dispatch.h"
#include "queued/queue.h"

#include <functional>
#include <string>
#include <vector>

namespace tambo::queued {

// Which rows of the queue are meant.
struct Selection {
    std::vector<Id> ids;
    std::optional<std::string> from, to, domain, status;
    std::optional<int64_t> older_ms;

    bool empty() const { return ids.empty() && !from && !to && !domain && !status && !older_ms; }
    // is_over: it is delivered, and its row waits for the disk.
    bool matches(const spool::Listed& row, bool is_over, UtcTime now) const;
};

// An error text for words that are neither queue ids nor filters.
Result<Selection> parse_selection(const std::vector<std::string>& words);

// "delivered" (is_over), "queued", "deferred", "held" or "lost".
std::string_view status_of(const spool::Listed& row, bool is_over);

class Admin {
  public:
    // Registers the verbs; all outlive it.
    Admin(Queue& queue, Dispatcher& dispatcher, Syncer& syncer, ipc::AdminServer& server);

    std::function<size_t()> open_transactions; // for status

  private:
    using Verb = task<ipc::AdminAnswer> (Admin::*)(ipc::AdminRequest request);
    // What a changing verb does to each message; sends no answer itself.
    using Deed = void (Admin::*)(const Id& qid, int64_t seq);
    void add(ipc::AdminServer& server, const char* name, Verb verb);

    task<ipc::AdminAnswer> list(ipc::AdminRequest request);
    task<ipc::AdminAnswer> show(ipc::AdminRequest request);
    task<ipc::AdminAnswer> cat_message(ipc::AdminRequest request);
    task<ipc::AdminAnswer> hold(ipc::AdminRequest request);
    task<ipc::AdminAnswer> release(ipc::AdminRequest request);
    task<ipc::AdminAnswer> retry(ipc::AdminRequest request);
    task<ipc::AdminAnswer> drop(ipc::AdminRequest request);
    task<ipc::AdminAnswer> flush(ipc::AdminRequest request);
    task<ipc::AdminAnswer> status(ipc::AdminRequest request);

    void hold_one(const Id& qid, int64_t seq);
    void release_one(const Id& qid, int64_t seq);
    void retry_one(const Id& qid, int64_t seq);
    void drop_one(const Id& qid, int64_t seq);
    task<ipc::AdminAnswer> change(ipc::AdminRequest request, Deed deed, std::string done);
    task<ipc::AdminAnswer> change_selected(Selection selection, Deed deed, std::string done);
    // Suspends until the changes recorded so far are durable.
    task<> settle();

    Queue& queue_;
    Dispatcher& dispatcher_;
    Syncer& syncer_;
};

} // namespace tambo::queued
