// What the keeper and the account processes need of the configuration. Sizes in bytes.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct MailboxdConfig {
    std::string hostname;
    int64_t quota = 0; // of an account that has none of its own; 0: no limit
    int64_t message_size_max = 0;
    int64_t disk_reserve = 0;

    template <class V>
    void visit(V& v) {
        v(hostname, quota, message_size_max, disk_reserve);
    }
};

} // namespace tambo::conf
