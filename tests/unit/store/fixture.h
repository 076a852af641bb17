// A store in a directory of its own, with a clock that stands still and ids that count.
#pragma once

#include "common/base/text.h"
#include "common/store/account.h"
#include "common/store/layout.h"
#include "common/store/view.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace tambo::store {

struct TestClock final : Clock {
    UtcTime time = UtcTime::from_seconds(1'800'000'000);
    UtcTime now() override { return time; }
    int64_t monotonic_ms() override { return time.ms; }
};

struct Fixture {
    std::string top, dir;
    TestClock clock;
    uint64_t ids = 0;
    Options options;
    std::unique_ptr<Account> account;

    Fixture() {
        // In memory where possible: these tests check logic, the disk has tests of its own.
        top = cat(std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp",
                  "/tambo-store-XXXXXX");
        REQUIRE(::mkdtemp(top.data()) != nullptr);
        dir = top + "/account";
        make_account_dir(dir);
        options.clock = &clock;
        options.new_id = [this] { return Id{0x1111, ++ids}; };
        options.epoch = 1;
        options.disk_reserve_bytes = 0;
        options.unlink_delay_ms = 0;
        open();
    }
    ~Fixture() {
        account.reset();
        std::filesystem::remove_all(top);
    }
    Fixture(const Fixture&) = delete;

    void open() {
        account.reset();
        auto opened = Account::open(dir, options);
        REQUIRE(opened.ok());
        account = std::move(*opened);
    }
    // The files as a crash would leave them: a copy taken while the account is open.
    void crash() {
        const std::string copy = top + "/copy";
        std::filesystem::copy(dir, copy, std::filesystem::copy_options::recursive);
        account.reset();
        std::filesystem::remove_all(dir);
        std::filesystem::rename(copy, dir);
        open();
    }

    std::shared_ptr<Mailbox> select(std::string_view name = "INBOX") {
        auto mailbox = account->select(name);
        REQUIRE(mailbox.ok());
        return *mailbox;
    }
    NewMessage message(std::string_view text, Flags flags = 0) {
        auto body = account->new_body();
        REQUIRE(body.ok());
        REQUIRE(body->write(text).ok());
        return NewMessage{std::move(*body), "", flags, {}, std::nullopt};
    }
    uint32_t append(std::string_view mailbox = "INBOX",
                    std::string_view text = "a: b\r\n\r\nx\r\n",
                    Flags flags = 0) {
        std::vector<NewMessage> messages;
        messages.push_back(message(text, flags));
        auto appended = account->append(mailbox, std::move(messages), nullptr);
        REQUIRE(appended.ok());
        return appended->uids.at(0);
    }
    // A body as deliverd would have linked it.
    Delivery
    delivery(uint64_t queue, uint32_t rcpt = 0, std::string_view text = "s: t\r\n\r\nx\r\n") {
        Delivery out;
        out.key = DeliveryKey{Id{0x2222, queue}, rcpt, 0};
        out.prefix = "Return-Path: <a@b>\r\n";
        link_body(out.key, text);
        return out;
    }
    void link_body(const DeliveryKey& key, std::string_view text) {
        std::ofstream(dir + "/" + BodyName::of(key).path()) << text;
    }
    Outcome<Delivered> deliver(const Delivery& delivery) {
        return account->deliver(std::span(&delivery, 1)).at(0);
    }
    MailboxStatus status(std::string_view name = "INBOX") {
        auto status = account->status(name);
        REQUIRE(status.ok());
        return *status;
    }
    std::string text(const Entry& entry) {
        auto reader = account->open_message(entry);
        REQUIRE(reader.ok());
        return std::string(reader->text());
    }
    size_t bodies() const {
        size_t count = 0;
        for (const auto& file : std::filesystem::recursive_directory_iterator(dir + "/bodies")) {
            if (file.is_regular_file()) ++count;
        }
        return count;
    }
    void tidy_all() {
        for (int i = 0; i < 1000; ++i) {
            auto more = account->tidy();
            REQUIRE(more.ok());
            if (!*more) return;
        }
        FAIL("tidy never ends");
    }
    std::vector<std::string> names() {
        std::vector<std::string> out;
        for (const auto& info : account->list()) {
            out.push_back(info.noselect ? "(" + info.name + ")" : info.name);
        }
        return out;
    }
};

inline std::vector<uint32_t> uids_in(const Mailbox& mailbox) {
    std::vector<uint32_t> out;
    for (const Entry& entry : mailbox.entries())
        out.push_back(entry.uid);
    return out;
}

using Uids = std::vector<uint32_t>;
using Names = std::vector<std::string>;

} // namespace tambo::store
