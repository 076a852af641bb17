#include "smtpd/content.h"

#include "common/base/text.h"
#include "smtpd/envelope.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::smtpd;

namespace {

struct Outcome {
    std::string body;
    int refusal = 0;
    bool lacks_header = false;
    size_t removed = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome run(std::string_view wire, size_t cut, uint64_t size_max = 10'000) {
    Content content(size_max, "mx.example");
    Outcome r;
    for (const auto piece : {wire.substr(0, cut), wire.substr(cut)}) {
        if (!content.ended()) content.feed(piece, r.body);
    }
    const auto refusal = content.refusal();
    r.refusal = refusal ? refusal->code : 0;
    r.lacks_header = content.lacks_header();
    r.removed = content.forged_results_removed();
    return r;
}

// The same at every split point.
Outcome content_of(std::string_view message, uint64_t size_max = 10'000) {
    const std::string wire = cat(message, ".\r\n");
    const Outcome whole = run(wire, wire.size(), size_max);
    for (size_t cut = 0; cut < wire.size(); ++cut) {
        if (run(wire, cut, size_max) == whole) continue;
        // What is refused may have been written in part.
        if (whole.refusal != 0 && run(wire, cut, size_max).refusal == whole.refusal) continue;
        FAIL("differs when cut at " << cut << ": " << escape(wire));
    }
    return whole;
}

Authors authors_of(std::string_view header, std::string_view default_domain = {}) {
    mime::HeaderScanner scanner;
    scanner.feed(header);
    scanner.finish();
    return find_authors(scanner, mime::Watched::from, default_domain);
}

using Verdict = Authors::Verdict;

} // namespace

TEST_CASE("a message passes byte for byte") {
    const std::string message = "From: a@b\r\nX: \xFF\r\n\ty\r\n\r\nbody\r\n\r\n.x\r\n";
    CHECK(content_of("From: a@b\r\nX: \xFF\r\n\ty\r\n\r\nbody\r\n\r\n..x\r\n").body == message);
    CHECK(content_of(message).refusal == 0);
}

TEST_CASE("only fields that claim to be ours are removed") {
    const auto kept = [](std::string_view fields) {
        const std::string message = cat(fields, "From: a@b\r\n\r\nx\r\n");
        const Outcome r = content_of(message);
        CHECK(r.refusal == 0);
        return r.removed == 0 && r.body == message;
    };
    const auto removed = [](std::string_view fields) {
        const Outcome r = content_of(cat(fields, "From: a@b\r\n\r\nx\r\n"));
        return r.removed == 1 && r.body == "From: a@b\r\n\r\nx\r\n";
    };
    for (const auto* field :
         {"Authentication-Results: mx.example; none\r\n", "AUTHENTICATION-RESULTS:MX.EXAMPLE\r\n",
          "Authentication-Results : mx.example 1; dkim=pass\r\n",
          "Authentication-Results:\r\n mx.example;\r\n dkim=pass\r\n",
          "Authentication-Results: (a (b) \\) c) mx.example(x); none\r\n",
          "Authentication-Results: \"mx.example\"; none\r\n",
          "Authentication-Results: \"mx\\.example\"; none\r\n",
          "Authentication-Results: mx.example\r\n\t; spf=pass\r\n"}) {
        INFO(field);
        CHECK(removed(field));
    }
    CHECK(removed(cat("Authentication-Results: (", std::string(3000, 'x'), ") other; none\r\n")));
    for (const auto* field :
         {"Authentication-Results: other.example; none\r\n", "Authentication-Results:\r\n",
          "Authentication-Results: mx.example.org; none\r\n",
          "Authentication-Results: x mx.example\r\n",
          "X-Authentication-Results: mx.example; none\r\n",
          "Authentication-Outcome: mx.example\r\n", "Authentication-Resultsx: mx.example\r\n",
          "ARC-Authentication-Results: i=1; mx.example\r\n",
          "Subject: Authentication-Results: mx.example\r\n Authentication-Results: mx.example\r\n",
          "Authentication-Results: ; none\r\n", "A\r\n"}) {
        INFO(field);
        CHECK(kept(field));
    }
}

TEST_CASE("a forged field may end the message") {
    CHECK(content_of("Authentication-Results: mx.example\r\n").body.empty());
    CHECK(content_of("Authentication-Results: mx\r\n").body == "Authentication-Results: mx\r\n");
    CHECK(content_of("Authentication\r\n").body == "Authentication\r\n");
}

TEST_CASE("why a message is refused") {
    CHECK(content_of("a: b\nc: d\r\n").refusal == 550);
    CHECK(content_of("a: b\r\n", 6).refusal == 0);
    CHECK(content_of("a: b\r\n", 5).refusal == 552);
    std::string hops;
    for (int i = 0; i < 49; ++i)
        hops += "Received: x\r\n";
    CHECK(content_of(hops + "\r\nReceived: y\r\n").refusal == 0);
    CHECK(content_of(hops + "Received: x\r\n\r\n").refusal == 554);
}

TEST_CASE("M2: a field whose name has a control character is refused") {
    CHECK(content_of("To: e@f\r\nFrom\v: a@b\r\nFrom: c@d\r\n\r\n").refusal == 550);
    CHECK(content_of("From: c@d\r\n\x7f\x01 From: a@b\r\n\r\n").refusal == 550);
    CHECK(content_of("Subject: x\v: y\r\n\r\nFrom\v: a@b\r\n").refusal == 0);
    // No header at all: these lines become the body.
    CHECK(content_of("\x1b[1mError: x\r\n").refusal == 0);
    CHECK(content_of("From\v: a@b\r\nFrom: c@d\r\n\r\n").refusal == 0);
}

TEST_CASE("messages without a header are recognised by their first line") {
    for (const auto* bare : {"hello\r\n", "hello world: x\r\n", " x: y\r\n", ": x\r\n",
                             "\xC3\xBC: x\r\n", "From alice Mon Jan 1 00:00:00\r\n"}) {
        INFO(bare);
        CHECK(content_of(bare).lacks_header);
    }
    for (const auto* headed : {"", "\r\n", "\r\nx\r\n", "a: b\r\n", "a:\r\n"}) {
        INFO(headed);
        CHECK_FALSE(content_of(headed).lacks_header);
    }
}

TEST_CASE("the authors of a message") {
    auto a = authors_of("From: \"A. B\" <Alice@Local.Test>\r\n\r\n");
    CHECK(a.verdict == Verdict::fine);
    CHECK(a.addresses == std::vector<std::string>{"alice@local.test"});
    CHECK(authors_of("To: x@y\r\n\r\n").verdict == Verdict::absent);
    CHECK(authors_of("From: a@x, b@x\r\n\r\n").addresses.size() == 2);
    for (const auto* bad :
         {"From: a@x\r\nFrom: a@x\r\n\r\n", "From: a@x, b@y\r\n\r\n", "From:\r\n\r\n",
          "From: \r\n \r\n\r\n", "From: x\r\n\r\n", "From: g: a@x;\r\n\r\n", "From: a@x_y\r\n\r\n",
          "From: <a@x> <b@y>\r\n\r\n"}) {
        INFO(bad);
        CHECK(authors_of(bad).verdict == Verdict::refused);
    }
    const std::string hidden = cat("Subject: ", std::string(40'000, 'x'), "\r\nFrom: a@x\r\n\r\n");
    CHECK(authors_of(hidden).verdict == Verdict::refused);
    const auto local = authors_of("From: root (Cron Daemon)\r\n\r\n", "mx.example");
    CHECK(local.verdict == Verdict::fine);
    CHECK(local.addresses == std::vector<std::string>{"root@mx.example"});
}

TEST_CASE("the Received field") {
    TraceFacts facts;
    facts.hostname = "mx.example";
    facts.hello = *smtp::parse_hello("client.example");
    facts.client_literal = "[192.0.2.1]";
    facts.qid = Id{1, 2};
    facts.time = UtcTime{1'795'497'616'000};
    CHECK(
        received_field(facts) ==
        "Received: from client.example (unknown [192.0.2.1])\r\n\tby mx.example (Tambo) with ESMTP "
        "id 0000000000000g000000000002; Tue, 24 Nov 2026 05:20:16 +0000\r\n");
    facts.tls_version = "TLSv1.3";
    facts.tls_cipher = "TLS_AES_256_GCM_SHA384";
    facts.client_name = "out.example";
    facts.authenticated = true;
    facts.only_recipient = "a@local.test";
    CHECK(received_field(facts) ==
          "Received: from client.example (out.example [192.0.2.1])\r\n\tby mx.example (Tambo) with "
          "ESMTPSA id 0000000000000g000000000002\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tfor "
          "<a@local.test>; Tue, 24 Nov 2026 05:20:16 +0000\r\n");
    facts.smtputf8 = true;
    CHECK(protocol_name(facts) == "UTF8SMTPSA");
    facts.extended = facts.smtputf8 = false;
    CHECK(protocol_name(facts) == "SMTP");
}

TEST_CASE("recipients are kept in one block") {
    Recipients r;
    CHECK(r.add("a@x", 100) == Recipients::Added::yes);
    CHECK(r.only() == "a@x");
    CHECK(r.add("a@x", 100) == Recipients::Added::already);
    CHECK(r.add("a@", 100) == Recipients::Added::yes);
    CHECK(r.only().empty());
    CHECK(r.add(std::string(100, 'b'), 100) == Recipients::Added::full);
    size_t position = 0;
    CHECK(r.take(position, 1).front().address == "a@x");
    CHECK(r.take(position, 5).front().address == "a@");
    CHECK(r.take(position, 5).empty());
}
