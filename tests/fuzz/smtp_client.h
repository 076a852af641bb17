// A client of the smtpd of tests/unit/smtpd, and what its answers and what it stores must keep to.
#pragma once

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/net/stream.h"
#include "tests/unit/smtpd/world.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace tambo::smtpd::test {

inline task<>
send_in_steps(World& world, net::Stream& client, std::string_view input, size_t step) {
    for (size_t at = 0; at < input.size(); at += step) {
        client.put(input.substr(at, step));
        co_await client.flush();
        if (step < 64) co_await sleep_ms(world.nursery, 0);
    }
}

inline task<> start_tls(net::Stream& client) {
    const TlsContext context = client_tls();
    const TlsPeer peer{"mx.example", {}};
    co_await client.start_tls_client(context, peer);
}

// Starts TLS if that is what the server waits for.
inline task<> take_up_tls(World& world, net::Stream& client, std::string& said) {
    for (int i = 0; i < 8; ++i) {
        co_await sleep_ms(world.nursery, 0);
        client.poll_input();
    }
    said += client.buffered();
    client.consume(client.buffered().size());
    const bool awaited = said.ends_with("220 2.0.0 ready to start TLS\r\n");
    if (awaited && !client.tls()) co_await start_tls(client);
}

// Sends input in pieces of step bytes, with TLS from the first byte if that is the door's way, or
// from a byte 0xfd if the server has agreed.
inline task<> talk(World& world,
                   UniqueFd socket,
                   Door door,
                   std::string_view input,
                   size_t step,
                   std::string& said) {
    net::Stream client(world.nursery, std::move(socket), 5000);
    try {
        if (door == Door::submissions) co_await start_tls(client);
        for (size_t end = input.find('\xfd'); end != std::string_view::npos;
             end = input.find('\xfd')) {
            co_await send_in_steps(world, client, input.substr(0, end), step);
            co_await take_up_tls(world, client, said);
            input.remove_prefix(end + 1);
        }
        co_await send_in_steps(world, client, input, step);
    } catch (const Closed&) {
        said.clear(); // the server has had enough; what it said is read below
    } catch (const net::TlsError&) {
        said.clear();
        co_return;
    }
    client.finish();
    try {
        for (;;) {
            auto bytes = co_await client.read_some(65536);
            said += bytes;
        }
    } catch (const Closed&) {
        co_return;
    }
}

// RFC 5321 4.2: nothing but replies is ever said.
inline void check_replies(std::string_view said) {
    while (!said.empty()) {
        if (said[0] == '\x15') return; // a TLS alert behind STARTTLS
        const auto end = said.find("\r\n");
        check(end != std::string_view::npos && end >= 3 && end <= 510, "a line is a reply line");
        const auto line = said.substr(0, end);
        check(parse_uint(line.substr(0, 3)).has_value(), "a reply has a code");
        check(
            std::none_of(line.begin(), line.end(), [](char c) { return is_ctl(c) || is_8bit(c); }),
            "a reply is printable");
        said.remove_prefix(end + 2);
    }
}

// What every message that is taken keeps to.
inline void check_body(const Stored& message) {
    const std::string& body = message.body;
    check(body.find('\0') == std::string::npos, "NUL in a body");
    for (size_t i = 0; i < body.size(); ++i) {
        if (body[i] == '\n') check(i > 0 && body[i - 1] == '\r', "bare LF in a body");
        if (body[i] == '\r') check(i + 1 < body.size() && body[i + 1] == '\n', "bare CR");
    }
    check(!message.recipients.empty(), "a message has recipients");
    for (const auto& text : message.recipients)
        check(smtp::parse_address(text).ok(), "a recipient is an address");
}

} // namespace tambo::smtpd::test
