// Verbs of control/keeper.sock (fsck ACCOUNT-ID ADDRESS [repair], usage ACCOUNT-ID, status), and
// the end of deleted accounts.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/sys/log.h"
#include "mailboxd/fsck_service.h"
#include "mailboxd/keeper.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace tambo::mailboxd {

namespace {

constexpr int64_t kFsckTimeoutMs = 3'600'000;
constexpr int64_t kEraseTimeoutMs = 600'000;
constexpr int64_t kGraceMs = 7 * 86'400'000ll; // of a deleted account's mail

task<ipc::AdminAnswer> as_task(ipc::AdminAnswer answer) {
    co_return answer;
}

// Accounts whose directory was renamed before this time.
std::vector<Id> buried_before(UtcTime time) {
    std::vector<Id> out;
    DIR* here = ::opendir(".");
    if (!here) return out;
    while (const dirent* entry = ::readdir(here)) {
        const std::string_view name = entry->d_name;
        const auto account = Id::parse(name.substr(0, 26));
        if (!account || name != Spawn::deleted_directory(*account)) continue;
        struct stat status {};
        if (::lstat(entry->d_name, &status) != 0 || !S_ISDIR(status.st_mode)) continue;
        if (int64_t{status.st_ctim.tv_sec} * 1000 < time.ms) out.push_back(*account);
    }
    ::closedir(here);
    return out;
}

uint64_t percent_of(uint64_t used, uint64_t quota) {
    return quota == 0 ? 0 : static_cast<uint64_t>(100.0 * double(used) / double(quota));
}

// A quota of 0 is none.
ipc::AdminAnswer usage_row(const AccountFacts& facts, const ipc::AccountUsage& usage) {
    const uint64_t percent = std::max(percent_of(usage.bytes, facts.quota_bytes),
                                      percent_of(usage.messages, facts.quota_messages));
    const bool limited = facts.quota_bytes > 0 || facts.quota_messages > 0;
    ipc::AdminAnswer answer;
    answer.columns = {"address",  "used_bytes",     "quota_bytes",
                      "messages", "quota_messages", "used_percent"};
    answer.rows.push_back({facts.address, cat(usage.bytes), cat(facts.quota_bytes),
                           cat(usage.messages), cat(facts.quota_messages),
                           limited ? cat(percent) : ""});
    return answer;
}

ipc::AdminAnswer refusal(uint8_t exit_code, std::string text) {
    ipc::AdminAnswer answer;
    answer.exit_code = exit_code;
    answer.error = std::move(text);
    return answer;
}

// The first mail makes the directory.
bool is_there(const Id& account) {
    struct stat status {};
    return ::stat(account.text().c_str(), &status) == 0 || errno != ENOENT;
}

} // namespace

void Keeper::serve_admin(ipc::AdminServer& admin) {
    admin.on("fsck",
             [this](ipc::AdminRequest request, ipc::Asker) { return fsck(std::move(request)); });
    admin.on("usage",
             [this](ipc::AdminRequest request, ipc::Asker) { return usage(std::move(request)); });
    admin.on("status", [this](ipc::AdminRequest, ipc::Asker) { return as_task(status()); });
}

ipc::AdminAnswer Keeper::status() const {
    const auto counts = table_.counts();
    ipc::AdminAnswer answer;
    answer.columns = {"running", "ending", "paused", "sessions"};
    answer.rows.push_back(
        {cat(counts.running), cat(counts.ending), cat(counts.paused), cat(counts.sessions)});
    return answer;
}

// An account that is in use is checked under its sessions; a damaged index is mended, and one that
// nobody uses is checked, in a process that has the directory to itself.
task<ipc::FsckReport> Keeper::check_account(Id account, AccountFacts facts, bool repair) {
    ipc::Fsck question;
    question.repair = repair;
    ipc::FsckReport report;
    if (table_.is_running(account)) {
        auto lease = co_await table_.acquire(account, facts);
        if (lease) {
            ipc::Channel& channel = lease.channel();
            report = co_await channel.call(question, kFsckTimeoutMs);
            if (!report.damaged || !repair) co_return report;
        }
    }
    auto lease = co_await table_.acquire_alone(account, facts, Purpose::fsck);
    if (!lease) {
        report.findings.push_back(cat("cannot check: ", lease.refusal()));
        co_return report;
    }
    ipc::Channel& channel = lease.channel();
    report = co_await channel.call(question, kFsckTimeoutMs);
    co_return report;
}

