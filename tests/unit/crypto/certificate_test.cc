#include "common/crypto/certificate.h"

#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/crypto/host_name.h"
#include "tests/unit/crypto/tls_pair.h"

using namespace tambo;
using namespace tambo::test;

namespace {

Certificate leaf_of(const std::string& pem) {
    auto chain = parse_certificate_chain(pem);
    if (!chain) FAIL(chain.error());
    return chain->front();
}

std::string refusal(const std::string& pem) {
    const auto chain = parse_certificate_chain(pem);
    REQUIRE_FALSE(chain.ok());
    return chain.error();
}

constexpr int64_t kDay = 86'400'000;

} // namespace

TEST_CASE("certificates: what is read of them") {
    const auto c = leaf_of(
        issue(ec_key(), {"Mail.Example.TEST", "*.example.test"}, {"192.0.2.1", "2001:db8::1"}));
    CHECK(c.subject == "CN=Mail.Example.TEST");
    CHECK(c.issuer == "CN=Test CA");
    CHECK(c.dns_names == std::vector<std::string>{"mail.example.test", "*.example.test"});
    CHECK(c.ip_addresses == std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
    CHECK(c.not_before == kStart);
    CHECK(c.not_after.ms == kStart.ms + 36'000 * kDay);
    CHECK(c.fingerprint == to_hex(sha256(c.der)));
    CHECK(c.public_key == ec_key().public_key());
    CHECK(c.key_description == "EC P-256");
    CHECK_FALSE(c.is_ca);
    CHECK(leaf_of(authority().certificate_pem()).is_ca);
    CHECK(certificate_pem(c).find("BEGIN CERTIFICATE") != std::string::npos);
    CHECK(leaf_of(certificate_pem(c)).fingerprint == c.fingerprint);
}

TEST_CASE("certificates: which host names they cover") {
    const auto c =
        leaf_of(issue(ec_key(), {"mail.example.test", "*.pool.example.test"}, {"192.0.2.1"}));
    CHECK(c.names_host("MAIL.example.test"));
    CHECK(c.names_host("a.pool.example.test"));
    CHECK(c.names_host("192.0.2.1"));
    for (const auto* not_covered : {"example.test", "a.b.pool.example.test", "pool.example.test",
                                    ".pool.example.test", "192.0.2.2", "", "mail.example.test."}) {
        CHECK_FALSE(c.names_host(not_covered));
    }
}

TEST_CASE("certificates: a chain keeps its order and drops duplicates") {
    const auto leaf = issue(rsa_key(), {"a.test"});
    const auto root = authority().certificate_pem();
    const auto chain = parse_certificate_chain("junk\n" + leaf + "more junk\n" + root + leaf);
    REQUIRE(chain.ok());
    REQUIRE(chain->size() == 2);
    CHECK(chain.value()[0].subject == "CN=a.test");
    CHECK(chain.value()[1].subject == "CN=Test CA");
    CHECK(chain_errors(*chain, &rsa_key()).empty());
    CHECK(chain_warnings(*chain, UtcTime{kStart.ms + kDay}).empty());
}

TEST_CASE("certificates: unreadable files are explained") {
    CHECK(refusal("") == "no certificate in the file");
    CHECK(refusal("some text") == "no certificate in the file");
    CHECK(refusal(issue(ec_key(), {"a.test"}) + ec_key().pem()) ==
          "holds a private key; keys belong into a file of their own");
    CHECK(refusal("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n") ==
          "holds a block \"X509 CRL\" beside certificates");
    CHECK(refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
              .starts_with("block 1: unreadable certificate: "));
    const auto good = issue(ec_key(), {"a.test"});
    CHECK(refusal(good.substr(0, good.size() - 30)).starts_with("damaged PEM block: "));
    CHECK(refusal(std::string(257 * 1024, ' ')) == "larger than 256 KiB");
    auto flipped = good;
    flipped[flipped.size() / 2] = '=';
    CHECK_FALSE(parse_certificate_chain(flipped).ok());
    std::string many;
    for (int i = 0; i < 11; ++i)
        many += issue(ec_key(), {cat("h", i, ".test")});
    CHECK(refusal(many) == "more than 10 certificates");
    CHECK(parse_certificate_bundle(many).ok());
}

TEST_CASE("certificates: the problems of a chain, each in a sentence") {
    using Sentences = std::vector<std::string>;
    const auto now = UtcTime{kStart.ms + kDay};
    const auto leaf = issue(ec_key(), {"a.test"});
    const auto chain = [](const std::string& pem) { return parse_certificate_chain(pem).value(); };

    CHECK(chain_errors(chain(leaf), &ec_key()).empty());
    CHECK(chain_errors(chain(leaf), nullptr).empty());
    CHECK(chain_errors({}, nullptr) == Sentences{"no certificate"});
    const std::string foreign = "the private key (RSA 2048) does not belong to certificate "
                                "CN=a.test (EC P-256)";
    CHECK(chain_errors(chain(leaf), &rsa_key()) == Sentences{foreign});

    CHECK(chain_warnings(chain(leaf), now).empty());
    CHECK(chain_warnings(chain(leaf), UtcTime{kStart.ms - 1000}) ==
          Sentences{"certificate CN=a.test is not valid before 2023-11-14T22:13:20.000Z"});
    CHECK(chain_warnings(chain(leaf), UtcTime{kStart.ms + 36'001 * kDay}) ==
          Sentences{"certificate CN=a.test expired at 2122-06-08T22:13:20.000Z"});
    CHECK(chain_warnings(chain(authority().certificate_pem() + leaf), now) ==
          Sentences{"certificate CN=Test CA has no host name in subjectAltName",
                    "certificate 2 (CN=a.test) did not issue certificate 1 (CN=Test CA): wrong "
                    "order or a foreign certificate"});

    CHECK(check_server_certificate(leaf, ec_key().pem()) == std::nullopt);
    CHECK(check_server_certificate(leaf, rsa_key().pem()) == foreign);
    CHECK(check_server_certificate("x", ec_key().pem()) == "no certificate in the file");
    CHECK(check_server_certificate(leaf, leaf) == "no readable private key in the file");
}

TEST_CASE("certificates: time checks") {
    const auto c = leaf_of(issue(ec_key(), {"a.test"}));
    CHECK(check_time(c, c.not_before) == CertificateTime::valid);
    CHECK(check_time(c, c.not_after) == CertificateTime::valid);
    CHECK(check_time(c, UtcTime{c.not_before.ms - 1}) == CertificateTime::not_yet);
    CHECK(check_time(c, UtcTime{c.not_after.ms + 1}) == CertificateTime::expired);
}

TEST_CASE("issuing: names are checked, long ones are no common name") {
    CertificateSpec spec{{}, {}, kStart, 10};
    CHECK_FALSE(self_signed_certificate(ec_key(), spec).ok());
    for (const auto* bad : {"", "a b", "a,DNS:evil.test", "-a.test", "*", "*.", "a\nb.test"}) {
        spec.dns_names = {bad};
        CHECK_FALSE(self_signed_certificate(ec_key(), spec).ok());
    }
    spec.dns_names = {"a.test"};
    for (const auto* bad : {"", "192.0.2", "192.0.2.1,DNS:evil.test", "::g"}) {
        spec.ip_addresses = {bad};
        CHECK_FALSE(self_signed_certificate(ec_key(), spec).ok());
    }
    const std::string label(30, 'a');
    spec.dns_names = {cat(label, '.', label, '.', label, ".test")};
    spec.ip_addresses = {};
    const auto pem = self_signed_certificate(rsa_key(), spec);
    REQUIRE(pem.ok());
    const auto c = leaf_of(*pem);
    CHECK(c.subject.empty());
    CHECK(c.dns_names == spec.dns_names);
    CHECK_FALSE(c.is_ca);
}

TEST_CASE("issuing: a CA comes back from its files, and only with its own key") {
    const auto& ca = authority();
    const auto again = CertificateAuthority::load(ca.certificate_pem(), ca.key());
    REQUIRE(again.ok());
    CHECK(again->issue(ec_key(), {{"x.test"}, {}, kStart, 10}).ok());
    CHECK_FALSE(CertificateAuthority::load(ca.certificate_pem(), ec_key()).ok());
    CHECK_FALSE(CertificateAuthority::load(issue(ec_key(), {"a.test"}), ec_key()).ok());
    CHECK_FALSE(CertificateAuthority::load("", ec_key()).ok());
}

TEST_CASE("host names: LDH, 253 bytes, no number at the end") {
    for (const auto* good : {"a", "example.test", "A-b.C1", "1.example", "xn--mnchen-3ya.de"}) {
        CHECK(is_host_name(good));
    }
    for (const auto* bad : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "a-.b", "a_b", "a b",
                            "a\\", "m\xC3\xBC.de", "127.0.0.1", "a.1", "::1", "a/b", "a@b"}) {
        CHECK_FALSE(is_host_name(bad));
    }
    const std::string label(63, 'x');
    CHECK(is_host_name(label));
    CHECK_FALSE(is_host_name(label + 'x'));
    const auto long_name = cat(label, '.', label, '.', label, '.', std::string(61, 'y'));
    CHECK(long_name.size() == 253);
    CHECK(is_host_name(long_name));
    CHECK_FALSE(is_host_name(long_name + 'y'));
    CHECK_FALSE(is_host_name(std::string_view("a\0b", 3)));
}
