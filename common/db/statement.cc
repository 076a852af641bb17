#include "common/db/statement.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/db/database.h"

#include <sqlite3.h>

#include <array>
#include <utility>

namespace tambo::db {

namespace {

// A nil pointer would bind NULL; an empty text or blob is not NULL.
const char* data_of(std::string_view bytes) {
    return bytes.data() ? bytes.data() : "";
}

} // namespace

Statement::Statement(Database& database, sqlite3_stmt* handle, std::string_view sql)
    : database_(&database), handle_(handle), sql_(sql) {}

Statement::~Statement() {
    if (handle_) database_->give_back(sql_, handle_);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)), sql_(other.sql_) {
}

void Statement::require(int code) const {
    if (code != SQLITE_OK) database_->fail(code, sql_);
}

void Statement::bind_integer(int parameter, int64_t value) {
    require(sqlite3_bind_int64(handle_, parameter, value));
}

void Statement::bind(int parameter, std::string_view text) {
    require(sqlite3_bind_text64(handle_, parameter, data_of(text), text.size(), SQLITE_STATIC,
                                SQLITE_UTF8));
}

void Statement::bind(int parameter, Blob blob) {
    require(sqlite3_bind_blob64(handle_, parameter, data_of(blob.bytes), blob.bytes.size(),
                                SQLITE_STATIC));
}

void Statement::bind(int parameter, const Id& id) {
    std::array<char, 16> bytes{};
    for (size_t i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>(id.high >> (56 - 8 * i) & 0xff);
        bytes[8 + i] = static_cast<char>(id.low >> (56 - 8 * i) & 0xff);
    }
    require(sqlite3_bind_blob64(handle_, parameter, bytes.data(), bytes.size(),
                                SQLITE_TRANSIENT)); // NOLINT(*)
}

void Statement::bind(int parameter, std::nullptr_t) {
    require(sqlite3_bind_null(handle_, parameter));
}

bool Statement::step() {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        sqlite3_reset(handle_);
        return false;
    }
    // The reset ends the statement's part of the transaction; its code repeats the error.
    sqlite3_reset(handle_);
    database_->fail(code, sql_);
}

void Statement::run() {
    while (step()) {
    }
}

void Statement::reset() {
    sqlite3_reset(handle_);
}

int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(handle_, column);
}

std::string_view Statement::text(int column) const {
    const auto* text = sqlite3_column_text(handle_, column);
    if (!text) return {};
    const auto bytes = static_cast<size_t>(sqlite3_column_bytes(handle_, column));
    return {reinterpret_cast<const char*>(text), bytes};
}

std::string_view Statement::blob(int column) const {
    const void* bytes = sqlite3_column_blob(handle_, column);
    if (!bytes) return {};
    return {static_cast<const char*>(bytes),
            static_cast<size_t>(sqlite3_column_bytes(handle_, column))};
}

Id Statement::id(int column) const {
    const std::string_view bytes = blob(column);
    Id id;
    if (bytes.size() != 16) return id;
    for (size_t i = 0; i < 8; ++i) {
        id.high = id.high << 8 | static_cast<unsigned char>(bytes[i]);
        id.low = id.low << 8 | static_cast<unsigned char>(bytes[8 + i]);
    }
    return id;
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

} // namespace tambo::db
