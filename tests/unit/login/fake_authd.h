// An authd that a test of a login daemon scripts.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"

#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace tambo::login::test {

// Answers what the test has put into its lists; keeps what it was asked.
class FakeAuthd {
  public:
    FakeAuthd(Nursery& nursery, UniqueFd socket) : channel_(nursery, "login.1") {
        channel_.on<ipc::ConnectionOpened>(*this, &FakeAuthd::opened);
        channel_.on<ipc::ConnectionClosed>(*this, &FakeAuthd::closed);
        channel_.on<ipc::SaslStart>(*this, &FakeAuthd::start);
        channel_.on<ipc::SaslContinue>(*this, &FakeAuthd::more);
        channel_.on<ipc::SaslAbort>(*this, &FakeAuthd::abort);
        channel_.on<ipc::SessionEnded>(*this, &FakeAuthd::ended);
        channel_.attach(std::move(socket));
    }
    void answer(ipc::SaslState state, std::string data = "", std::string reason = "") {
        ipc::SaslAnswer a;
        a.state = state;
        a.exchange = 77;
        a.data = std::move(data);
        a.reason = std::move(reason);
        if (state == ipc::SaslState::accepted) a.login = "alice@example.test";
        answers.push_back(std::move(a));
    }
    void drop() { channel_.drop("test"); }

    std::deque<ipc::SaslAnswer> answers;
    ipc::SaslState without_answers = ipc::SaslState::unavailable;
    ipc::ConnectionVerdict verdict;
    std::vector<ipc::SaslStart> starts;
    std::vector<std::string> responses;
    std::vector<std::string> ended_sids;
    int opened_count = 0, closed_count = 0, aborts = 0;

  private:
    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened) {
        ++opened_count;
        co_return verdict;
    }
    void closed(ipc::ConnectionClosed) { ++closed_count; }
    task<ipc::SaslAnswer> start(ipc::SaslStart message) {
        starts.push_back(std::move(message));
        co_return next();
    }
    task<ipc::SaslAnswer> more(ipc::SaslContinue message) {
        responses.push_back(std::move(message.data));
        co_return next();
    }
    void abort(ipc::SaslAbort) { ++aborts; }
    void ended(ipc::SessionEnded message) { ended_sids.push_back(std::move(message.sid)); }
    ipc::SaslAnswer next() {
        if (answers.empty()) {
            ipc::SaslAnswer none;
            none.state = without_answers;
            return none;
        }
        auto answer = std::move(answers.front());
        answers.pop_front();
        return answer;
    }

    ipc::Channel channel_;
};

} // namespace tambo::login::test
