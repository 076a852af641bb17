// All running daemons: starts them, gives them what the wiring table names, notices their end,
// starts them again, and gives their peers the new sockets.
#pragma once

#include "master/backoff.h"
#include "master/child.h"
#include "master/executables.h"
#include "master/files.h"
#include "master/listeners.h"
#include "master/log_pipes.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tambo::master {

// What daemons are made of; the suite keeps it and may change config, generation and epoch. What is
// in tls is of config.
struct Surroundings {
    conf::Config config;
    std::string smarthost_password;
    uint64_t generation = 1;
    uint32_t epoch = 0;
    bool journal = false;
    bool log_to_stderr = false;
    bool read_only = false; // a storage fault is not over

    const Directories& directories;
    const Users& users;
    const Listeners& listeners;
    const Executables& executables;
    LogPipes& log_pipes;
    std::vector<std::string> command = {}; // that starts master's next program
    TlsFiles tls = {};
};

class Children {
  public:
    // nursery: for the control channels. around outlives this.
    Children(Nursery& nursery, Surroundings& around);
    ~Children();

    // Starts every process that the configuration wants.
    void start_all();
    // After SIGCHLD.
    void reap();

    // To all: the files that may change and then the configuration, as of around. Who could not be
    // given its files keeps what it has; a line of the answer says so.
    std::string configure_all();
    // To those whose row names the word: the file anew.
    void send_file(std::string_view word);
    void broadcast_storage_state(bool read_only);

    // Tells the processes of a stage to finish; from then on nobody of it is started again.
    void drain(Stage stage, int64_t grace_ms);
    void kill_stage(Stage stage);
    size_t count(Stage stage) const;
    // After a storage fault: those that keep mail or accounts start anew, with the epoch of then.
    void restart_storage();

    // Events of one child; a process that is already gone is no error.
    void kill(Child& child, std::string_view why);
    void on_hello(Child& child, const std::string& build_id);
    void on_ready(Child& child);
    void on_retired(Child& child);
    void on_unwired(Child& child, uint64_t link);
    void report_fault(Child& child, const ipc::Fault& fault);

    bool all_ready() const;
    const std::vector<std::unique_ptr<Child>>& all() const { return children_; }
    uint64_t restarts(const Child& child) const;
    // Instances that wait for their next start, with the wait in ms.
    std::vector<std::pair<std::string, int64_t>> waiting() const;
    // The first process of the service that is running, or at least wired; nullptr if none is.
    Child* find_running(std::string_view service);
    Child* find_wired(std::string_view service);

    std::function<void()> on_all_ready;           // at each time that it becomes true
    std::function<void(const Child&)> on_started; // a child is ready
    std::function<void(const std::string& instance)> on_crash_loop;
    std::function<void(const ipc::Fault&)> on_fault;
    std::function<void()> on_end; // a child has ended
    std::function<void(const std::string& name, ipc::DropOutcome outcome)> on_drop_taken;
    std::function<void(pid_t pid, int status)> on_stranger; // a child that is no daemon has ended
    // After the shutdown: who keeps mail or accounts was there and ended by itself with status 0.
    bool storage_ended_cleanly() const { return storage_ended_cleanly_; }

  private:
    // A place that always has one accepting process.
    struct Slot {
        const Service& service;
        size_t index;
        Children& owner;
        Backoff backoff;
        Child* current = nullptr;
        uint64_t starts = 0;
        int64_t retry_at_ms = 0;
        Timer retry;
        Slot(Children& owner, const Service& service, size_t index);
    };

    void start(Slot& slot);
    void begin(Child& child);
    void send_boot(Child& child);
    void wire(Child& child);
    void connect(Child& child, Child& peer);
    void rewire_later(uint64_t link);
    void rewire();
    bool rewire(uint64_t link);
    Child* find_started(uint64_t start_number);
    void send_files(Child& child, bool at_start);
    void send_configuration(Child& child);
    void ended(std::unique_ptr<Child> child, int status);
    void forget_instance(const Child& child);
    void schedule(Slot& slot, int64_t lived_ms);
    void limit_retired(const Service& service, size_t slot);
    Slot& slot_of(const Child& child);

    Nursery& nursery_;
    Surroundings& around_;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<std::unique_ptr<Child>> children_;
    std::vector<bool> stage_stopped_;
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> links_; // to the start numbers of both
    std::set<uint64_t> unwired_;                              // of them
    uint64_t link_counter_ = 0;
    Timer rewire_;
    uint64_t start_counter_ = 0;
    bool were_ready_ = false;
    bool storage_ended_cleanly_ = true;
};

} // namespace tambo::master
