#include "master/suite.h"

#include "common/base/text.h"
#include "common/conf/schema.h"
#include "common/conf/value.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "master/certificates.h"
#include "master/handover.h"
#include "master/ready_line.h"
#include "master/storage_check.h"

#include <sys/vfs.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <system_error>

namespace tambo::master {

namespace {

constexpr int64_t kStageGrace_ms = 5'000;
constexpr int64_t kStageLimit_ms = 10'000; // then SIGKILL
constexpr int64_t kStorageCheckEvery_ms = 5'000;
constexpr int64_t kDropAgainEvery_ms = 15 * 60'000;
constexpr int64_t kTrialLimit_ms = 30'000; // then SIGKILL
// Watched for changes while the suite runs.
constexpr std::string_view kWatched[] = {"aliases", "passwd", "resolv.conf"};

sigset_t own_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP})
        ::sigaddset(&set, number);
    return set;
}

void release_signals() {
    const sigset_t set = own_signals();
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

// False, and said, where it cannot be written: the disk may be full.
bool write_epoch(Epoch& epoch, void (Epoch::*write)()) {
    try {
        (epoch.*write)();
        return true;
    } catch (const std::system_error& error) {
        log::Event("suite.epoch_not_written", log::Level::error).with("error", error.what());
        return false;
    }
}

} // namespace

