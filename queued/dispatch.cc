#include "queued/dispatch.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/smtp/address.h"
#include "common/sys/log.h"

#include <algorithm>
#include <system_error>

namespace tambo::queued {

namespace {

constexpr size_t kLoadAtOnce = 500;      // then others get their turn
constexpr size_t kStatusBytesMax = 2000; // of what is kept of an answer
constexpr size_t kRoomToLoad = Schedule::kWindow / 8;
constexpr int64_t kLookMs = 60'000; // at the latest
constexpr int64_t kClockSetBackMs = 5000;
constexpr int64_t kDeliverTimeoutMs = 300'000;
constexpr int64_t kRelayTimeoutMs = 4 * 3'600'000; // relayd has its own deadlines

spool::Status status_of(const ipc::ReplyText& reply, const std::string& host, bool from_peer) {
    return spool::Status{reply.code, reply.enhanced.substr(0, 16),
                         reply.text.substr(0, kStatusBytesMax), host.substr(0, 255), from_peer};
}

bool is_throttle(const ipc::RelayResult& result) {
    return result.from_peer &&
           (result.status.code == 421 || result.status.enhanced.starts_with("4.7."));
}

} // namespace

std::string local_prefix(const spool::Envelope& envelope, const spool::Recipient& recipient) {
    std::string prefix = cat("Return-Path: <", envelope.reverse_path,
                             ">\r\nDelivered-To: ", recipient.address, "\r\n");
    if (!iequals(recipient.original, recipient.address)) {
        prefix += cat("X-Original-To: ", recipient.original, "\r\n");
    }
    return prefix + envelope.prefix;
}

Dispatcher::Dispatcher(Queue& queue, Outcomes& outcomes, ipc::Channel& deliverd)
    : queue_(queue), outcomes_(outcomes), deliverd_(deliverd), schedule_(queue.rules()),
      wake_(queue.nursery), last_seen_(queue.clock.now()) {
    outcomes_.on_recorded = [this](const spool::RecipientKey& key, std::optional<UtcTime> again) {
        schedule_.forget(key);
        if (again) due_again(*again);
        if (starved_ && schedule_.room() >= kRoomToLoad) wake_.pulse();
    };
}

// ---- what is due

void Dispatcher::take(Acceptance& acceptance) {
    const auto envelope = std::make_shared<const spool::Envelope>(std::move(acceptance.envelope));
    std::vector<Job> refused;
    for (spool::Recipient& recipient : acceptance.recipients) {
        Job job;
        job.key = {envelope->seq, recipient.rcpt_no, recipient.action_no};
        job.qid = envelope->qid;
        job.recipient = std::move(recipient);
        job.envelope = envelope;
        if (job.recipient.kind == spool::Kind::refused) {
            refused.push_back(std::move(job));
        } else {
            add(std::move(job), true);
        }
    }
    fail_refused(std::move(refused));
    pump();
}

void Dispatcher::add(Job job, bool fresh) {
    const int64_t now = queue_.clock.monotonic_ms();
    switch (schedule_.add(job, fresh, now)) {
    case Schedule::Added::waits:
    case Schedule::Added::known:
        return;
    case Schedule::Added::full:
        due_again(job.recipient.next_attempt);
        return;
    case Schedule::Added::suspended:
        break;
    }
    const auto until = schedule_.suspended_until(job.recipient.destination, now);
    defer_suspended(std::move(job), until.value_or(now));
}

void Dispatcher::defer_suspended(Job job, int64_t until_ms) {
    const EnvelopePtr envelope = envelope_of(job);
    if (!envelope) return;
    spool::Status status = job.recipient.status;
    if (status.code == 0) {
        status = {451, "4.4.1", "this destination cannot be reached at the moment", "", false};
    }
    const int64_t wait = until_ms - queue_.clock.monotonic_ms();
    // Spread a little, so that its mail does not come back in one moment.
    const int64_t spread = static_cast<int64_t>(
        queue_.random.below(1 + static_cast<uint64_t>(std::max<int64_t>(wait / 10, 0))));
    outcomes_.deferred_with_destination(envelope, std::move(job), status,
                                        UtcTime{queue_.clock.now().ms + wait + spread});
}

// A row that is not in memory is due at the time: it must lie behind the cursor.
void Dispatcher::due_again(UtcTime time) {
    if (time <= cursor_.time) cursor_ = spool::DueCursor{UtcTime{time.ms - 1}, {}};
    if (time < planned_) wake_.pulse();
}

void Dispatcher::look_again() {
    cursor_ = spool::DueCursor{};
    schedule_.lift_suspensions();
    wake_.pulse();
}

// True: more may be due.
bool Dispatcher::load() {
    const size_t most = std::min(schedule_.room(), kLoadAtOnce);
    auto due = queue_.db.due(cursor_, queue_.clock.now(), most);
    std::vector<Job> refused;
    for (spool::Due& row : due) {
        cursor_ = spool::DueCursor{row.recipient.next_attempt, row.key};
        Job job{row.key, row.qid, std::move(row.recipient), nullptr};
        if (!refused.empty() && refused.front().key.seq != job.key.seq) {
            fail_refused(std::exchange(refused, {}));
        }
        if (job.recipient.kind == spool::Kind::refused) {
            refused.push_back(std::move(job));
        } else {
            add(std::move(job), false);
        }
    }
    fail_refused(std::move(refused));
    return due.size() == most;
}

// Recipients that authd refused at completion while it took others: all of one message.
void Dispatcher::fail_refused(std::vector<Job> jobs) {
    if (jobs.empty()) return;
    if (const EnvelopePtr envelope = envelope_of(jobs.front())) {
        outcomes_.failed(envelope, std::move(jobs));
    }
}

void Dispatcher::watch_clock() {
    const UtcTime now = queue_.clock.now();
    if (now.ms + kClockSetBackMs < last_seen_.ms) {
        log::Event("queue.clock_set_back", log::Level::warning)
            .with("by_ms", last_seen_.ms - now.ms);
        const UtcTime latest{now.ms + queue_.config().retry_max_ms};
        Change change;
        change.apply = [latest](spool::QueueDb& db) { db.clamp(latest); };
        change.durable = [this] { look_again(); };
        queue_.committer.record(std::move(change), Urgency::now);
    }
    last_seen_ = now;
}

int64_t Dispatcher::wait_ms() {
    const auto next = queue_.db.next_due(cursor_);
    if (!next) return kLookMs;
    return std::clamp<int64_t>(next->ms - queue_.clock.now().ms, 1, kLookMs);
}

task<> Dispatcher::run() {
    for (;;) {
        int64_t wait = kLookMs;
        watch_clock();
        schedule_.tidy(queue_.clock.monotonic_ms());
        // Room for a few is not worth a look: those that are known would be read again each time.
        starved_ = schedule_.room() < kRoomToLoad;
        if (!starved_ && !queue_.paused()) {
            const bool more = load();
            pump();
            wait = more ? 1 : wait_ms();
        }
        planned_ = UtcTime{queue_.clock.now().ms + wait};
        co_await wake_.wait(wait);
    }
}

// ---- what goes

void Dispatcher::add_relay(ipc::Channel& channel) {
    auto relay = std::make_shared<Relay>();
    relay->channel = &channel;
    relays_.push_back(std::move(relay));
    channel.on_attached = [this] { refresh(); };
    channel.on_lost = [this] { refresh(); };
    refresh();
}

void Dispatcher::remove_relay(ipc::Channel& channel) {
    std::erase_if(relays_, [&](const auto& relay) { return relay->channel == &channel; });
    refresh();
}

void Dispatcher::refresh() {
    schedule_.set_rules(queue_.rules());
    const auto each = static_cast<size_t>(std::max<int64_t>(queue_.config().relay_sessions_max, 1));
    const auto connected = std::count_if(relays_.begin(), relays_.end(), [](const auto& relay) {
        return relay->channel->connected();
    });
    schedule_.set_remote_max(each * static_cast<size_t>(connected));
    wake_.pulse();
    pump();
}

std::shared_ptr<Dispatcher::Relay> Dispatcher::least_busy_relay() {
    std::shared_ptr<Relay> best;
    for (const auto& relay : relays_) {
        if (!relay->channel->connected()) continue;
        if (!best || relay->running < best->running) best = relay;
    }
    return best;
}

void Dispatcher::pump() {
    if (pumping_) return; // an errand that ended at once
    pumping_ = true;
    while (!queue_.paused()) {
        auto errand = schedule_.next(queue_.clock.monotonic_ms());
        if (!errand) break;
        if (errand->kind == spool::Kind::local) {
            queue_.nursery.spawn(deliver(std::move(*errand)));
        } else {
            auto to = least_busy_relay();
            check(to != nullptr, "remote errands are given out only while a relayd is there");
            ++to->running;
            queue_.nursery.spawn(relay(std::move(*errand), std::move(to)));
        }
    }
    pumping_ = false;
}

// nullptr: the message has left the queue (dropped by the administrator).
EnvelopePtr Dispatcher::envelope_of(const Job& job) {
    if (job.envelope) return job.envelope;
    auto loaded = queue_.db.load(job.key.seq);
    if (!loaded) {
        schedule_.forget(job.key);
        return nullptr;
    }
    return std::make_shared<const spool::Envelope>(std::move(*loaded));
}

// An exception here would end the errand's coroutine and leave the errand running for ever.
std::optional<UniqueFd> Dispatcher::open_body(const Id& qid, spool::Status& trouble) {
    try {
        return queue_.spool.open_body(qid);
    } catch (const std::system_error& error) {
        log::Event("queue.body_unreadable", log::Level::error)
            .qid(qid)
            .with("error", error.what());
        trouble = {451, "4.3.0", "the message cannot be read at the moment", "", false};
        return std::nullopt;
    }
}

void Dispatcher::end(const Errand& errand, Schedule::Answer answer, const spool::Status& status) {
    const int64_t now = queue_.clock.monotonic_ms();
    auto drained = schedule_.finished(errand, answer, now);
    const auto until = schedule_.suspended_until(errand.lane, now);
    if (!drained.empty() || (until && answer == Schedule::Answer::unreachable)) {
        log::Event("queue.destination_rests", log::Level::notice)
            .with("destination", errand.lane)
            .with("ms", until.value_or(now) - now)
            .with("waiting", static_cast<int64_t>(drained.size()))
            .with("reason", status.text);
    }
    for (Job& job : drained) {
        job.recipient.status = status;
        defer_suspended(std::move(job), until.value_or(now));
    }
    pump();
}

// ---- local

// A while old, which is safe: time moves it only forward.
UtcTime Dispatcher::queued_since() {
    const int64_t now_ms = queue_.clock.monotonic_ms();
    if (now_ms - queued_since_asked_ms_ >= kLookMs) {
        queued_since_asked_ms_ = now_ms;
        queued_since_ = queue_.db.oldest().value_or(queue_.clock.now());
    }
    return queued_since_;
}

ipc::Deliver Dispatcher::delivery(const Job& job, const spool::Envelope& envelope) {
    ipc::Deliver request;
    request.facts.qid = job.qid;
    request.facts.rcpt_no = job.key.rcpt_no;
    request.facts.action_no = job.key.action_no;
    request.facts.account = job.recipient.account;
    request.facts.detail = job.recipient.detail;
    request.facts.reverse_path = envelope.reverse_path;
    request.facts.recipient = job.recipient.original;
    request.facts.prefix = local_prefix(envelope, job.recipient);
    request.facts.body_bytes = envelope.length;
    request.facts.body_crc32c = envelope.crc32c;
    request.facts.accepted = envelope.accepted;
    request.facts.queued_since = queued_since();
    request.facts.smtputf8 = envelope.smtputf8;
    request.spool_name = spool::body_path(job.qid);
    return request;
}

task<> Dispatcher::deliver(Errand errand) {
    Job& job = errand.jobs.front();
    const EnvelopePtr envelope = envelope_of(job);
    if (envelope) {
        ipc::Deliver request = delivery(job, *envelope);
        ipc::Delivered delivered;
        try {
            delivered = co_await deliverd_.call(std::move(request), kDeliverTimeoutMs);
        } catch (const ipc::PeerLost& lost) {
            delivered.status = {451, "4.3.0", lost.what()};
        }
        finish_local(envelope, job, delivered);
    }
    const spool::Status none;
    end(errand, Schedule::Answer::good, none);
}

void Dispatcher::finish_local(const EnvelopePtr& envelope,
                              Job& job,
                              const ipc::Delivered& delivered) {
    using ipc::DeliveryOutcome;
    const spool::Status status = status_of(delivered.status, "", false);
    spool::Status trouble;
    if (delivered.outcome == DeliveryOutcome::stored ||
        delivered.outcome == DeliveryOutcome::duplicate) {
        outcomes_.stored(job, delivered);
    } else if (delivered.outcome == DeliveryOutcome::refused) {
        ++job.recipient.attempts;
        job.recipient.last_attempt = queue_.clock.now();
        job.recipient.status = status;
        outcomes_.failed(envelope, {job});
    } else if (!open_body(job.qid, trouble) && trouble.code == 0) {
        outcomes_.lost(job);
    } else {
        outcomes_.deferred(envelope, job, status);
    }
}

// ---- remote

task<> Dispatcher::relay(Errand errand, std::shared_ptr<Relay> to) {
    const EnvelopePtr envelope = envelope_of(errand.jobs.front());
    Schedule::Answer answer = Schedule::Answer::lost;
    spool::Status status;
    std::optional<UniqueFd> body;
    if (envelope) body = open_body(envelope->qid, status);
    if (!envelope) {
        for (const Job& job : errand.jobs)
            schedule_.forget(job.key);
    } else if (status.code != 0) {
        for (const Job& job : errand.jobs)
            outcomes_.deferred(envelope, job, status);
    } else if (!body) {
        for (const Job& job : errand.jobs)
            outcomes_.lost(job);
    } else {
        ipc::Relay request;
        request.qid = envelope->qid;
        request.sid = envelope->sid;
        request.destination = errand.lane;
        request.reverse_path = envelope->reverse_path;
        auto& parameters = request.parameters;
        parameters.body = static_cast<ipc::BodyType>(std::min<uint8_t>(envelope->body, 2));
        parameters.smtputf8 = envelope->smtputf8;
        parameters.require_tls = envelope->require_tls;
        parameters.ret = envelope->ret;
        parameters.envid = envelope->envid;
        for (uint32_t i = 0; i < errand.jobs.size(); ++i) {
            request.recipients.emplace_back(i, errand.jobs[i].recipient.address);
            request.attempt = std::max(request.attempt, errand.jobs[i].recipient.attempts + 1);
        }
        request.prefix = envelope->prefix;
        request.body = std::move(*body);
        request.body_bytes = envelope->length;
        ipc::RelayDone done;
        try {
            done = co_await to->channel->call(std::move(request), kRelayTimeoutMs);
        } catch (const ipc::PeerLost& lost) {
            status = {451, "4.3.0", lost.what(), "", false};
        }
        if (status.code == 0) {
            answer = finish_remote(envelope, errand, done);
            if (!done.results.empty()) status = status_of(done.results[0].status, done.host, false);
        } else {
            for (const Job& job : errand.jobs)
                outcomes_.deferred(envelope, job, status);
        }
    }
    --to->running;
    end(errand, answer, status);
}

Schedule::Answer
Dispatcher::finish_remote(const EnvelopePtr& envelope, Errand& errand, const ipc::RelayDone& done) {
    std::vector<const ipc::RelayResult*> results(errand.jobs.size(), nullptr);
    for (const auto& result : done.results) {
        if (result.rcpt_no < results.size()) results[result.rcpt_no] = &result;
    }
    bool throttled = false, answered = false;
    std::vector<Job> failed;
    for (size_t i = 0; i < results.size(); ++i) {
        Job& job = errand.jobs[i];
        if (results[i] == nullptr) {
            outcomes_.deferred(envelope, job, {451, "4.3.0", "relayd gave no answer", "", false});
            continue;
        }
        const ipc::RelayResult& result = *results[i];
        const spool::Status status = status_of(result.status, done.host, result.from_peer);
        throttled = throttled || is_throttle(result);
        // A refusal of our own (null MX, no such domain) is an answer of the network too.
        answered = answered || result.from_peer || result.outcome != ipc::RelayOutcome::deferred;
        if (result.outcome == ipc::RelayOutcome::sent) {
            outcomes_.sent(job, status, done.tls);
        } else if (result.outcome == ipc::RelayOutcome::deferred) {
            outcomes_.deferred(envelope, job, status);
        } else {
            ++job.recipient.attempts;
            job.recipient.last_attempt = queue_.clock.now();
            job.recipient.status = status;
            failed.push_back(job);
        }
    }
    if (!failed.empty()) outcomes_.failed(envelope, std::move(failed));
    if (throttled) return Schedule::Answer::throttled;
    return answered ? Schedule::Answer::good : Schedule::Answer::unreachable;
}

} // namespace tambo::queued
