// The epoch: a durable number that grows whenever the suite starts without the mark of a clean
// shutdown. Accounts of an older epoch lift their UIDNEXT and HIGHESTMODSEQ
// (RULES.md R16), and queue ids carry it (RULES.md R21), so that nothing is ever numbered twice.
#pragma once

#include "common/base/result.h"

#include <cstdint>
#include <string>

namespace tambo::master {

// The file `epoch` in the suite's directory: "<number> running\n" or "<number> clean\n".
class Epoch {
  public:
    // Reads the file in dir_fd, raises the number unless it says clean (a missing file: 1), and
    // durably writes "running". The error text says what is wrong with the file. Throws
    // std::system_error if it cannot be written.
    static Result<Epoch> begin(int dir_fd);

    uint32_t number() const { return number_; }
    // After a storage fault: as after a crash. Durable on return.
    void raise();
    // Everything has been stopped in order: the next start may keep the number.
    void mark_clean();

  private:
    Epoch(int dir_fd, uint32_t number) : dir_fd_(dir_fd), number_(number) {}
    void write(const char* state) const;

    int dir_fd_;
    uint32_t number_;
};

} // namespace tambo::master
