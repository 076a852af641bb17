// queue.db with values of other kinds and sizes than ours: what is read is an envelope or an error.
// A byte chooses the table's column, one how the rest is stored.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/spool/queue_db.h"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

using namespace tambo;
using namespace tambo::spool;

namespace {

constexpr std::array kEntry{
    "qid",          "source",      "report",     "report_key",  "sid",         "login",
    "reverse_path", "helo",        "client_ip",  "client_name", "protocol",    "message_id",
    "header_from",  "dkim_domain", "body",       "smtputf8",    "require_tls", "ret",
    "envid",        "hold_until",  "deliver_by", "priority",    "prefix",      "length",
    "crc32c",       "accepted",    "uptime",     "held",        "lost",        "notified"};
constexpr std::array kRecipient{"rcpt_no",  "action_no",    "original",     "notify", "orcpt",
                                "kind",     "account",      "address",      "detail", "destination",
                                "attempts", "next_attempt", "last_attempt", "code",   "enhanced",
                                "text",     "host",         "from_peer"};

struct Queue {
    std::string directory = "/dev/shm/tambo-fuzz-XXXXXX";
    std::optional<QueueDb> db;
    Queue() {
        check(::mkdtemp(directory.data()) != nullptr, "a directory");
        db.emplace(directory + "/queue.db");
    }
    ~Queue() {
        db.reset();
        std::filesystem::remove_all(directory);
    }
};

void insert_one(QueueDb& db) {
    Envelope envelope;
    envelope.seq = 1;
    envelope.qid = Id{1, 2};
    Recipient recipient;
    recipient.original = recipient.address = "a@b.test";
    check(db.insert(envelope, {&recipient, 1}), "a row");
}

void store(QueueDb& db, std::string_view input) {
    const auto column = static_cast<uint8_t>(input[0]);
    const auto form = static_cast<uint8_t>(input[1]);
    const std::string value(input.substr(2));
    const bool of_entry = column % 2 == 0;
    const char* name =
        of_entry ? kEntry[column / 2 % kEntry.size()] : kRecipient[column / 2 % kRecipient.size()];
    // Statements are cached by their address: each keeps its text.
    static std::map<std::string, std::string> texts;
    const std::string key = cat(of_entry ? "entry" : "recipient", " SET ", name);
    const std::string& sql =
        texts.try_emplace(key, cat("UPDATE OR IGNORE ", key, "=?")).first->second;
    if (form % 3 == 0) db.database().run(sql, db::Blob{value});
    if (form % 3 == 1) db.database().run(sql, std::string_view(value));
    if (form % 3 == 2) {
        int64_t number = 0;
        for (const char c : value.substr(0, 8))
            number =
                static_cast<int64_t>(static_cast<uint64_t>(number) << 8 | static_cast<uint8_t>(c));
        db.database().run(sql, number);
    }
}

void read_all(QueueDb& db) {
    const auto envelope = db.load(1);
    if (envelope)
        check(envelope->source <= Source::last_ && envelope->report <= Report::last_, "kinds");
    for (const auto& [key, recipient] : db.recipients(1))
        check(recipient.kind <= Kind::last_, "a kind");
    static_cast<void>(db.find(Id{1, 2}));
    for (const auto& due : db.due({}, UtcTime{INT64_MAX}, 10))
        check(due.recipient.kind <= Kind::last_, "a kind");
    static_cast<void>(db.bodies_after(0));
    static_cast<void>(db.scan({}, 10, [](const Listed&) { return true; }));
    static_cast<void>(db.count(UtcTime{0}));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    static Queue queue;
    QueueDb::Batch batch(*queue.db); // rolled back
    insert_one(*queue.db);
    try {
        store(*queue.db, {reinterpret_cast<const char*>(data), size});
        read_all(*queue.db);
    } catch (const db::DbError&) {
    }
    return 0;
}
