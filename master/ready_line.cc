#include "master/ready_line.h"

#include "common/base/text.h"
#include "common/conf/parts.h"
#include "common/conf/value.h"

#include <unistd.h>

#include <set>

namespace tambo::master {

std::string ready_line(const Surroundings& around) {
    std::string ports;
    std::set<std::string> seen;
    for (const auto& socket : around.listeners.all()) {
        if (socket.port == 0 || !seen.insert(socket.name).second) continue;
        ports += cat(ports.empty() ? "" : ",", '"', socket.name, "\":", socket.port);
    }
    // The escapes of a TOML basic string are those of JSON for what a path may hold.
    return cat(
        "{\"pid\":", ::getpid(), ",\"directory\":", conf::toml_string(around.directories.path()),
        ",\"hostname\":", conf::toml_string(around.config.hostname), ",\"ports\":{", ports, "}}");
}

std::string terminal_line(const Surroundings& around) {
    const auto log = conf::make_logd_config(around.config, around.journal);
    const std::string& target = around.config.log.target;
    const std::string file =
        target.starts_with('/') ? target : cat(around.directories.path(), "/log/", log.file);
    return cat("tambo: running, ", around.config.hostname,
               "; events: ", log.journal ? "journal" : file, "; tambo status");
}

} // namespace tambo::master
