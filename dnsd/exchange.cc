// See exchange.h.
#include "dnsd/exchange.h"

#include "common/base/check.h"

#include <ares.h>
#include <arpa/inet.h>
#include <sys/time.h>

#include <new>
#include <vector>

namespace tambo::dnsd {

namespace {

// 1232 bytes pass everywhere without fragments (DNS flag day 2020).
constexpr int kUdpBytes = 1232;
// The first repetition, then doubled; the caller's window ends it all.
constexpr int kRepeatMs = 1000;
constexpr int kTries = 3;
constexpr int kClassIn = 1;

ares_channeldata* open_channel(ares_sock_state_cb on_state, void* context) {
    char lookups[] = "b"; // DNS only, never a hosts file
    char resolv_conf[] = "/dev/null";
    ares_options options{};
    options.flags =
        ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOALIASES;
    options.timeout = kRepeatMs;
    options.tries = kTries;
    options.ndots = 1;
    options.lookups = lookups;
    options.sock_state_cb = on_state;
    options.sock_state_cb_data = context;
    options.ednspsz = kUdpBytes;
    options.resolvconf_path = resolv_conf;
    const int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
                      ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
                      ARES_OPT_SOCK_STATE_CB | ARES_OPT_EDNSPSZ | ARES_OPT_RESOLVCONF |
                      ARES_OPT_NOROTATE;
    ares_channel channel = nullptr;
    if (ares_init_options(&channel, &options, given) != ARES_SUCCESS) throw std::bad_alloc();
    return channel;
}

} // namespace

struct Exchange::Watch {
    Watch(Exchange& owner, int socket)
        : exchange(owner), fd(socket), ready(owner.loop_, socket, on_ready, this) {}
    Exchange& exchange;
    int fd;
    bool wants_write = false;
    FdWatch ready;
};

Exchange::Exchange(Nursery& nursery)
    : loop_(nursery.loop()), channel_(open_channel(on_socket_state, this)),
      timer_(nursery.loop(), on_timer, this), done_(nursery) {}

Exchange::~Exchange() {
    ares_destroy(channel_);
}

task<std::string> Exchange::ask(Server server, std::string query, int64_t window_ms) {
    check(finished_, "one question at a time");
    packet_.clear();
    if (!choose(server)) co_return std::string();
    finished_ = false;
    // However the wait ends, nothing of this question stays behind in c-ares.
    struct Ending {
        Exchange& exchange;
        ~Ending() {
            if (!exchange.finished_) ares_cancel(exchange.channel_);
            exchange.timer_.disarm();
        }
    } ending{*this};
    ares_send(channel_, reinterpret_cast<const unsigned char*>(query.data()),
              static_cast<int>(query.size()), on_answer, this);
    if (!finished_) {
        arm_timer();
        co_await done_.wait(window_ms);
    }
    co_return finished_ ? packet_ : std::string();
}

bool Exchange::choose(const Server& server) {
    ares_addr_port_node node{};
    node.udp_port = node.tcp_port = server.port;
    node.family = server.address.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (inet_pton(node.family, server.address.c_str(), &node.addr) != 1) return false;
    return ares_set_servers_ports(channel_, &node) == ARES_SUCCESS;
}

void Exchange::on_answer(void* self, int status, int, unsigned char* packet, int size) {
    auto* exchange = static_cast<Exchange*>(self);
    if (status == ARES_SUCCESS && packet != nullptr && size > 0) {
        exchange->packet_.assign(reinterpret_cast<char*>(packet), static_cast<size_t>(size));
    }
    exchange->finished_ = true;
    exchange->done_.pulse(); // resumes from the loop: c-ares is still on the stack here
}

void Exchange::on_socket_state(void* self, int fd, int readable, int writable) {
    auto* exchange = static_cast<Exchange*>(self);
    if (!readable && !writable) {
        exchange->watches_.erase(fd);
        return;
    }
    auto& watch = exchange->watches_[fd];
    if (!watch) watch = std::make_unique<Watch>(*exchange, fd);
    if (readable) {
        watch->ready.arm_read(0);
    } else {
        watch->ready.disarm_read();
    }
    watch->wants_write = writable;
    if (writable) {
        watch->ready.arm_write(0);
    } else {
        watch->ready.disarm_write();
    }
}

void Exchange::on_ready(void* context, unsigned what) {
    auto* watch = static_cast<Watch*>(context);
    Exchange& exchange = watch->exchange;
    const int fd = watch->fd;
    ares_process_fd(exchange.channel_, what & FdWatch::readable ? fd : ARES_SOCKET_BAD,
                    what & FdWatch::writable ? fd : ARES_SOCKET_BAD);
    // The watch may be gone now.
    const auto still = exchange.watches_.find(fd);
    if (still != exchange.watches_.end() && still->second->wants_write) {
        still->second->ready.arm_write(0);
    }
    exchange.arm_timer();
}

void Exchange::on_timer(void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    ares_process_fd(exchange->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    exchange->arm_timer();
}

void Exchange::arm_timer() {
    timeval left{};
    const timeval* next = finished_ ? nullptr : ares_timeout(channel_, nullptr, &left);
    if (next == nullptr) {
        timer_.disarm();
        return;
    }
    timer_.arm(int64_t{next->tv_sec} * 1000 + next->tv_usec / 1000 + 1);
}

std::string encode_query(const Query& query) {
    unsigned char* bytes = nullptr;
    int size = 0;
    const int status = ares_create_query(query.name.c_str(), kClassIn, query.type, query.id, 1,
                                         &bytes, &size, query.edns ? kUdpBytes : 0);
    check(status == ARES_SUCCESS, "a checked name makes a question");
    std::string packet(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    ares_free_string(bytes);
    packet[3] = static_cast<char>(packet[3] | 0x20); // AD
    // OPT ends the packet: ... extended rcode, version, flags (DO first), data length.
    if (query.edns && query.dnssec_records) {
        char& flags = packet[packet.size() - 4];
        flags = static_cast<char>(flags | static_cast<char>(0x80));
    }
    return packet;
}

} // namespace tambo::dnsd
