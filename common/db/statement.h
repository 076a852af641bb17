// A prepared statement, checked out of its database's cache for as long as it is in scope.
#pragma once

#include "common/base/id.h"

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3_stmt;

namespace tambo::db {

class Database;

// A parameter that is bytes, not text.
struct Blob {
    std::string_view bytes;
};

// Goes back to the cache, reset and with its parameters cleared, when it is destroyed; it must go
// before its database. Parameters count from 1, columns from 0. Everything may throw DbError.
class Statement {
  public:
    Statement(Database& database, sqlite3_stmt* handle, std::string_view sql);
    ~Statement();
    Statement(Statement&& other) noexcept;
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    // Text and bytes are not copied: they must stay until the last step.
    template <std::integral I>
    void bind(int parameter, I value) {
        bind_integer(parameter, static_cast<int64_t>(value));
    }
    void bind(int parameter, std::string_view text);
    void bind(int parameter, const std::string& text) { bind(parameter, std::string_view(text)); }
    void bind(int parameter, const char* text) { bind(parameter, std::string_view(text)); }
    void bind(int parameter, Blob blob);
    void bind(int parameter, const Id& id); // 16 bytes, big endian: sorts like the id
    void bind(int parameter, std::nullptr_t);
    template <class T>
    void bind(int parameter, const std::optional<T>& value) {
        if (value) {
            bind(parameter, *value);
        } else {
            bind(parameter, nullptr);
        }
    }
    template <class... Values>
    Statement& bind_all(const Values&... values) {
        int parameter = 0;
        (bind(++parameter, values), ...);
        return *this;
    }

    // True: a row is there. False: done; the next step would start anew.
    bool step();
    // Steps to the end and resets, so that it can be bound again.
    void run();
    void reset();

    // Columns of the current row. Views are valid until the next step or reset.
    int64_t integer(int column) const;
    std::string_view text(int column) const;
    std::string_view blob(int column) const;
    // nil if the column is NULL or not 16 bytes.
    Id id(int column) const;
    bool is_null(int column) const;

  private:
    void bind_integer(int parameter, int64_t value);
    void require(int code) const;

    Database* database_;
    sqlite3_stmt* handle_;
    std::string_view sql_; // the cache's key
};

} // namespace tambo::db
