// The running suite: what happens when everything is ready, at a reload, at a storage fault, in
// which order all of it ends, and when it begins anew.
#pragma once

#include "common/conf/load.h"
#include "common/event/gate.h"
#include "master/children.h"
#include "master/drop.h"
#include "master/epoch.h"
#include "master/file_watch.h"
#include "master/notify.h"

#include <optional>
#include <string>
#include <vector>

namespace tambo::master {

// From here to Suite::start() the signals that end or reload a suite wait. A stop while the ports
// are open already and the epoch says "running" would else be a crash.
void hold_signals();

class Suite {
  public:
    // request: how the configuration was loaded, for reloads. around, epoch: already begun.
    Suite(Nursery& nursery,
          conf::Request request,
          Surroundings& around,
          Epoch& epoch,
          Notifier& notifier,
          UniqueFd ready_line);
    ~Suite();

    // Starts all daemons and takes signals: SIGTERM and SIGINT stop, SIGHUP reloads.
    void start();

    // Loads the configuration anew. Without errors every daemon gets its part as a new generation;
    // with errors nothing changes. The report is what `tambo reload` prints.
    struct Reload {
        bool ok = false;
        std::string report;
    };
    Reload reload();

    // Ends everything as stop() does, for the program that is installed now to take this process
    // over (master/handover.h), if a run of that with --check says that it could start. Otherwise
    // nothing changes, and the report says why. Suspends until the check has ended.
    task<Reload> restart();

    // Begins the ordered shutdown; the loop stops at its end. A second call hurries.
    void stop();
    // After the loop: 0, or 70 if the suite gave up.
    int exit_code() const { return exit_code_; }
    // After the loop: the next program is wanted.
    bool ends_for_successor() const { return ends_for_successor_; }

    const Children& children() const { return children_; }
    const Surroundings& around() const { return around_; }
    bool stopping() const { return stopping_; }
    UtcTime started() const { return started_; }
    int64_t started_ms() const { return started_ms_; } // monotonic

  private:
    void set_callbacks();
    void watch_files();
    void warn_of_filesystem() const;
    void all_ready();
    void crash_loop(const std::string& instance);
    void storage_fault(const std::string& what);
    task<> check_storage();
    bool accept(conf::Config fresh, std::string& report);
    void child_ended();
    void stranger_ended(pid_t pid, int status);
    void begin_shutdown();
    task<> shut_down();
    task<bool> finish_stage(Stage stage);
    void offer_drop();

    Nursery& nursery_;
    conf::Request request_;
    Surroundings& around_;
    Epoch& epoch_;
    Notifier& notifier_;
    UniqueFd ready_line_;
    Children children_;
    Drop drop_;
    FileWatch watch_;
    Gate ended_;           // pulses at the end of any child
    bool on_terminal_;     // a person has started it
    bool serving_ = false; // everything was ready at least once
    bool stopping_ = false, hurry_ = false;
    bool had_fault_ = false;
    bool ends_for_successor_ = false;
    pid_t storage_check_ = -1; // while it runs
    bool storage_sound_ = false;
    pid_t trial_ = -1; // while it runs
    int trial_status_ = 0;
    int exit_code_ = 0;
    UtcTime started_;
    int64_t started_ms_ = 0;
};

// Overrides in fresh the keys that only a restart changes with the values of running, and returns
// the names of those that differ.
std::vector<std::string> keep_restart_keys(conf::Config& fresh, const conf::Config& running);

} // namespace tambo::master
