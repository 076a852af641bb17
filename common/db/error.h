// What a database call throws. IoError stands apart because it is fatal for the owner: after it
// nothing may be acknowledged and nothing retried (RULES.md R2).
#pragma once

#include <stdexcept>
#include <string>

namespace tambo::db {

// what() names the file, what was being done and SQLite's message; never bound values.
class DbError : public std::runtime_error {
  public:
    enum class Kind {
        io,           // always an IoError
        full,         // disk or quota full; the transaction was rolled back
        unavailable,  // no descriptor, no memory, no permission, no file: the disk is not to blame
        corrupt,      // the file is damaged or no database
        busy,         // another connection holds it
        read_only,    // opened read-only, or the file is not writable
        incompatible, // another application's file, or written by a newer version
        constraint,   // a UNIQUE, CHECK or NOT NULL rule
        other,        // wrong SQL, too big: a bug of the caller
    };

    DbError(Kind kind, int code, const std::string& what)
        : std::runtime_error(what), kind_(kind), code_(code) {}

    Kind kind() const { return kind_; }
    // SQLite's extended result code; 0 for incompatible.
    int code() const { return code_; }

  private:
    Kind kind_;
    int code_;
};

class IoError final : public DbError {
  public:
    IoError(int code, const std::string& what) : DbError(Kind::io, code, what) {}
};

} // namespace tambo::db
