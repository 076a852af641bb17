// A whole tambo.toml: what is wrong with it is said, in lines that a terminal can show.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/conf/describe.h"
#include "common/conf/load.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace tambo;

namespace {

struct File {
    std::string directory = "/dev/shm/tambo-fuzz-XXXXXX", path;
    File() {
        check(::mkdtemp(directory.data()) != nullptr, "a directory");
        path = directory + "/tambo.toml";
    }
    ~File() {
        ::unlink(path.c_str());
        ::rmdir(directory.c_str());
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const File file;
    std::FILE* out = std::fopen(file.path.c_str(), "wb");
    check(out != nullptr, "a file");
    std::fwrite(data, 1, size, out);
    std::fclose(out);
    conf::Request request;
    request.file = file.path;
    const conf::Loaded loaded = conf::load(request);
    bool has_errors = false;
    for (const auto& problem : loaded.problems) {
        has_errors = has_errors || problem.severity == conf::Severity::error;
        check(!problem.message.empty(), "a problem has words");
        for (const char c : problem.text())
            check(!is_ctl(c) || c == '\n', "a control character for a terminal");
    }
    check(loaded.config.has_value() == !has_errors, "a configuration or errors");
    if (loaded.config) {
        check(!loaded.config->hostname.empty(), "the one key that must be there");
        check(!conf::show(loaded, true).empty(), "it can be shown");
    }
    return 0;
}
