// Who there is and who may talk to whom, as data: the whole architecture on two screens. Everything
// that master starts, binds, opens and connects follows from these tables; the picture in README is
// printed from them (picture.h).
#pragma once

#include "common/conf/config.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::master {

// How many processes a service has, and how they are named.
enum class Count {
    one,         // "queued"
    numbered,    // "mx.0", "mx.1": as many as the configuration says, names kept over restarts
    generations, // "imapd.7": replaced after a time, each with a name of its own
};

// The order of a clean shutdown, first to last; the reverse of who needs whom.
enum class Stage : uint8_t { network, relay, queue, delivery, store, service, log, last_ = log };

// The parts of the configuration and what else a daemon's encoded part is made from.
struct PartSource {
    const conf::Config& config;
    const std::string& smarthost_password;
    bool journal; // the machine has one
};

struct Service {
    std::string_view name;       // of its processes, up to the dot
    std::string_view executable; // the program, beside master's
    std::string_view user;       // as root; its group has the same name
    Count count;
    int64_t conf::Config::Processes::*processes; // unless one
    Stage stage;
    std::string_view listeners;             // words: listen.* keys, "submit", "control"
    std::string_view files;                 // words: see files.h
    bool storage;                           // keeps mail or accounts: restarted after a fault
    std::string (*part)(const PartSource&); // encoded struct of common/conf/<daemon>_config.h
    std::string_view what;                  // for the picture
};

// a and b get the two ends of a socket pair for each pair of their processes.
struct Edge {
    std::string_view a, b;
    std::string_view what; // what passes, for the picture
};

// In the order in which they are started.
std::span<const Service> services();
std::span<const Edge> edges();

const Service* find_service(std::string_view name);
// The services that service has a channel to.
std::vector<const Service*> peers_of(const Service& service);
// How many processes of it accept work at a time.
size_t process_count(const Service& service, const conf::Config& config);
// "mx.0" for a numbered service or a generation, "queued" for a single one.
std::string instance_name(const Service& service, uint64_t number);

std::vector<std::string_view> words(std::string_view list);

} // namespace tambo::master
