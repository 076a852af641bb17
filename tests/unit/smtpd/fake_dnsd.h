// The dnsd that smtpd asks for the names of its clients in tests.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/dnsd.h"

#include <string>
#include <string_view>

namespace tambo::smtpd::test {

// 192.0.2.7 is client.example; 192.0.2.8 claims to be bank.example.
class FakeDnsd {
  public:
    explicit FakeDnsd(ipc::Channel& channel) {
        channel.on<ipc::DnsLookup>(*this, &FakeDnsd::lookup);
    }

  private:
    task<ipc::DnsAnswer> lookup(ipc::DnsLookup question) {
        ipc::DnsAnswer answer;
        answer.status = ipc::DnsStatus::found;
        const auto add = [&](std::string_view text) {
            answer.records.push_back(ipc::DnsRecord{std::string(text), 0});
        };
        if (question.name == "192.0.2.7") add("client.example");
        if (question.name == "192.0.2.8") add("bank.example");
        if (question.name == "192.0.2.9") add("bad\377name");
        if (question.name == "client.example") add("192.0.2.7");
        if (question.name == "bank.example") add("198.51.100.1");
        if (answer.records.empty()) answer.status = ipc::DnsStatus::no_name;
        co_return answer;
    }
};

} // namespace tambo::smtpd::test
