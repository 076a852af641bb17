// Names from a table, and a random source from a list, for routes in tests.
#pragma once

#include "common/base/check.h"
#include "common/sys/clock.h"
#include "relayd/names.h"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tambo::test {

class FakeNames final : public relayd::NameService {
  public:
    task<ipc::DnsAnswer> lookup(std::string name, ipc::DnsType type, int64_t timeout_ms) override {
        asked.push_back({name, type});
        last_timeout_ms = timeout_ms;
        if (on_lookup) on_lookup();
        const auto known = answers_.find({name, type});
        if (known != answers_.end()) co_return known->second;
        ipc::DnsAnswer none;
        none.status = exists_.contains(name) ? ipc::DnsStatus::no_data : ipc::DnsStatus::no_name;
        co_return none;
    }
    void mx(const std::string& domain, uint16_t preference, const std::string& host) {
        record(domain, ipc::DnsType::mx, host, preference);
    }
    void address(const std::string& host, const std::string& ip) {
        const bool v6 = ip.find(':') != std::string::npos;
        record(host, v6 ? ipc::DnsType::aaaa : ipc::DnsType::a, ip, 0);
    }
    void record(const std::string& name,
                ipc::DnsType type,
                const std::string& text,
                uint16_t preference) {
        exists_[name] = true;
        auto& answer = answers_[{name, type}];
        answer.status = ipc::DnsStatus::found;
        answer.records.push_back({text, preference});
    }
    void fail(const std::string& name, ipc::DnsType type) {
        answers_[{name, type}] = ipc::DnsAnswer(); // temporary
    }
    void empty(const std::string& name, ipc::DnsType type) {
        answers_[{name, type}].status = ipc::DnsStatus::found;
    }
    void clear() {
        answers_.clear();
        exists_.clear();
    }

    std::vector<std::pair<std::string, ipc::DnsType>> asked;
    int64_t last_timeout_ms = 0;
    std::function<void()> on_lookup;

  private:
    std::map<std::pair<std::string, ipc::DnsType>, ipc::DnsAnswer> answers_;
    std::map<std::string, bool> exists_;
};

// A well-mixed sequence that is the same in every run.
class SeededRandom final : public Random {
  public:
    explicit SeededRandom(uint64_t seed) : state_(seed) {}
    uint64_t u64() override { // splitmix64
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }

  private:
    uint64_t state_;
};

} // namespace tambo::test
