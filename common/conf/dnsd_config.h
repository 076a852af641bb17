// What dnsd needs of the configuration.
#pragma once

#include "common/conf/config.h"

#include <string>
#include <vector>

namespace tambo::conf {

struct DnsdConfig {
    std::string hostname;
    std::vector<Endpoint> servers; // empty: those of the resolv.conf that master passes

    template <class V>
    void visit(V& v) {
        v(hostname, servers);
    }
};

} // namespace tambo::conf