task<ipc::AdminAnswer> Keeper::fsck(ipc::AdminRequest request) {
    ipc::AdminAnswer answer;
    const auto account = request.words.empty() ? std::nullopt : Id::parse(request.words[0]);
    const bool repair = request.words.size() == 3 && request.words[2] == "repair";
    const bool whole = account && request.words.size() == (repair ? 3 : 2);
    if (!whole || request.words[1].size() > limits::smtp_path_bytes) {
        co_return refusal(EX_USAGE, "usage: fsck ACCOUNT-ID ADDRESS [repair]");
    }
    const std::string address = request.words[1];
    struct stat status {};
    if (::stat(account->text().c_str(), &status) != 0) {
        answer.columns = {"address", "finding"};
        answer.rows.push_back({address, "clean"}); // no mail came yet
        co_return answer;
    }
    AccountFacts facts;
    facts.address = address;
    answer.columns = {"address", "finding"};
    try {
        auto report = co_await check_account(*account, facts, repair);
        answer = rows_of(address, report);
    } catch (const ipc::PeerLost&) {
        answer.exit_code = EX_SOFTWARE;
        answer.error = cat("the check of ", address, " ended early; see the log");
    }
    co_return answer;
}

// Under its sessions if it is in use; otherwise in a process that ends with the answer, so that who
// asks about all accounts does not leave a process of each behind.
task<ipc::AccountUsage> Keeper::usage_of(Id account, AccountFacts facts) {
    auto acquiring = table_.is_absent(account) ? table_.acquire_alone(account, facts, Purpose::fsck)
                                               : table_.acquire(account, facts);
    auto lease = co_await std::move(acquiring);
    ipc::AccountUsage usage;
    if (!lease) {
        usage.problem = lease.refusal();
        co_return usage;
    }
    ipc::Channel& channel = lease.channel();
    ipc::AskUsage question;
    usage = co_await channel.call(question);
    co_return usage;
}

task<ipc::AdminAnswer> Keeper::usage(ipc::AdminRequest request) {
    const auto account = request.words.size() == 1 ? Id::parse(request.words[0]) : std::nullopt;
    if (!account) co_return refusal(EX_USAGE, "usage: usage ACCOUNT-ID");
    try {
        auto facts = co_await ask(*account);
        if (!facts) co_return refusal(EX_NOUSER, "no such account");
        const AccountFacts known = *facts;
        ipc::AccountUsage usage;
        if (is_there(*account)) usage = co_await usage_of(*account, known);
        if (usage.problem.empty()) co_return usage_row(known, usage);
        co_return refusal(EX_UNAVAILABLE, cat("cannot be looked at: ", usage.problem));
    } catch (const ipc::PeerLost&) {
        if (!is_there(*account)) co_return refusal(EX_NOUSER, "no such account");
    }
    co_return refusal(EX_UNAVAILABLE, "cannot be looked at: its process ended; see the log");
}

void Keeper::erase_old() {
    for (const Id& account : buried_before(UtcTime{clock_.now().ms - kGraceMs})) {
        nursery_.spawn(erase(account));
    }
}

// A process of its own, in its own sandbox, removes what is below; the empty directory goes here.
task<> Keeper::erase(Id account) {
    AccountFacts facts;
    facts.address = Spawn::deleted_directory(account);
    {
        auto lease = co_await table_.acquire_alone(account, facts, Purpose::erase);
        if (!lease) co_return;
        // It ends by itself, which closes its channel; its answer is the empty directory.
        ipc::Channel& channel = lease.channel();
        ipc::Fsck nothing;
        try {
            co_await channel.call(nothing, kEraseTimeoutMs);
        } catch (const ipc::PeerLost&) {
        }
    }
    const std::string directory = Spawn::deleted_directory(account);
    if (::rmdir(directory.c_str()) == 0) {
        log::Event("account.erased", log::Level::notice).with("directory", directory);
    }
}

} // namespace tambo::mailboxd
