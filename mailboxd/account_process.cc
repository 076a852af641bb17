#include "mailboxd/account_process.h"

#include "common/base/text.h"
#include "common/ipc/channel.h"
#include "common/store/account.h"
#include "common/store/fsck.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/log.h"
#include "imapd/session/facts.h"
#include "mailboxd/account_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace tambo::mailboxd {

namespace {

constexpr int64_t kTidyMs = 5'000;
constexpr int64_t kSnapshotMs = 24 * 3'600'000;

Id new_id() {
    SystemRandom random;
    return Id{random.u64(), random.u64()};
}

store::Options options_of(const Spawn& order, Clock& clock) {
    store::Options options;
    options.clock = &clock;
    options.new_id = new_id;
    options.epoch = order.epoch;
    options.quota = {order.quota_bytes, order.quota_messages};
    options.facts = imap::kFactsParser;
    options.disk_reserve_bytes = order.disk_reserve_bytes;
    return options;
}

void enter_directory(const Spawn& order, int mail, const sandbox::Prepared& sandbox) {
    const UniqueFd own(::openat(mail, order.account.text().c_str(),
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    ::close(mail);
    if (!own.valid() || ::fchdir(own.get()) != 0) {
        throw_errno("enter the directory of " + order.account.text());
    }
    sandbox::Entry entry; // the user was changed in the zygote
    entry.paths = {{own.get(), sandbox::Access::read_write | sandbox::Access::refer}};
    entry.root_fd = own.get();
    sandbox.enter(entry);
}

// Answers Fsck, once, with what store::fsck found.
class FsckService {
  public:
    FsckService(const Spawn& order, Clock& clock) : order_(order), clock_(clock) {}

    task<ipc::FsckReport> examine(ipc::Fsck question) {
        ipc::FsckReport answer;
        store::FsckOptions options;
        options.store = options_of(order_, clock_);
        options.repair = question.repair;
        const auto report = store::fsck(".", options);
        if (!report) {
            answer.findings.push_back(cat("cannot check: ", store::text_of(report.error())));
            co_return answer;
        }
        answer.clean = report->findings_total == 0;
        for (const auto& finding : report->findings) {
            if (answer.findings.size() >= 200) break; // one answer is one datagram
            answer.findings.push_back(cat(store::text_of(finding.kind), ": ",
                                          finding.subject.substr(0, 200),
                                          finding.repaired ? " (repaired)" : ""));
        }
        co_return answer;
    }

  private:
    const Spawn& order_;
    Clock& clock_;
};

void serve_fsck(Spawn order) {
    SystemClock clock;
    Loop loop;
    Nursery nursery(loop);
    FsckService service(order, clock);
    ipc::Channel keeper(nursery, "keeper");
    keeper.on<ipc::Fsck>(service, &FsckService::examine);
    keeper.on_lost = [&] { loop.stop(); };
    keeper.attach(std::move(order.channel));
    loop.run();
    nursery.cancel();
}

void serve(Spawn order) {
    SystemClock clock;
    auto account = store::Account::open(".", options_of(order, clock));
    if (!account) {
        log::Event("account.open_failed", log::Level::error)
            .with("account", order.address)
            .with("reason", store::text_of(account.error()));
        ::_exit(1);
    }
    Loop loop;
    Nursery nursery(loop);
    {
        AccountService service(nursery, **account, order);
        service.on_end = [&] { loop.stop(); };
        loop.every(kTidyMs, [&] { service.tidy(); });
        loop.every(kSnapshotMs, [&] { static_cast<void>((*account)->snapshot()); });
        service.attach(std::move(order.channel));
        loop.run();
        nursery.cancel();
    }
    const bool failed = (*account)->failure().has_value();
    (*account)->close();
    if (failed) ::_exit(1);
}

} // namespace

void run_account_process(Spawn order, int mail, const sandbox::Prepared& sandbox) {
    std::signal(SIGCHLD, SIG_DFL);
    try {
        enter_directory(order, mail, sandbox);
        if (order.purpose == Purpose::serve) {
            serve(std::move(order));
        } else {
            serve_fsck(std::move(order));
        }
    } catch (const std::exception& error) {
        log::Event("account.failed", log::Level::error)
            .with("account", order.address)
            .with("reason", error.what());
        ::_exit(1);
    }
    ::_exit(0);
}

} // namespace tambo::mailboxd
