// Whom queued asks and hands messages on to, each behind a channel: authd, deliverd and relayd,
// which note what they get and answer as a test wants.
#pragma once

#include "common/event/nursery.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/relayd.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tambo::test {

inline ipc::Target local_target(uint64_t account, const std::string& address) {
    ipc::Target target;
    target.account = Id{1, account};
    target.address = address;
    return target;
}

inline ipc::Target remote_target(const std::string& address) {
    ipc::Target target;
    target.kind = ipc::TargetKind::remote;
    target.address = address;
    return target;
}

// Knows alice@, bob@ and postmaster at home.test; everything elsewhere is remote.
struct FakeAuthd {
    std::vector<ipc::Resolve> asked;
    ipc::ReplyText refuse_all;
    Nursery* nursery = nullptr;
    size_t most_at_once = 50; // recipients in an answer
    std::string silent_for;   // no answer to questions about this address
    std::map<std::string, ipc::ResolvedRecipient> special;

    task<ipc::Resolution> resolve(ipc::Resolve question) {
        asked.push_back(question);
        while (!silent_for.empty() && question.recipients[0] == silent_for) {
            co_await sleep_ms(*nursery, 1);
        }
        ipc::Resolution answer;
        answer.refusal = refuse_all;
        if (question.service == ipc::Service::submission) answer.login = "alice@home.test";
        for (const auto& address : question.recipients) {
            if (answer.recipients.size() < most_at_once) answer.recipients.push_back(one(address));
        }
        co_return answer;
    }
    ipc::ResolvedRecipient one(const std::string& address) {
        ipc::ResolvedRecipient r;
        if (const auto found = special.find(address); found != special.end()) return found->second;
        if (address == "alice@home.test") {
            r.targets = {local_target(1, address)};
        } else if (address == "bob@home.test") {
            r.targets = {local_target(2, address)};
        } else if (address == "postmaster") {
            r.targets = {local_target(1, "alice@home.test")};
        } else if (address.ends_with("@home.test")) {
            r.refusal = {550, "5.1.1", "no such user"};
        } else {
            r.targets = {remote_target(address)};
        }
        return r;
    }
};

struct FakeDeliverd {
    std::string spool;
    Nursery* nursery = nullptr;
    std::vector<ipc::Deliver> got;
    std::vector<std::string> bodies;
    ipc::Delivered answer;
    bool silent = false; // takes deliveries and never answers
    int answered = 0;

    FakeDeliverd() {
        answer.outcome = ipc::DeliveryOutcome::stored;
        answer.mailbox = "INBOX";
    }
    task<ipc::Delivered> deliver(ipc::Deliver request) {
        got.push_back(request);
        bodies.push_back(read_file(spool + "/bodies/" + request.spool_name, 1 << 24));
        while (silent)
            co_await sleep_ms(*nursery, 1);
        ++answered;
        co_return answer;
    }
};

struct FakeRelayd {
    Nursery* nursery = nullptr;
    std::vector<std::string> bodies;
    std::vector<ipc::Relay> got; // without their descriptors
    std::function<ipc::RelayResult(const std::string& address)> judge;
    bool silent = false;

    FakeRelayd() {
        judge = [](const std::string&) {
            ipc::RelayResult result;
            result.outcome = ipc::RelayOutcome::sent;
            result.from_peer = true;
            result.status = {250, "2.0.0", "ok"};
            return result;
        };
    }
    task<ipc::RelayDone> relay(ipc::Relay request) {
        bodies.push_back(read_whole(request.body.get(), 1 << 24, "body"));
        CHECK((::fcntl(request.body.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
        request.body.reset();
        ipc::RelayDone done;
        done.host = "mx.remote.test";
        for (const auto& [number, address] : request.recipients) {
            done.results.push_back(judge(address));
            done.results.back().rcpt_no = number;
        }
        got.push_back(std::move(request));
        while (silent)
            co_await sleep_ms(*nursery, 1);
        co_return done;
    }
};

} // namespace tambo::test
