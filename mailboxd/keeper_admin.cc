// Verbs of control/keeper.sock: fsck ACCOUNT-ID ADDRESS [repair], status.
#include "mailboxd/keeper.h"

#include "common/base/text.h"
#include "common/sys/fdpass.h"

#include <sys/socket.h>
#include <sysexits.h>

namespace tambo::mailboxd {

namespace {
constexpr int64_t kFsckTimeoutMs = 3'600'000;

task<ipc::AdminAnswer> as_task(ipc::AdminAnswer answer) {
    co_return answer;
}
} // namespace

void Keeper::serve_admin(ipc::AdminServer& admin) {
    admin.on("fsck",
             [this](ipc::AdminRequest request, ipc::Asker) { return fsck(std::move(request)); });
    admin.on("status", [this](ipc::AdminRequest, ipc::Asker) { return as_task(status()); });
}

ipc::AdminAnswer Keeper::status() const {
    ipc::AdminAnswer answer;
    answer.columns = {"accounts_in_use"};
    answer.rows.push_back({cat(entries_.size())});
    return answer;
}

// The account's process ends first: sessions get their protocol's goodbye, deliveries wait in the
// queue. The check runs in a process of the same kind, in the same sandbox.
task<ipc::AdminAnswer> Keeper::fsck(ipc::AdminRequest request) {
    ipc::AdminAnswer answer;
    const auto account = request.words.empty() ? std::nullopt : Id::parse(request.words[0]);
    if (!account || request.words.size() < 2) {
        answer.exit_code = EX_USAGE;
        answer.error = "fsck takes an account id and its address";
        co_return answer;
    }
    ipc::KickAccount kick_message;
    kick_message.account = *account;
    kick(kick_message);
    Spawn order;
    order.account = *account;
    order.address = request.words[1];
    order.epoch = epoch_;
    order.disk_reserve_bytes = static_cast<uint64_t>(config_.disk_reserve);
    ipc::Fsck question;
    question.repair = request.words.size() > 2 && request.words[2] == "repair";
    order.purpose = question.repair ? Purpose::fsck_repair : Purpose::fsck;
    auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
    order.channel = std::move(theirs);
    ipc::Channel channel(nursery_, "fsck");
    co_await sleep_ms(nursery_, 300); // the ended process gives its lock back
    zygote_.spawn(order);
    order.channel.reset();
    channel.attach(std::move(mine));
    answer.columns = {"address", "finding"};
    try {
        auto report = co_await channel.call(question, kFsckTimeoutMs);
        for (const auto& finding : report.findings) {
            answer.rows.push_back({request.words[1], finding});
        }
        if (report.clean) answer.rows.push_back({request.words[1], "clean"});
        answer.exit_code = report.clean ? 0 : 1;
    } catch (const ipc::PeerLost&) {
        answer.exit_code = EX_SOFTWARE;
        answer.error =
            cat("the check of ", request.words[1], " failed; see tambo trace ", request.words[1]);
    }
    channel.drop("done");
    co_return answer;
}

} // namespace tambo::mailboxd
