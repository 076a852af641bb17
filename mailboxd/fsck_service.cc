#include "mailboxd/fsck_service.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/channel.h"
#include "common/sys/clock.h"
#include "imapd/session/facts.h"

namespace tambo::mailboxd {

namespace {

constexpr size_t kFindingsMax = 150;
constexpr size_t kFindingBytes = 300;
// Of an answer to the command line; the rest of the datagram is for its other fields.
constexpr size_t kRowsBytesMax = limits::ipc_message_bytes - 4 * 1024;
constexpr size_t kRowBytes = 12;    // the lengths of a row and its two texts
constexpr int kBusyWaitMs = 10'000; // for a predecessor that is closing the index

Id new_id() {
    SystemRandom random;
    const uint64_t high = random.u64();
    return Id{high, random.u64()};
}

} // namespace

store::Options store_options(const Spawn& order, Clock& clock) {
    store::Options options;
    options.clock = &clock;
    options.new_id = new_id;
    options.epoch = order.epoch;
    options.read_only = order.read_only;
    options.busy_wait_ms = kBusyWaitMs;
    options.quota = {order.quota_bytes, order.quota_messages};
    options.facts = imap::kFactsParser;
    options.disk_reserve_bytes = order.disk_reserve_bytes;
    return options;
}

ipc::FsckReport answer_of(const store::Outcome<store::FsckReport>& report) {
    ipc::FsckReport answer;
    if (!report.ok()) {
        answer.damaged = report.error() == store::Refusal::corrupt;
        answer.findings.push_back(cat("cannot check: ", store::text_of(report.error())));
        return answer;
    }
    answer.damaged = !report->usable;
    answer.clean = report->findings_total == 0;
    for (const auto& finding : report->findings) {
        if (answer.findings.size() == kFindingsMax) break;
        answer.findings.push_back(cat(store::text_of(finding.kind), ": ",
                                      finding.subject.substr(0, kFindingBytes),
                                      finding.repaired ? " (repaired)" : ""));
    }
    answer.more = report->findings_total - answer.findings.size();
    if (!report->restored_from.empty()) {
        answer.findings.push_back(
            cat("index restored from ", report->restored_from.substr(0, kFindingBytes)));
    }
    return answer;
}

ipc::AdminAnswer rows_of(const std::string& address, const ipc::FsckReport& report) {
    ipc::AdminAnswer answer;
    answer.columns = {"address", "finding"};
    size_t bytes = 0;
    for (const auto& finding : report.findings) {
        bytes += kRowBytes + address.size() + finding.size();
        if (bytes > kRowsBytesMax) break;
        answer.rows.push_back({address, finding});
    }
    const uint64_t more = report.more + (report.findings.size() - answer.rows.size());
    if (more > 0) answer.rows.push_back({address, cat("and ", more, " more")});
    if (report.clean) answer.rows.push_back({address, "clean"});
    answer.exit_code = report.clean ? 0 : 1;
    return answer;
}

task<ipc::FsckReport> FsckService::examine(ipc::Fsck question) {
    store::FsckOptions options;
    options.store = store_options(order_, clock_);
    options.repair = question.repair;
    co_return answer_of(store::fsck(".", options));
}

ipc::AccountUsage usage_of(const store::Account& account) {
    const auto usage = account.usage();
    return {"", usage.bytes, usage.messages};
}

task<ipc::AccountUsage> FsckService::usage(ipc::AskUsage) {
    auto opened = store::Account::open(".", store_options(order_, clock_));
    ipc::AccountUsage answer;
    if (opened.ok()) {
        answer = usage_of(**opened);
        (*opened)->close();
    } else {
        answer.problem = store::text_of(opened.error());
    }
    co_return answer;
}

int FsckService::run() {
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel keeper(nursery, "keeper");
    keeper.on<ipc::Fsck>(*this, &FsckService::examine);
    keeper.on<ipc::AskUsage>(*this, &FsckService::usage);
    keeper.on_lost = [&] { loop.stop(); };
    keeper.attach(std::move(order_.channel));
    loop.run();
    nursery.finish();
    return 0;
}

} // namespace tambo::mailboxd
