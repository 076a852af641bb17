// A relayd without master: the service, names from a table, and jobs made by hand.
#pragma once

#include "common/sys/file.h"
#include "relayd/service.h"
#include "tests/unit/relayd/fake_names.h"
#include "tests/unit/relayd/loopback_sockets.h"
#include "tests/unit/relayd/scripted_smtp.h"

#include <sys/mman.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tambo::test {

inline const std::string kHeader = "From: <alice@we.test>\r\nSubject: hello\r\n\r\n";

class Relaying {
  public:
    explicit Relaying(const relayd::Timeouts& timeouts = relayd::Timeouts())
        : service_(nursery, names, clock_, random_, timeouts) {
        config.hostname = "we.test";
        config.sessions_max = 10;
        config.port = 0;
        names.mx("d.test", 10, "mx.test");
        names.address("mx.test", "127.0.0.1");
    }
    ~Relaying() {
        nursery.cancel();
        loop.post([this] { loop.stop(); });
        loop.run();
    }

    // For servers that stall.
    static relayd::Timeouts impatient() {
        relayd::Timeouts timeouts;
        timeouts.connect_ms = timeouts.command_ms = timeouts.tls_ms = 400;
        timeouts.data_ms = timeouts.block_ms = timeouts.final_ms = 400;
        return timeouts;
    }

    // ip: 127.0.0.1 to 127.0.0.8. All servers have the same port.
    ScriptedSmtp& serve(std::vector<Behaviour> behaviours, const std::string& ip = "127.0.0.1") {
        if (sockets_.empty()) sockets_ = sockets_of_one_port(8);
        UniqueFd socket = std::move(sockets_.at(ip));
        if (::listen(socket.get(), 16) != 0) throw_errno("listen of a scripted server");
        servers_.push_back(
            std::make_unique<ScriptedSmtp>(nursery, std::move(behaviours), std::move(socket)));
        config.port = servers_.back()->port();
        return *servers_.back();
    }
    ScriptedSmtp& serve(Behaviour behaviour = Behaviour()) {
        return serve(std::vector<Behaviour>{std::move(behaviour)});
    }

    static ipc::Relay job(const std::string& content = kHeader + "body\r\n",
                          const std::vector<std::string>& recipients = {"bob@d.test"}) {
        ipc::Relay relay;
        relay.qid = Id::make(1, 2, 3, 4);
        relay.destination = "d.test";
        relay.reverse_path = "alice@we.test";
        uint32_t number = 0;
        for (const auto& recipient : recipients)
            relay.recipients.push_back({number++, recipient});
        relay.prefix = "Received: from here\r\n";
        relay.body = UniqueFd(::memfd_create("body", MFD_CLOEXEC));
        write_all(relay.body.get(), content, "body");
        relay.body_bytes = content.size();
        return relay;
    }

    ipc::RelayDone relay(ipc::Relay job_to_do = job()) {
        std::vector<ipc::Relay> jobs;
        jobs.push_back(std::move(job_to_do));
        return std::move(relay_all(std::move(jobs))[0]);
    }
    // All at the same time.
    std::vector<ipc::RelayDone> relay_all(std::vector<ipc::Relay> jobs) {
        service_.configure(config, {});
        std::vector<ipc::RelayDone> done(jobs.size());
        waiting_ = jobs.size();
        for (size_t i = 0; i < jobs.size(); ++i) {
            nursery.spawn(run(*this, std::move(jobs[i]), done[i]));
        }
        if (waiting_ > 0) loop.run();
        return done;
    }
    // Lets connections end: QUIT and its reply.
    void settle(int64_t ms = 50) {
        nursery.spawn(stop_after(*this, ms));
        loop.run();
    }

    Loop loop;
    Nursery nursery{loop};
    FakeNames names;
    conf::RelaydConfig config;
    relayd::Service& service() { return service_; }

  private:
    static task<> run(Relaying& self, ipc::Relay relay, ipc::RelayDone& out) {
        out = co_await self.service_.relay(std::move(relay));
        if (--self.waiting_ == 0) self.loop.stop();
    }
    static task<> stop_after(Relaying& self, int64_t ms) {
        co_await sleep_ms(self.nursery, ms);
        self.loop.stop();
    }

    SystemClock clock_;
    SystemRandom random_;
    relayd::Service service_;
    std::map<std::string, UniqueFd> sockets_; // those without a server refuse
    std::vector<std::unique_ptr<ScriptedSmtp>> servers_;
    size_t waiting_ = 0;
};

inline std::string summary(const ipc::RelayResult& result) {
    static const char* const kNames[] = {"sent", "deferred", "refused"};
    return std::string(kNames[static_cast<int>(result.outcome)]) + " " +
           std::to_string(result.status.code) + " " + result.status.enhanced;
}
inline std::string summary(const ipc::RelayDone& done) {
    std::string text;
    for (const auto& result : done.results) {
        text += (text.empty() ? "" : ", ") + summary(result);
    }
    return text;
}

} // namespace tambo::test
