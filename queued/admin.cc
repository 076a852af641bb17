#include "queued/admin.h"

#include "common/base/text.h"
#include "common/smtp/domain.h"
#include "common/sys/log.h"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace tambo::queued {

namespace {

constexpr size_t kRowsBytesMax = 40 * 1024; // of an answer, to fit into a datagram
constexpr size_t kReasonBytesMax = 300;
constexpr size_t kScanAtOnce = 2000; // rows; then others get their turn
constexpr size_t kCatBytes = 48 * 1024;

ipc::AdminAnswer problem(uint8_t exit_code, std::string error) {
    ipc::AdminAnswer answer;
    answer.exit_code = exit_code;
    answer.error = std::move(error);
    return answer;
}

std::string domain_of(std::string_view address) {
    const auto at = address.rfind('@');
    if (at == std::string_view::npos) return {};
    const auto domain = address.substr(at + 1);
    return smtp::domain_key(domain).value_or(to_lower(domain));
}

std::string reason_of(const spool::Status& status) {
    if (status.code == 0) return {};
    std::string text =
        cat(status.code, ' ', status.enhanced, status.enhanced.empty() ? "" : " ", status.text);
    if (!status.host.empty()) text = cat(status.host, ": ", text);
    return text.substr(0, kReasonBytesMax);
}

std::string time_text(UtcTime time) {
    return time.ms > 0 ? format_rfc3339(time) : std::string();
}

std::vector<std::string> row_of(const spool::Listed& row, bool is_over) {
    const spool::Recipient& r = row.recipient;
    const bool goes_on = !row.held && !row.lost && !is_over;
    return {row.qid.text(),     format_rfc3339(row.accepted),
            cat(row.length),    row.reverse_path,
            r.original,         std::string(status_of(row, is_over)),
            cat(r.attempts),    goes_on ? time_text(r.next_attempt) : std::string(),
            is_over ? std::string() : reason_of(r.status)};
}

size_t bytes_of(const std::vector<std::string>& row) {
    size_t bytes = 8;
    for (const auto& cell : row)
        bytes += cell.size() + 4;
    return bytes;
}

std::string cursor_text(const spool::RecipientKey& key) {
    return cat(key.seq, '.', key.rcpt_no, '.', key.action_no);
}

std::optional<spool::RecipientKey> parse_cursor(std::string_view text) {
    if (text.empty()) return spool::RecipientKey{};
    const auto parts = split(text, '.');
    if (parts.size() != 3) return std::nullopt;
    const auto seq = parse_uint(parts[0], INT64_MAX);
    const auto rcpt = parse_uint(parts[1], UINT32_MAX);
    const auto action = parse_uint(parts[2], UINT32_MAX);
    if (!seq || !rcpt || !action) return std::nullopt;
    return spool::RecipientKey{static_cast<int64_t>(*seq), static_cast<uint32_t>(*rcpt),
                               static_cast<uint32_t>(*action)};
}

} // namespace

std::string_view status_of(const spool::Listed& row, bool is_over) {
    if (is_over) return "delivered";
    if (row.lost) return "lost";
    if (row.held) return "held";
    return row.recipient.attempts > 0 ? "deferred" : "queued";
}

bool Selection::matches(const spool::Listed& row, bool is_over, UtcTime now) const {
    if (!ids.empty() && std::find(ids.begin(), ids.end(), row.qid) == ids.end()) return false;
    if (from && !iequals(*from, row.reverse_path)) return false;
    if (to && !iequals(*to, row.recipient.original) && !iequals(*to, row.recipient.address)) {
        return false;
    }
    if (domain && domain_of(row.recipient.original) != *domain &&
        domain_of(row.recipient.address) != *domain) {
        return false;
    }
    if (status && *status != status_of(row, is_over)) return false;
    return !older_ms || now.ms - row.accepted.ms >= *older_ms;
}

