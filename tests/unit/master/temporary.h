// A directory that goes with the test.
#pragma once

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tambo::master {

class Temporary {
  public:
    Temporary() {
        char name[] = "/tmp/tambo-master-XXXXXX";
        REQUIRE(::mkdtemp(name));
        path_ = name;
    }
    ~Temporary() {
        std::error_code error; // a test has failed already if something is in the way
        std::filesystem::remove_all(path_, error);
    }
    Temporary(const Temporary&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

} // namespace tambo::master
