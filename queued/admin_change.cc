// The verbs that change the queue. They go through the committer like everything else, and answer
// when the change is durable.
#include "common/base/text.h"
#include "common/sys/log.h"
#include "queued/admin.h"

#include <sysexits.h>

namespace tambo::queued {

namespace {

constexpr size_t kScanAtOnce = 2000;

ipc::AdminAnswer usage(std::string error) {
    ipc::AdminAnswer answer;
    answer.exit_code = EX_USAGE;
    answer.error = std::move(error);
    return answer;
}

} // namespace

task<ipc::AdminAnswer> Admin::hold(ipc::AdminRequest request) {
    return change(std::move(request), &Admin::hold_one, "held");
}

task<ipc::AdminAnswer> Admin::release(ipc::AdminRequest request) {
    return change(std::move(request), &Admin::release_one, "released");
}

task<ipc::AdminAnswer> Admin::retry(ipc::AdminRequest request) {
    return change(std::move(request), &Admin::retry_one, "retried");
}

task<ipc::AdminAnswer> Admin::drop(ipc::AdminRequest request) {
    return change(std::move(request), &Admin::drop_one, "dropped");
}

task<ipc::AdminAnswer> Admin::flush(ipc::AdminRequest request) {
    auto selection = parse_selection(request.words);
    if (!selection) co_return usage(selection.error());
    if (!selection->empty()) {
        auto some = co_await change_selected(std::move(*selection), &Admin::retry_one, "retried");
        co_return some;
    }
    log::Event("queue.ordered", log::Level::notice).with("order", "flushed");
    Change change;
    change.apply = [now = queue_.clock.now()](spool::QueueDb& db) { db.clamp(now); };
    change.durable = [this] { dispatcher_.look_again(); };
    queue_.committer.record(std::move(change), Urgency::now);
    co_await settle();
    ipc::AdminAnswer answer;
    co_return answer;
}

task<ipc::AdminAnswer> Admin::change(ipc::AdminRequest request, Deed deed, std::string done) {
    auto selection = parse_selection(request.words);
    if (!selection) co_return usage(selection.error());
    if (selection->empty()) co_return usage("queue ids or filters are needed");
    auto answer = co_await change_selected(std::move(*selection), deed, std::move(done));
    co_return answer;
}

task<ipc::AdminAnswer> Admin::change_selected(Selection selection, Deed deed, std::string done) {
    const UtcTime now = queue_.clock.now();
    std::vector<std::pair<Id, int64_t>> found; // rows of a message follow each other
    const auto is_over = [this](const spool::RecipientKey& key) {
        return dispatcher_.outcomes().is_over(key);
    };
    const auto visit = [&](const spool::Listed& row) {
        const bool again = !found.empty() && found.back().second == row.key.seq;
        if (!again && selection.matches(row, is_over(row.key), now)) found.emplace_back(row.qid, row.key.seq);
        return true;
    };
    std::optional<spool::RecipientKey> at = spool::RecipientKey{};
    if (selection.ids.empty()) {
        while (at) {
            at = queue_.db.scan(*at, kScanAtOnce, visit);
            co_await sleep_ms(queue_.nursery, 0);
        }
    } else {
        for (const Id& id : selection.ids) {
            const auto envelope = queue_.db.find(id);
            if (envelope) found.emplace_back(id, envelope->seq);
        }
    }
    for (const auto& [qid, seq] : found) {
        log::Event("queue.ordered", log::Level::notice).qid(qid).with("order", done);
        (this->*deed)(qid, seq);
    }
    co_await settle();
    ipc::AdminAnswer answer;
    answer.columns = {"queue_id", "result"};
    // Enough to see what happened; a long list does not fit into an answer.
    constexpr size_t kNamed = 500;
    for (size_t i = 0; i < found.size() && i < kNamed; ++i) {
        answer.rows.push_back({found[i].first.text(), done});
    }
    if (found.size() > kNamed) {
        answer.rows.push_back({cat("and ", found.size() - kNamed, " more"), done});
    }
    if (found.empty() && !selection.empty()) {
        answer.exit_code = 1;
        answer.error = "no such message in the queue";
    } else if (queue_.committer.failed()) {
        answer.exit_code = EX_IOERR;
        answer.error = "the storage has failed, nothing was recorded";
    }
    co_return answer;
}

task<> Admin::settle() {
    if (queue_.committer.failed()) co_return;
    const auto durable = std::make_shared<bool>(false);
    Change change;
    change.durable = [durable] { *durable = true; };
    queue_.committer.record(std::move(change), Urgency::now);
    while (!*durable && !queue_.committer.failed())
        co_await sleep_ms(queue_.nursery, 1);
}

void Admin::hold_one(const Id&, int64_t seq) {
    dispatcher_.withdraw(seq);
    Change change;
    change.apply = [seq](spool::QueueDb& db) { db.hold(seq); };
    queue_.committer.record(std::move(change), Urgency::now);
}

void Admin::release_one(const Id&, int64_t seq) {
    const UtcTime now = queue_.clock.now();
    Change change;
    change.apply = [seq, now](spool::QueueDb& db) { db.release(seq, now); };
    change.durable = [this] { dispatcher_.look_again(); };
    queue_.committer.record(std::move(change), Urgency::now);
}

void Admin::retry_one(const Id&, int64_t seq) {
    const UtcTime now = queue_.clock.now();
    Change change;
    change.apply = [seq, now](spool::QueueDb& db) { db.retry(seq, now); };
    change.durable = [this] { dispatcher_.look_again(); };
    queue_.committer.record(std::move(change), Urgency::now);
}

void Admin::drop_one(const Id& qid, int64_t seq) {
    dispatcher_.withdraw(seq);
    Change change;
    change.apply = [seq](spool::QueueDb& db) { db.remove(seq); };
    change.durable = [this, qid] { queue_.remove_body(qid); };
    queue_.committer.record(std::move(change), Urgency::now);
}

} // namespace tambo::queued
