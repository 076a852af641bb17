// An account on a store in memory, for targets that run whole sessions on it.
#pragma once

#include "common/store/account.h"
#include "common/store/layout.h"
#include "common/sys/clock.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace tambo::fuzz {

class Store {
  public:
    std::unique_ptr<store::Account> account;

    explicit Store(store::FactsParser facts = {}) {
        if (::mkdtemp(top.data()) == nullptr) std::abort();
        store::make_account_dir(top + "/a");
        store::Options options;
        options.clock = &clock;
        options.new_id = [this] { return Id{1, ++ids}; };
        options.facts = std::move(facts);
        options.disk_reserve_bytes = 0;
        auto opened = store::Account::open(top + "/a", options);
        if (!opened.ok()) std::abort();
        account = std::move(*opened);
        for (const auto* text :
             {"Subject: one\r\n\r\nbody\r\n",
              "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n"
              "--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\ny\r\n--b--"}) {
            std::vector<store::NewMessage> messages;
            auto body = account->new_body();
            if (!body.ok() || !body->write(text).ok()) std::abort();
            messages.push_back({std::move(*body), "", 0, {}, std::nullopt});
            if (!account->append("INBOX", std::move(messages), nullptr).ok()) std::abort();
        }
    }
    ~Store() {
        account.reset();
        std::filesystem::remove_all(top);
    }
    // Sessions remove messages, and those that come after them would find none.
    bool is_used_up() const {
        const auto status = account->status("INBOX");
        return !status.ok() || status->messages < 2;
    }

  private:
    std::string top = "/dev/shm/tambo-fuzz-XXXXXX";
    SystemClock clock;
    uint64_t ids = 0;
};

} // namespace tambo::fuzz