Result<Selection> parse_selection(const std::vector<std::string>& words) {
    Selection selection;
    for (const std::string& word : words) {
        const auto [name, value] = split_once(word, '=');
        if (word.find('=') == std::string::npos) {
            const auto id = Id::parse(to_lower(word));
            if (!id) return Err{cat("not a queue id: ", escape(word))};
            selection.ids.push_back(*id);
        } else if (name == "from") {
            selection.from = value == "<>" ? std::string() : std::string(value);
        } else if (name == "to") {
            selection.to = value;
        } else if (name == "domain") {
            selection.domain = smtp::domain_key(value).value_or(to_lower(value));
        } else if (name == "older") {
            selection.older_ms = parse_duration_ms(value);
            if (!selection.older_ms) return Err{cat("not a duration: ", escape(value))};
        } else if (name == "status") {
            selection.status = value;
            constexpr std::array<std::string_view, 5> kKnown{"queued", "deferred", "held", "lost",
                                                             "delivered"};
            if (std::ranges::find(kKnown, value) == kKnown.end()) {
                return Err{cat("not a status (queued, deferred, held, lost, delivered): ",
                               escape(value))};
            }
        } else {
            return Err{cat("not a filter (from, to, domain, older, status): ", escape(name))};
        }
    }
    return selection;
}

Admin::Admin(Queue& queue, Dispatcher& dispatcher, Syncer& syncer, ipc::AdminServer& server)
    : queue_(queue), dispatcher_(dispatcher), syncer_(syncer) {
    add(server, "queue.list", &Admin::list);
    add(server, "queue.show", &Admin::show);
    add(server, "queue.cat", &Admin::cat_message);
    add(server, "queue.hold", &Admin::hold);
    add(server, "queue.release", &Admin::release);
    add(server, "queue.retry", &Admin::retry);
    add(server, "queue.drop", &Admin::drop);
    add(server, "queue.flush", &Admin::flush);
    add(server, "status", &Admin::status);
}

void Admin::add(ipc::AdminServer& server, const char* name, Verb verb) {
    server.on(name, [this, verb](ipc::AdminRequest request, ipc::Asker) {
        return (this->*verb)(std::move(request));
    });
}

// ---- looking

task<ipc::AdminAnswer> Admin::list(ipc::AdminRequest request) {
    const auto selection = parse_selection(request.words);
    if (!selection) co_return problem(EX_USAGE, selection.error());
    auto at = parse_cursor(request.cursor);
    if (!at) co_return problem(EX_USAGE, "bad cursor");
    ipc::AdminAnswer answer;
    answer.columns = {"queue_id", "accepted", "size",         "from",  "to",
                      "status",   "attempts", "next_attempt", "reason"};
    const UtcTime now = queue_.clock.now();
    size_t bytes = 0;
    const auto visit = [&](const spool::Listed& row) {
        const bool is_over = dispatcher_.outcomes().is_over(row.key);
        if (!selection->matches(row, is_over, now)) return true;
        answer.rows.push_back(row_of(row, is_over));
        bytes += bytes_of(answer.rows.back());
        return bytes < kRowsBytesMax;
    };
    while (at && bytes < kRowsBytesMax) {
        at = queue_.db.scan(*at, kScanAtOnce, visit);
        co_await sleep_ms(queue_.nursery, 0);
    }
    if (at) answer.next = cursor_text(*at);
    co_return answer;
}

task<ipc::AdminAnswer> Admin::show(ipc::AdminRequest request) {
    const auto selection = parse_selection(request.words);
    if (!selection) co_return problem(EX_USAGE, selection.error());
    if (selection->ids.size() != 1) co_return problem(EX_USAGE, "one queue id");
    const auto e = queue_.db.find(selection->ids[0]);
    if (!e) co_return problem(1, cat("no such message in the queue: ", request.words[0]));
    ipc::AdminAnswer answer;
    answer.columns = {"field", "value"};
    constexpr std::array<std::string_view, 3> kSources{"mx", "submission", "queue"};
    const auto first = parse_uint(request.cursor).value_or(0);
    if (first == 0) {
        answer.rows = {{"queue_id", e->qid.text()},
                       {"accepted", format_rfc3339(e->accepted)},
                       {"from", cat('<', e->reverse_path, '>')},
                       {"login", e->login},
                       {"source", std::string(kSources[static_cast<size_t>(e->source)])},
                       {"client", cat(e->client_name, '[', e->client_ip, ']')},
                       {"helo", e->helo},
                       {"protocol", e->protocol},
                       {"session", e->sid},
                       {"size", cat(e->length)},
                       {"message_id", e->message_id},
                       {"header_from", e->header_from},
                       {"held", e->held ? "yes" : "no"},
                       {"lost", e->lost ? "yes" : "no"},
                       {"notice_sent", e->notified ? "yes" : "no"}};
        if (!e->report_key.empty()) answer.rows.push_back({"report", e->report_key});
    }
    const auto recipients = queue_.db.recipients(e->seq);
    size_t bytes = 0;
    for (size_t i = first; i < recipients.size(); ++i) {
        const spool::Recipient& r = recipients[i].second;
        std::string text = cat(r.original, iequals(r.original, r.address) ? "" : " -> ",
                               iequals(r.original, r.address) ? "" : r.address);
        text += cat(", attempts ", r.attempts);
        if (r.last_attempt.ms > 0) text += cat(", last ", format_rfc3339(r.last_attempt));
        const bool is_over = dispatcher_.outcomes().is_over(recipients[i].first);
        if (is_over) text += ", delivered";
        if (!e->held && !e->lost && !is_over) text += cat(", next ", time_text(r.next_attempt));
        if (r.status.code != 0) text += cat(", ", reason_of(r.status));
        answer.rows.push_back({"to", std::move(text)});
        bytes += bytes_of(answer.rows.back());
        if (bytes > kRowsBytesMax / 2 && i + 1 < recipients.size()) {
            answer.next = cat(i + 1);
            break;
        }
    }
    co_return answer;
}

