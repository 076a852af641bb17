// What logd needs of the configuration. Sizes in bytes.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct LogdConfig {
    bool journal = false; // else the file
    std::string file;     // the name within the directory that master passes
    int64_t file_size_max = 0, files_kept = 0;

    template <class V>
    void visit(V& v) {
        v(journal, file, file_size_max, files_kept);
    }
};

} // namespace tambo::conf
