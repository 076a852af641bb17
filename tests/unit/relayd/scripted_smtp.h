// A mail server on a loopback address that behaves as a test says, in the test's own loop. It keeps
// every byte that it got.
#pragma once

#include "common/net/listener.h"
#include "common/net/stream.h"
#include "common/sys/error.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tambo::test {

// Replies are raw bytes. In place of one: kSilence says nothing and goes on reading, kHangUp
// closes.
inline const std::string kSilence = "<silence>", kHangUp = "<hang up>";

struct Behaviour {
    std::string greeting = "220 mx.test ESMTP\r\n";
    // By the longest prefix of the command that is listed; the last list entry is used from then
    // on.
    std::map<std::string, std::vector<std::string>> replies = {
        {"EHLO", {"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE\r\n"}},
        {"HELO", {"250 mx.test\r\n"}},
        {"MAIL", {"250 2.1.0 ok\r\n"}},
        {"RCPT", {"250 2.1.5 ok\r\n"}},
        {"DATA", {"354 go\r\n"}},
        {"QUIT", {"221 bye\r\n"}},
        {"", {"500 what?\r\n"}},
    };
    std::string final_reply = "250 2.0.0 queued as 42\r\n";
    size_t hang_up_after = 0;        // bytes of content; 0: never
    std::string early_reply;         // before hanging up
    size_t drip = 0;                 // replies in pieces of so many bytes; 0: whole
    size_t cut = 0;                  // each reply in two at this byte; 0: whole
    const TlsContext* tls = nullptr; // after a 220 to STARTTLS, or at once if implicit
    bool implicit_tls = false;
    std::string tls_garbage; // instead of a handshake
};

struct Visit {
    std::vector<std::string> commands; // command lines without CRLF
    std::string content;               // everything behind the 354, dots and all
    std::vector<std::string> messages; // one content each
    bool tls = false;
    std::string sni;
    bool ended = false;
};

class ScriptedSmtp {
  public:
    // Visitors get the behaviours in turn, the last one again and again.
    ScriptedSmtp(Nursery& nursery, std::vector<Behaviour> behaviours, UniqueFd listening_socket)
        : nursery_(nursery), behaviours_(std::move(behaviours)),
          socket_(std::move(listening_socket)),
          port_(net::SocketAddress::local_of(socket_.get()).port()),
          listener_(nursery.loop(),
                    std::move(socket_),
                    [this](UniqueFd socket, const net::SocketAddress&) {
                        const size_t turn = std::min(visits.size(), behaviours_.size() - 1);
                        visits.push_back(std::make_shared<Visit>());
                        nursery_.spawn(
                            serve(nursery_, behaviours_[turn], visits.back(), std::move(socket)));
                    }) {}

    uint16_t port() const { return port_; }
    std::vector<std::shared_ptr<Visit>> visits;

  private:
    using Turns = std::map<std::string, size_t>;

    static const std::string&
    reply_to(const Behaviour& behaviour, Turns& turns, const std::string& command) {
        const std::vector<std::string>* best = nullptr;
        std::string best_prefix;
        for (const auto& [prefix, replies] : behaviour.replies) {
            if (!command.starts_with(prefix) || (best && prefix.size() < best_prefix.size())) {
                continue;
            }
            best = &replies;
            best_prefix = prefix;
        }
        return (*best)[std::min(turns[best_prefix]++, best->size() - 1)];
    }

    static task<> say(net::Stream& stream, const Behaviour& behaviour, std::string reply) {
        if (behaviour.cut > 0 && behaviour.cut < reply.size()) {
            stream.put(std::string_view(reply).substr(0, behaviour.cut));
            co_await stream.flush();
            co_await sleep_ms(stream.nursery(), 1);
            reply.erase(0, behaviour.cut);
        }
        const size_t piece = behaviour.drip > 0 ? behaviour.drip : reply.size();
        for (size_t at = 0; at < reply.size(); at += piece) {
            stream.put(std::string_view(reply).substr(at, piece));
            co_await stream.flush();
            if (behaviour.drip > 0) co_await sleep_ms(stream.nursery(), 1);
        }
    }

    static task<> secure(net::Stream& stream, const Behaviour& behaviour, Visit& visit) {
        if (!behaviour.tls_garbage.empty()) {
            static_cast<void>(co_await stream.read_some(1000)); // the visitor's hello
            stream.put(behaviour.tls_garbage);
            co_await stream.flush();
            throw Closed{};
        }
        co_await stream.start_tls_server(*behaviour.tls);
        visit.tls = true;
        visit.sni = stream.tls_info().sni;
    }

    // False if the visitor or we ourselves hung up.
    static task<bool> take_content(net::Stream& stream, const Behaviour& behaviour, Visit& visit) {
        visit.content.clear();
        while (visit.content != ".\r\n" && !visit.content.ends_with("\r\n.\r\n")) {
            if (behaviour.hang_up_after > 0 && visit.content.size() >= behaviour.hang_up_after) {
                co_await say(stream, behaviour, behaviour.early_reply);
                co_return false;
            }
            visit.content += co_await stream.read_some(4096);
        }
        visit.messages.push_back(visit.content);
        co_return true;
    }

    static task<>
    serve(Nursery& nursery, Behaviour behaviour, std::shared_ptr<Visit> visit, UniqueFd socket) {
        struct End {
            Visit& visit;
            ~End() { visit.ended = true; }
        } end{*visit};
        net::Stream stream(nursery, std::move(socket), 60'000);
        Turns turns;
        if (behaviour.implicit_tls) co_await secure(stream, behaviour, *visit);
        if (behaviour.greeting == kHangUp) co_return;
        if (behaviour.greeting != kSilence) co_await say(stream, behaviour, behaviour.greeting);
        for (;;) {
            const auto line = co_await stream.read_line(20'000);
            visit->commands.emplace_back(line);
            const auto command = visit->commands.back();
            const auto reply = reply_to(behaviour, turns, command);
            if (reply == kSilence) continue;
            if (reply == kHangUp) co_return;
            co_await say(stream, behaviour, reply);
            if (command == "QUIT") co_return;
            if (command == "STARTTLS" && reply.starts_with("220")) {
                co_await secure(stream, behaviour, *visit);
            }
            if (command != "DATA" || !reply.starts_with("354")) continue;
            const bool whole = co_await take_content(stream, behaviour, *visit);
            if (!whole) co_return;
            if (behaviour.final_reply == kHangUp) co_return;
            if (behaviour.final_reply != kSilence) {
                co_await say(stream, behaviour, behaviour.final_reply);
            }
        }
    }

    Nursery& nursery_;
    std::vector<Behaviour> behaviours_;
    UniqueFd socket_;
    uint16_t port_;
    net::Listener listener_;
};

} // namespace tambo::test
