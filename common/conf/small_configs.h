// The parts of the configuration of daemons that need next to nothing of it.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct DeliverdConfig {
    int64_t disk_reserve = 0; // bytes

    template <class V>
    void visit(V& v) {
        v(disk_reserve);
    }
};

struct KeydConfig {
    uint32_t keys = 0; // how many key files master passes, in the order of tls.key

    template <class V>
    void visit(V& v) {
        v(keys);
    }
};

} // namespace tambo::conf
