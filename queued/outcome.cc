#include "queued/outcome.h"

#include "common/base/text.h"
#include "common/sys/log.h"
#include "queued/report.h"

#include <algorithm>

namespace tambo::queued {

void add_status(log::Event& event, const spool::Status& status) {
    if (!status.host.empty()) event.with("host", status.host);
    if (status.code != 0) event.with("code", status.code);
    if (!status.enhanced.empty()) event.with("enhanced", status.enhanced);
    event.with("reason", status.text);
}

Change Outcomes::finish(const Id& qid, std::vector<spool::RecipientKey> keys) {
    const auto all = std::make_shared<std::vector<spool::RecipientKey>>(std::move(keys));
    const auto last = std::make_shared<bool>(false);
    Change change;
    change.apply = [all, last](spool::QueueDb& db) {
        *last = false;
        for (const auto& key : *all) {
            if (db.finish(key)) *last = true;
        }
    };
    change.durable = [this, qid, all, last] {
        if (*last) queue_.remove_body(qid);
        for (const auto& key : *all) {
            over_.erase(key);
            if (on_recorded) on_recorded(key, std::nullopt);
        }
    };
    return change;
}

void Outcomes::stored(const Job& job, const ipc::Delivered& delivered) {
    log::Event event("queue.delivered");
    event.qid(job.qid).rcpt(job.recipient.original).with("to", job.recipient.address);
    event.with("mailbox", delivered.mailbox).with("uid", delivered.uid);
    if (delivered.outcome == ipc::DeliveryOutcome::duplicate) event.with("known", "yes");
    over_.insert(job.key);
    Change reported;
    reported.filesystem = true;
    reported.durable = [this, qid = job.qid, key = job.key] {
        queue_.committer.record(finish(qid, {key}), Urgency::lazy);
    };
    queue_.committer.record(std::move(reported), Urgency::lazy);
}

void Outcomes::sent(const Job& job, const spool::Status& status, const std::string& tls) {
    log::Event event("queue.relayed");
    event.qid(job.qid).rcpt(job.recipient.original).with("to", job.recipient.address);
    event.with("tls", tls);
    add_status(event, status);
    over_.insert(job.key);
    queue_.committer.record(finish(job.qid, {job.key}), Urgency::soon);
}

bool Outcomes::expired(const spool::Envelope& envelope, const spool::Recipient& recipient) {
    DeliveryAge age;
    age.since_acceptance_ms = queue_.clock.now().ms - envelope.accepted.ms;
    age.queue_ran_ms = queue_.uptime_ms() - envelope.uptime_ms;
    age.attempts = recipient.attempts;
    age.null_sender = envelope.reverse_path.empty();
    return is_expired(queue_.rules(), age);
}

void Outcomes::deferred(const EnvelopePtr& envelope, Job job, const spool::Status& status) {
    const UtcTime now = queue_.clock.now();
    const int64_t delay = retry_delay_ms(queue_.rules(), job.recipient.attempts + 1, queue_.random);
    // Not far beyond the end of its life: then is the last try.
    const RetryRules rules = queue_.rules();
    const int64_t left =
        envelope->accepted.ms + lifetime_ms(rules, envelope->reverse_path.empty()) - now.ms;
    const int64_t wait =
        left > 0 ? std::min(delay, std::max(left, plain_delay_ms(rules, 1))) : delay;
    deferred_with_destination(envelope, std::move(job), status, UtcTime{now.ms + wait});
}

void Outcomes::deferred_with_destination(const EnvelopePtr& envelope,
                                         Job job,
                                         const spool::Status& status,
                                         UtcTime until) {
    ++job.recipient.attempts;
    job.recipient.last_attempt = queue_.clock.now();
    job.recipient.status = status;
    if (expired(*envelope, job.recipient)) {
        std::vector<Job> jobs;
        jobs.push_back(std::move(job));
        failed(envelope, std::move(jobs));
        return;
    }
    {
        log::Event event("queue.deferred");
        event.qid(job.qid).rcpt(job.recipient.original).with("to", job.recipient.address);
        event.with("attempts", job.recipient.attempts).with("next", format_rfc3339(until));
        add_status(event, status);
    }
    reports_.consider_delay_notice(envelope);
    record_deferral(std::move(job), until);
}

void Outcomes::record_deferral(Job job, UtcTime next) {
    job.recipient.next_attempt = next;
    const auto kept = std::make_shared<Job>(std::move(job));
    Change change;
    change.apply = [kept](spool::QueueDb& db) { db.defer(kept->key, kept->recipient); };
    change.durable = [this, kept] {
        if (on_recorded) on_recorded(kept->key, kept->recipient.next_attempt);
    };
    queue_.committer.record(std::move(change), Urgency::soon);
}

void Outcomes::postpone(std::vector<Job> jobs) {
    for (Job& job : jobs) {
        const int64_t wait = plain_delay_ms(queue_.rules(), 1);
        record_deferral(std::move(job), UtcTime{queue_.clock.now().ms + wait});
    }
}

void Outcomes::failed(const EnvelopePtr& envelope, std::vector<Job> jobs) {
    for (const Job& job : jobs) {
        log::Event event("queue.failed", log::Level::notice);
        event.qid(job.qid).rcpt(job.recipient.original).with("to", job.recipient.address);
        event.with("attempts", job.recipient.attempts);
        add_status(event, job.recipient.status);
    }
    reports_.report_failure(envelope, std::move(jobs));
}

void Outcomes::lost(const Job& job) {
    log::Event("queue.body_lost", log::Level::critical)
        .qid(job.qid)
        .rcpt(job.recipient.original)
        .with("reason", "the body of this message is not in the spool any more");
    Change change;
    change.apply = [seq = job.key.seq](spool::QueueDb& db) { db.set_lost(seq); };
    change.durable = [this, key = job.key] {
        if (on_recorded) on_recorded(key, std::nullopt);
    };
    queue_.committer.record(std::move(change), Urgency::now);
}

} // namespace tambo::queued
