#include "queued/report.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/compose.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "queued/bounce.h"

#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace tambo::queued {

using spool::Report;

namespace {

constexpr int64_t kResolveTimeoutMs = 30'000;
constexpr int64_t kResolveAgainMs = 1000;

// The part of a body that a report can show.
std::string head_of(int body, size_t most) {
    std::string head(most, '\0');
    size_t have = 0;
    while (have < most) {
        const ssize_t got =
            ::pread(body, head.data() + have, most - have, static_cast<off_t>(have));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break; // what is missing is missing in the report too
        have += static_cast<size_t>(got);
    }
    head.resize(have);
    return head;
}

std::string_view name_of(Report kind) {
    if (kind == Report::delay) return "delay";
    return kind == Report::postmaster ? "postmaster" : "failure";
}

std::string key_of(std::string_view what, const Job& job) {
    return cat(what, '/', job.qid.text(), '/', job.key.rcpt_no, '.', job.key.action_no);
}

struct Counted {
    size_t& count;
    explicit Counted(size_t& c) : count(++c) {}
    ~Counted() { --count; }
};

} // namespace

bool Reports::Resolved::local() const {
    return std::any_of(targets.begin(), targets.end(), [](const ipc::Target& target) {
        return target.kind == ipc::TargetKind::local;
    });
}

void Reports::report_failure(const EnvelopePtr& envelope, std::vector<Job> jobs) {
    queue_.nursery.spawn(failure(envelope, std::move(jobs)));
}

void Reports::consider_delay_notice(const EnvelopePtr& envelope) {
    const int64_t age = queue_.clock.now().ms - envelope->accepted.ms;
    if (!notice_due(queue_.rules(), age)) return;
    if (envelope->notified || envelope->reverse_path.empty()) return;
    if (envelope->source == spool::Source::queue) return;
    if (!noticing_.insert(envelope->seq).second) return;
    queue_.nursery.spawn(notice(envelope));
}

// Waits for authd as long as it takes: the deliveries stay in the queue meanwhile.
task<Reports::Resolved> Reports::resolve(std::string address) {
    ipc::Resolution resolution;
    for (bool answered = false; !answered;) {
        ipc::Resolve question;
        question.service = ipc::Service::local;
        question.recipients_total = 1;
        question.recipients.push_back(address);
        try {
            resolution = co_await authd_.call(std::move(question), kResolveTimeoutMs);
            answered = true;
        } catch (const ipc::PeerLost&) {
        }
        if (!answered) co_await sleep_ms(queue_.nursery, kResolveAgainMs);
    }
    Resolved resolved;
    if (resolution.refusal.code != 0 || resolution.recipients.size() != 1) co_return resolved;
    auto& answer = resolution.recipients[0];
    if (answer.refusal.code != 0) co_return resolved;
    resolved.targets = std::move(answer.targets);
    resolved.dkim_domain = std::move(resolution.dkim_domain);
    co_return resolved;
}

void Reports::say_dropped(const spool::Envelope& envelope,
                          const std::vector<Job>& jobs,
                          std::string_view why) {
    for (const Job& job : jobs) {
        log::Event("queue.double_bounce", log::Level::warning)
            .qid(envelope.qid)
            .rcpt(job.recipient.original)
            .with("reason", why);
    }
}

task<> Reports::failure(EnvelopePtr envelope, std::vector<Job> jobs) {
    const Counted counted(under_way_);
    std::vector<spool::RecipientKey> keys;
    Draft draft;
    for (const Job& job : jobs) {
        keys.push_back(job.key);
        if (wants_report(job.recipient.notify, Report::failure)) {
            draft.about.push_back(job.recipient);
        }
    }
    draft.key = key_of("failure", jobs.front());
    draft.to = envelope->reverse_path;
    const bool own = envelope->source == spool::Source::queue;
    if (draft.to.empty()) {
        if (!own || envelope->report == Report::postmaster) {
            say_dropped(*envelope, jobs, "undeliverable, and the sender is null");
            draft.about.clear();
        }
    } else if (!draft.about.empty()) {
        draft.resolved = co_await resolve(draft.to);
    }
    if (!draft.about.empty() && draft.resolved.targets.empty()) {
        say_dropped(*envelope, jobs, "the report cannot be returned, the postmaster gets it");
        draft.kind = Report::postmaster;
        draft.to = cat("postmaster@", queue_.config().hostname);
        draft.resolved = co_await resolve("postmaster");
        if (draft.resolved.targets.empty()) {
            say_dropped(*envelope, jobs, "there is no postmaster");
            draft.about.clear();
        }
    }
    Change change = outcomes_->finish(envelope->qid, std::move(keys));
    const bool dropped = !queue_.db.holds(envelope->qid); // by the administrator, meanwhile
    if (!draft.about.empty() && !dropped) {
        const auto report = write(*envelope, std::move(draft));
        if (!report) {
            outcomes_->postpone(std::move(jobs));
            co_return;
        }
        add_to(change, report, envelope->qid);
    }
    queue_.committer.record(std::move(change), Urgency::soon);
}

