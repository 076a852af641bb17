// A directory of a test's own, removed when it goes.
#pragma once

#include "common/sys/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tambo::test {

struct Scratch {
    std::string path;

    // In memory (tmpfs) if that exists: what these tests prove does not depend on a disk, and a
    // busy one makes them slow.
    Scratch() : Scratch(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") {}
    explicit Scratch(const std::string& base) : path(base + "/tambo-test.XXXXXX") {
        if (!::mkdtemp(path.data())) std::abort();
    }
    ~Scratch() { std::filesystem::remove_all(path); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    UniqueFd open() const { return open_or_throw(path, O_RDONLY | O_DIRECTORY); }
    std::string operator/(const std::string& name) const { return path + "/" + name; }
};

} // namespace tambo::test