void hold_signals() {
    const sigset_t set = own_signals();
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

std::vector<std::string> keep_restart_keys(conf::Config& fresh, const conf::Config& running) {
    std::vector<std::string> differing;
    conf::Config old = running; // slot() wants a mutable one
    for (const conf::Key& key : conf::keys()) {
        if (key.apply != conf::Apply::restart) continue;
        if (conf::format_value(key, fresh) == conf::format_value(key, old)) continue;
        differing.emplace_back(key.name);
        const auto source = key.slot(old);
        std::visit([&](auto* into) { *into = *std::get<decltype(into)>(source); }, key.slot(fresh));
    }
    return differing;
}

Suite::Suite(Nursery& nursery,
             conf::Request request,
             Surroundings& around,
             Epoch& epoch,
             Notifier& notifier,
             UniqueFd ready_line)
    : nursery_(nursery), request_(std::move(request)), around_(around), epoch_(epoch),
      notifier_(notifier), ready_line_(std::move(ready_line)), children_(nursery, around),
      drop_(around.directories.get("drop"), around.directories.get("drop-refused")),
      watch_(nursery.loop(), [this](const std::string& word) { children_.send_file(word); }),
      ended_(nursery), on_terminal_(::isatty(STDERR_FILENO) == 1), started_(SystemClock().now()),
      started_ms_(Loop::monotonic_ms()) {
    set_callbacks();
}

Suite::~Suite() = default;

void Suite::set_callbacks() {
    children_.on_all_ready = [this] { all_ready(); };
    children_.on_crash_loop = [this](const std::string& instance) { crash_loop(instance); };
    children_.on_end = [this] { child_ended(); };
    children_.on_fault = [this](const ipc::Fault& fault) { storage_fault(fault.what); };
    children_.on_stranger = [this](pid_t pid, int status) { stranger_ended(pid, status); };
    children_.on_started = [this](const Child& child) {
        // Either may have died with a message in its hand.
        if (child.service.name == "submit" || child.service.name == "authd") {
            drop_.retry();
            offer_drop();
        }
    };
    children_.on_drop_taken = [this](const std::string& name, ipc::DropOutcome outcome) {
        drop_.finish(name, outcome);
        const auto level =
            outcome == ipc::DropOutcome::refused ? log::Level::error : log::Level::info;
        log::Event("drop.taken", level).with("name", name).with("outcome", text_of(outcome));
        offer_drop();
    };
    around_.log_pipes.on_new = [this](const std::string& instance, UniqueFd receiver) {
        Child* logd = children_.find_wired("logd");
        if (logd) logd->control.send(ipc::OpenFile{"log:" + instance, std::move(receiver)});
    };
}

void Suite::start() {
    Loop& loop = nursery_.loop();
    loop.on_signal(SIGCHLD, [this] { children_.reap(); });
    for (const int number : {SIGTERM, SIGINT})
        loop.on_signal(number, [this] { stop(); });
    loop.on_signal(SIGHUP, [this] { static_cast<void>(reload()); });
    release_signals(); // before the first child, which would inherit the mask
    if (const int64_t interval_ms = notifier_.watchdog_interval_ms()) {
        loop.every(interval_ms, [this] { notifier_.watchdog(); });
    }
    loop.every(kDropAgainEvery_ms, [this] {
        drop_.again();
        offer_drop();
    });
    watch_files();
    log::Event("suite.starting", log::Level::notice)
        .with("version", TAMBO_VERSION)
        .with("epoch", int64_t{around_.epoch})
        .with("directory", around_.directories.path());
    warn_of_filesystem();
    children_.start_all();
}

// Crash semantics were measured on these (RULES.md, "Durability"); on others promises about power
// cuts are only as good as the filesystem's own.
void Suite::warn_of_filesystem() const {
    constexpr int64_t kKnown[] = {0xEF53 /* ext4 */, 0x58465342 /* XFS */, 0x9123683E /* btrfs */,
                                  0x2FC12FC1 /* ZFS */};
    struct statfs info {};
    if (::fstatfs(around_.directories.top(), &info) != 0) return;
    const auto type = static_cast<int64_t>(info.f_type) & 0xFFFFFFFF;
    if (std::ranges::find(kKnown, type) != std::end(kKnown)) return;
    log::Event("suite.filesystem", log::Level::warning).with("type", type);
}

void Suite::watch_files() {
    for (const auto word : kWatched) {
        watch_.watch(std::string(word), path_of(word, around_.config));
    }
}

void Suite::all_ready() {
    if (stopping_) return;
    notifier_.ready(cat("serving as ", around_.config.hostname));
    if (serving_) return;
    serving_ = true;
    log::Event("suite.ready", log::Level::notice)
        .with("hostname", around_.config.hostname)
        .with("processes", static_cast<int64_t>(children_.all().size()));
    if (on_terminal_) std::fprintf(stderr, "%s\n", terminal_line(around_).c_str());
    if (!ready_line_.valid()) return;
    const std::string line = ready_line(around_) + "\n";
    try {
        write_all(ready_line_.get(), line, "the ready descriptor");
    } catch (const std::system_error& e) { // whoever wanted to know has left
        log::Event("suite.nobody_waits").with("why", e.what());
    }
    ready_line_.reset();
}

void Suite::crash_loop(const std::string& instance) {
    log::Event("process.crash_loop", log::Level::critical).with("process", instance);
    notifier_.status(cat(instance, " keeps failing"));
    if (serving_ || stopping_) return;
    // It has never worked: whoever started us should see that it does not.
    std::fprintf(stderr, "master: %s ends again and again before it is ready; giving up\n",
                 instance.c_str());
    exit_code_ = EX_SOFTWARE;
    stop();
}

// To authd, which says whose message it is; submit tells what became of it.
void Suite::offer_drop() {
    Child* authd = children_.find_running("authd");
    const bool both = authd && children_.find_running("submit");
    if (!both || stopping_ || drop_.in_hand() > 0) return;
    if (auto message = drop_.next()) {
        authd->control.send(
            ipc::OpenFile{cat(ipc::kDropPrefix, message->first), std::move(message->second)});
    }
}

Suite::Reload Suite::reload() {
    notifier_.reloading();
    const conf::Loaded loaded = conf::load(request_);
    Reload result;
    result.report = loaded.report();
    if (loaded.config) {
        try {
            result.ok = accept(*loaded.config, result.report);
        } catch (const std::system_error& e) {
            result.report += cat(e.what(), '\n');
        }
    }
    if (result.ok) {
        ++around_.generation;
        result.report += children_.configure_all();
        watch_files();
    }
    log::Event("suite.reload", result.ok ? log::Level::notice : log::Level::error)
        .with("result", result.ok ? "done" : "refused")
        .with("generation", static_cast<int64_t>(around_.generation))
        .with("report", result.report);
    notifier_.ready(cat("serving as ", around_.config.hostname));
    return result;
}

// False, or an exception: nothing of it is taken.
bool Suite::accept(conf::Config fresh, std::string& report) {
    const auto waiting = keep_restart_keys(fresh, around_.config);
    provide_certificate(fresh, around_.directories, around_.users, SystemClock().now());
    TlsFiles tls(fresh);
    if (const auto wrong = tls.problem(request_)) {
        report += cat(*wrong, '\n');
        return false;
    }
    around_.smarthost_password = read_smarthost_password(fresh);
    around_.tls = std::move(tls);
    around_.config = std::move(fresh);
    for (const auto& key : waiting) {
        report += cat(key, ": the change takes effect when tambo is restarted\n");
    }
    return true;
}

void Suite::storage_fault(const std::string& what) {
    had_fault_ = true;
    if (around_.read_only) return;
    around_.read_only = true;
    notifier_.status(cat("storage fault: ", what));
    children_.broadcast_storage_state(true);
    nursery_.spawn(check_storage());
}

// RULES.md R2: nothing is retried. When the disk works again, those who keep mail start over as
// after a crash, under a new epoch.
task<> Suite::check_storage() {
    for (;;) {
        co_await sleep_ms(nursery_, kStorageCheckEvery_ms);
        if (stopping_) co_return;
        storage_check_ = start_storage_check(around_.directories.get("spool"));
        storage_sound_ = false;
        while (storage_check_ > 0)
            co_await ended_.wait();
        // Without a new epoch they cannot start over: then the disk is not sound yet.
        if (storage_sound_ && write_epoch(epoch_, &Epoch::raise)) break;
    }
    around_.epoch = epoch_.number();
    around_.read_only = false;
    children_.restart_storage();
    children_.broadcast_storage_state(false);
    log::Event("suite.storage_sound", log::Level::notice).with("epoch", int64_t{around_.epoch});
}

void Suite::child_ended() {
    ended_.pulse();
}

void Suite::stranger_ended(pid_t pid, int status) {
    if (pid == storage_check_) {
        storage_check_ = -1;
        storage_sound_ = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    } else if (pid == trial_) {
        trial_ = -1;
        trial_status_ = status;
    }
    ended_.pulse();
}

void Suite::stop() {
    if (ends_for_successor_) notifier_.stopping(); // it was not meant to be the end
    ends_for_successor_ = false;
    if (stopping_) {
        hurry_ = true;
        ended_.pulse();
        return;
    }
    notifier_.stopping();
    begin_shutdown();
}

void Suite::begin_shutdown() {
    stopping_ = true;
    log::Event("suite.stopping", log::Level::notice)
        .with("then", ends_for_successor_ ? "start" : "end");
    nursery_.spawn(shut_down());
}

// Not systemd's STOPPING: the service goes on, under the same process id.
task<Suite::Reload> Suite::restart() {
    Reload result;
    if (!serving_ || stopping_ || trial_ > 0) {
        result.report = "the suite is just starting or stopping; try again";
        co_return result;
    }
    Trial trial;
    try {
        trial = start_trial(around_.command);
    } catch (const std::system_error& e) {
        result.report = e.what();
        co_return result;
    }
    trial_ = trial.pid;
    const int64_t deadline_ms = Loop::monotonic_ms() + kTrialLimit_ms;
    while (trial_ > 0) {
        const int64_t left_ms = deadline_ms - Loop::monotonic_ms();
        if (left_ms <= 0) ::kill(trial_, SIGKILL); // not reaped yet: the number is its own
        const int64_t wait_ms = left_ms > 0 ? left_ms : kStageLimit_ms;
        co_await ended_.wait(wait_ms);
    }
    result.report = trial.report(around_.command.front(), trial_status_);
    result.ok = WIFEXITED(trial_status_) && WEXITSTATUS(trial_status_) == 0 && !stopping_;
    log::Event("suite.restart", result.ok ? log::Level::notice : log::Level::error)
        .with("result", result.ok ? "done" : "refused")
        .with("report", result.report);
    if (!result.ok) co_return result;
    ends_for_successor_ = true;
    notifier_.reloading();
    begin_shutdown();
    co_return result;
}

// Who takes in goes first, who is needed by others last.
task<> Suite::shut_down() {
    bool in_time = true;
    for (int stage = 0; stage <= static_cast<int>(Stage::last_); ++stage) {
        const bool finished = co_await finish_stage(static_cast<Stage>(stage));
        in_time = in_time && finished;
    }
    const bool clean = children_.storage_ended_cleanly() && !had_fault_;
    if (clean) static_cast<void>(write_epoch(epoch_, &Epoch::mark_clean));
    nursery_.loop().stop();
}

task<bool> Suite::finish_stage(Stage stage) {
    const int64_t deadline_ms = Loop::monotonic_ms() + kStageLimit_ms;
    children_.drain(stage, hurry_ ? 0 : kStageGrace_ms);
    bool in_time = true;
    while (children_.count(stage) > 0) {
        const int64_t left_ms = hurry_ ? 0 : deadline_ms - Loop::monotonic_ms();
        if (left_ms <= 0 && in_time) {
            in_time = false;
            children_.kill_stage(stage);
        }
        // What was killed may hang in the kernel for a while; nothing else can be done about it.
        const int64_t wait_ms = in_time ? left_ms : kStageLimit_ms;
        co_await ended_.wait(wait_ms);
    }
    co_return in_time;
}

} // namespace tambo::master