task<ipc::AdminAnswer> Admin::cat_message(ipc::AdminRequest request) {
    const auto selection = parse_selection(request.words);
    if (!selection) co_return problem(EX_USAGE, selection.error());
    if (selection->ids.size() != 1) co_return problem(EX_USAGE, "one queue id");
    const auto e = queue_.db.find(selection->ids[0]);
    if (!e) co_return problem(1, cat("no such message in the queue: ", request.words[0]));
    const auto body = queue_.spool.open_body(e->qid);
    if (!body) co_return problem(EX_DATAERR, "its body is not in the spool any more");
    const auto offset = parse_uint(request.cursor).value_or(0);
    std::string text = offset < e->prefix.size() ? e->prefix.substr(offset, kCatBytes) : "";
    const uint64_t in_body = offset + text.size() - e->prefix.size();
    if (offset + text.size() >= e->prefix.size() && text.size() < kCatBytes) {
        std::string piece(kCatBytes - text.size(), '\0');
        const ssize_t got =
            ::pread(body->get(), piece.data(), piece.size(), static_cast<off_t>(in_body));
        if (got < 0) co_return problem(EX_IOERR, "its body cannot be read");
        text.append(piece, 0, static_cast<size_t>(got));
    }
    ipc::AdminAnswer answer;
    answer.columns = {"text"};
    const uint64_t end = offset + text.size();
    if (!text.empty() && end < e->prefix.size() + e->length) answer.next = cat(end);
    if (!text.empty()) answer.rows.push_back({std::move(text)});
    co_return answer;
}

task<ipc::AdminAnswer> Admin::status(ipc::AdminRequest) {
    const UtcTime now = queue_.clock.now();
    const spool::Counts counts = queue_.db.count(now);
    const int64_t monotonic = queue_.clock.monotonic_ms();
    const Schedule& schedule = dispatcher_.schedule();
    const ipc::ReplyText refusal = queue_.refusal(0);
    ipc::AdminAnswer answer;
    answer.columns = {"name", "value"};
    answer.rows = {
        {"accepting", refusal.code == 0 ? "yes" : cat("no: ", refusal.text)},
        {"messages", cat(counts.messages)},
        {"recipients", cat(counts.recipients)},
        {"deferred", cat(counts.deferred)},
        {"held", cat(counts.held)},
        {"lost", cat(counts.lost)},
        {"oldest", counts.oldest ? format_rfc3339(*counts.oldest) : ""},
        {"active", cat(schedule.active())},
        {"running", cat(schedule.running())},
        {"destinations_resting", cat(schedule.suspended(monotonic))},
        {"transactions_open", cat(open_transactions ? open_transactions() : 0)},
        {"batches", cat(queue_.committer.batches())},
        {"barriers_filesystem", cat(syncer_.filesystem_barriers())},
        {"barriers_files", cat(syncer_.file_barriers())},
        {"syncfs_p99_ms", cat(syncer_.p99_ms())},
        {"free_bytes", cat(queue_.spool.space().bytes)},
        {"ran_ms", cat(queue_.uptime_ms())},
    };
    co_return answer;
}

} // namespace tambo::queued