task<> Reports::notice(EnvelopePtr envelope) {
    const Counted counted(under_way_);
    struct Done {
        std::set<int64_t>& set;
        int64_t seq;
        ~Done() { set.erase(seq); }
    } const done{noticing_, envelope->seq};

    Draft draft;
    draft.kind = Report::delay;
    draft.key = cat("delay/", envelope->qid.text());
    draft.to = envelope->reverse_path;
    draft.resolved = co_await resolve(draft.to);
    // Strangers are not told: their own server waits as well as ours does.
    const bool ours = envelope->source == spool::Source::submission || draft.resolved.local();
    const auto current = queue_.db.load(envelope->seq);
    if (!current || current->notified) co_return;
    for (auto& [key, recipient] : queue_.db.recipients(envelope->seq)) {
        const bool waits = recipient.attempts > 0 && recipient.status.code != 0;
        if (waits && wants_report(recipient.notify, Report::delay)) {
            draft.about.push_back(std::move(recipient));
        }
    }
    Change change;
    change.apply = [seq = envelope->seq](spool::QueueDb& db) { db.set_notified(seq); };
    if (ours && !draft.about.empty() && !draft.resolved.targets.empty()) {
        const auto report = write(*envelope, std::move(draft));
        if (!report) co_return; // at the next attempt
        add_to(change, report, envelope->qid);
    }
    queue_.committer.record(std::move(change), Urgency::soon);
}

std::shared_ptr<Acceptance> Reports::write(const spool::Envelope& about, Draft draft) {
    try {
        return make_message(about, draft);
    } catch (const std::system_error& error) {
        log::Event("queue.report_not_written", log::Level::error)
            .qid(about.qid)
            .with("error", error.what());
        return nullptr;
    }
}

std::shared_ptr<Acceptance> Reports::make_message(const spool::Envelope& about,
                                                  const Draft& draft) {
    BounceFacts facts;
    facts.kind = draft.kind;
    facts.id = queue_.next_id();
    facts.now = queue_.clock.now();
    facts.gives_up.ms = about.accepted.ms + lifetime_ms(queue_.rules(), false);
    facts.hostname = queue_.config().hostname;
    facts.to = draft.to;
    const mime::Report report = make_report(facts, about, draft.about);
    std::string head;
    if (const auto body = queue_.spool.open_body(about.qid)) {
        head = head_of(body->get(), std::min<size_t>(about.length, limits::header_bytes_max));
    }
    const std::string text = mime::compose_report(report, mime::MessageView(about.prefix, head));

    auto message = std::make_shared<Acceptance>();
    spool::NewBody body = queue_.spool.create(facts.id);
    try {
        write_all(body.writer.get(), text, "report");
    } catch (const std::system_error&) {
        queue_.spool.remove(facts.id);
        throw;
    }
    message->body = std::move(body.reader);
    spool::Envelope& envelope = message->envelope;
    envelope.qid = facts.id;
    envelope.source = spool::Source::queue;
    envelope.report = draft.kind;
    envelope.report_key = draft.key;
    envelope.sid = about.sid;
    envelope.protocol = "local";
    envelope.message_id = mime::make_message_id(facts.id, facts.hostname);
    envelope.header_from = report.from_address;
    envelope.dkim_domain = draft.resolved.dkim_domain;
    envelope.body = is_ascii(text) ? 0 : 1;
    envelope.smtputf8 = report.utf8;
    envelope.length = text.size();
    envelope.crc32c = crc32c(0, text);
    envelope.accepted = facts.now;
    envelope.uptime_ms = queue_.uptime_ms();
    const ipc::EnvelopeRecipient to{draft.to, "", ""};
    message->recipients = recipients_of(0, to, draft.resolved.targets, facts.now);
    return message;
}

void Reports::add_to(Change& change,
                     const std::shared_ptr<Acceptance>& report,
                     const Id& about) {
    const auto inserted = std::make_shared<bool>(false);
    change.body = std::make_shared<UniqueFd>(std::move(report->body));
    change.apply = [this, apply = std::move(change.apply), report, inserted](spool::QueueDb& db) {
        apply(db);
        report->envelope.seq = queue_.committer.take_seq();
        *inserted = db.insert(report->envelope, report->recipients);
    };
    change.durable = [this, durable = std::move(change.durable), report, inserted, about] {
        if (durable) durable();
        const spool::Envelope& envelope = report->envelope;
        if (!*inserted) { // it was written before
            queue_.remove_body(envelope.qid);
            return;
        }
        log::Event("queue.report")
            .qid(envelope.qid)
            .sid(envelope.sid)
            .rcpt(report->recipients.front().original)
            .with("kind", name_of(envelope.report))
            .with("about", about.text());
        queue_.committer.on_accepted(*report);
    };
}

} // namespace tambo::queued
