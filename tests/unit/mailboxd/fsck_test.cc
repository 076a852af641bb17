// Answers of fsck, to the keeper and to the command line.
#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/codec.h"
#include "mailboxd/fsck_service.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mailboxd;

TEST_CASE("findings of fsck fit a datagram, whatever there is, and the rest is counted") {
    const auto fits = [](const ipc::AdminAnswer& answer) {
        return ipc::encode(answer).size() + ipc::kHeaderBytes <= limits::ipc_message_bytes;
    };
    for (const size_t address_bytes : {10u, 300u, 1000u}) {
        for (const auto& [count, bytes] :
             {std::pair<size_t, size_t>{3, 50}, {150, 400}, {16'000, 0}, {1, 65'000}}) {
            CAPTURE(address_bytes, count, bytes);
            ipc::FsckReport report;
            report.findings.assign(count, std::string(bytes, 'f'));
            report.more = 850;
            const auto answer = rows_of(std::string(address_bytes, 'a'), report);
            CHECK(fits(answer));
            CHECK(answer.exit_code == 1);
            REQUIRE(!answer.rows.empty());
            const size_t listed = answer.rows.size() - 1;
            CHECK(answer.rows.back()[1] == cat("and ", 850 + count - listed, " more"));
            if (count == 3) CHECK(listed == 3);
        }
    }
    ipc::FsckReport clean;
    clean.clean = true;
    const auto answer = rows_of("a", clean);
    CHECK(answer.exit_code == 0);
    CHECK(answer.rows == std::vector<std::vector<std::string>>{{"a", "clean"}});
}

TEST_CASE("what fsck found in an account fits a datagram") {
    store::FsckReport found;
    for (size_t i = 0; i < store::kFsckFindingsMax; ++i)
        found.findings.push_back({store::FsckKind::body_size_wrong, std::string(1000, 's'), true});
    found.findings_total = 5'000;
    found.restored_from = std::string(10'000, 'r');
    const auto report = answer_of(found);
    CHECK(ipc::encode(report).size() + ipc::kHeaderBytes <= limits::ipc_message_bytes);
    CHECK(report.findings.size() - 1 + report.more == 5'000);
}
