// One question to one server by c-ares, which sends, repeats, matches id and question, and changes
// to TCP where UDP was too small. Each exchange in flight has a c-ares channel of its own, hence a
// source port of its own, and its answer is known to come from the server that was asked.
//
// c-ares reads nothing from the machine: every option that it would look up is given.
#pragma once

#include "common/event/gate.h"
#include "common/event/loop.h"
#include "dnsd/servers.h"

#include <map>
#include <memory>
#include <string>

struct ares_channeldata;

namespace tambo::dnsd {

class Exchange {
  public:
    // Throws std::bad_alloc when c-ares finds no memory.
    explicit Exchange(Nursery& nursery);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    // The server's message, or "" if there was none within window_ms (at least 1). Throws
    // Cancelled. One call at a time.
    task<std::string> ask(Server server, std::string query, int64_t window_ms);

  private:
    struct Watch;
    static void on_socket_state(void* self, int fd, int readable, int writable);
    static void on_answer(void* self, int status, int timeouts, unsigned char* packet, int size);
    static void on_ready(void* watch, unsigned what);
    static void on_timer(void* self);
    bool choose(const Server& server);
    void arm_timer();

    Loop& loop_;
    ares_channeldata* channel_ = nullptr;
    std::map<int, std::unique_ptr<Watch>> watches_;
    Timer timer_;
    Gate done_;
    bool finished_ = true;
    std::string packet_;
};

// The bytes of a question: recursion desired, AD asked for (RFC 6840 5.7), EDNS with 1232 bytes
// unless edns is false; dnssec_records sets DO.
struct Query {
    std::string name; // a question_name() or reverse_name()
    uint16_t type = 0;
    uint16_t id = 0;
    bool edns = true;
    bool dnssec_records = false;
};
std::string encode_query(const Query& query);

} // namespace tambo::dnsd
