#include "master/admin.h"

#include "common/base/text.h"

#include <sysexits.h>
#include <unistd.h>

namespace tambo::master {

Admin::Admin(ipc::AdminServer& server, Suite& suite) : suite_(suite) {
    struct Verb {
        const char* name;
        Method method;
    };
    for (const Verb& verb : {Verb{"status", &Admin::status}, Verb{"listeners", &Admin::listeners},
                             Verb{"reload", &Admin::reload}, Verb{"stop", &Admin::stop}}) {
        const Method method = verb.method;
        server.on(verb.name,
                  [this, method](ipc::AdminRequest, ipc::Asker) { return answer(method); });
    }
    server.on("restart", [this](ipc::AdminRequest, ipc::Asker) { return restart(); });
}

task<ipc::AdminAnswer> Admin::answer(Method method) const {
    co_return (this->*method)();
}

ipc::AdminAnswer Admin::status() const {
    ipc::AdminAnswer answer;
    answer.columns = {"process", "program",  "pid",        "state", "uptime_s",
                      "started", "restarts", "generation", "epoch", "isolation"};
    const auto& around = suite_.around();
    const int64_t now_ms = Loop::monotonic_ms();
    const std::string generation = cat(around.generation), epoch = cat(around.epoch);
    answer.rows.push_back({"master", "master", cat(::getpid()),
                           suite_.stopping()  ? "stopping"
                           : around.read_only ? "storage fault"
                                              : "running",
                           cat((now_ms - suite_.started_ms()) / 1000),
                           format_rfc3339(suite_.started()), "0", generation, epoch, ""});
    for (const auto& child : suite_.children().all()) {
        answer.rows.push_back(
            {child->instance, std::string(child->service.executable), cat(child->pid),
             std::string(state_name(child->state)), cat((now_ms - child->started_ms) / 1000),
             format_rfc3339(child->started), cat(suite_.children().restarts(*child)), generation,
             epoch, child->isolation.empty() ? "full" : child->isolation});
    }
    for (const auto& [instance, wait_ms] : suite_.children().waiting()) {
        answer.rows.push_back({instance, "", "", cat("restarts in ", wait_ms, " ms"), "0", "", "",
                               generation, epoch, ""});
    }
    return answer;
}

ipc::AdminAnswer Admin::listeners() const {
    ipc::AdminAnswer answer;
    answer.columns = {"name", "address", "port", "process"};
    for (const auto& socket : suite_.around().listeners.all()) {
        std::string owner = socket.owner;
        for (const Service& service : services()) {
            for (const auto word : words(service.listeners)) {
                if (owner.empty() && word == socket.name) owner = service.name;
            }
        }
        answer.rows.push_back({socket.name, socket.address, cat(socket.port), owner});
    }
    return answer;
}

ipc::AdminAnswer Admin::reload() const {
    ipc::AdminAnswer answer;
    const auto result = suite_.reload();
    answer.columns = {"generation"};
    answer.rows = {{cat(suite_.around().generation)}};
    if (!result.ok) {
        answer.exit_code = EX_CONFIG;
        answer.error = cat(result.report, "the running configuration (generation ",
                           suite_.around().generation, ") is unchanged");
    } else if (!result.report.empty()) {
        answer.columns.emplace_back("note");
        answer.rows[0].emplace_back(trim(result.report));
    }
    return answer;
}

task<ipc::AdminAnswer> Admin::restart() const {
    ipc::AdminAnswer answer;
    const auto result = co_await suite_.restart();
    if (!result.ok) {
        answer.exit_code = EX_CONFIG;
        answer.error = cat(result.report, result.report.ends_with('\n') ? "" : "\n",
                           "what runs now goes on as it is");
    } else if (!result.report.empty()) {
        answer.columns.emplace_back("note");
        answer.rows.push_back({std::string(trim(result.report))});
    }
    co_return answer;
}

ipc::AdminAnswer Admin::stop() const {
    suite_.stop();
    return {};
}

} // namespace tambo::master
