// Writing a new body file (APPEND). The file is made under its final name in its bucket, so that no
// rename is needed to make it durable (RULES.md R4).
#pragma once

#include "common/base/unique_fd.h"
#include "common/store/body_name.h"
#include "common/store/refusal.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace tambo::store {

// Obtained from Account::new_body(), handed to Account::append(). If it goes before the append
// succeeded, the file goes with it. Buffers nothing: write pieces of some KiB.
class BodyWriter {
  public:
    BodyWriter(int account_dir, const BodyName& name, UniqueFd fd);
    ~BodyWriter();
    BodyWriter(BodyWriter&& other) noexcept;
    BodyWriter& operator=(BodyWriter&&) = delete;

    const BodyName& name() const { return name_; }
    uint64_t bytes() const { return bytes_; }
    // After a failure every later call fails alike, and append() refuses the body with the same.
    Outcome<Done> write(std::string_view piece);
    std::optional<Refusal> failure() const { return failure_; }

    // For the store: makes the file durable on its own descriptor; never retried (RULES.md R1, R2).
    Outcome<Done> sync();
    // For the store: the file stays.
    void keep() { dir_ = -1; }

  private:
    int dir_; // borrowed; -1: nothing to remove
    BodyName name_;
    UniqueFd fd_;
    uint64_t bytes_ = 0;
    std::optional<Refusal> failure_;
};

} // namespace tambo::store
