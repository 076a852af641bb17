#include "cli/output.h"

#include "common/base/text.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

namespace tambo::cli {

namespace {

// JSON numbers for what is a number in every row of the answer ("pid", "quota_bytes").
bool is_number(const std::string& text) {
    return parse_uint(text, INT64_MAX).has_value() && (text.size() == 1 || text[0] != '0');
}

std::string render_json(const ipc::AdminAnswer& answer) {
    std::string out;
    for (const auto& row : answer.rows) {
        nlohmann::ordered_json object;
        for (size_t i = 0; i < answer.columns.size() && i < row.size(); ++i) {
            if (is_number(row[i])) {
                object[answer.columns[i]] = *parse_uint(row[i]);
            } else {
                object[answer.columns[i]] = row[i];
            }
        }
        using Json = nlohmann::ordered_json;
        out += object.dump(-1, ' ', false, Json::error_handler_t::replace);
        out.push_back('\n');
    }
    return out;
}

// A cell of a line: nothing in it ends the cell or moves a terminal's cursor. Quotes and
// backslashes do neither, and what a daemon has escaped is not escaped again.
std::string cell(std::string_view value, size_t bytes_max) {
    std::string out;
    std::string_view rest = value.substr(0, bytes_max);
    for (;;) {
        const auto end = rest.find_first_of("\"\\");
        out += escape(rest.substr(0, end), bytes_max);
        if (end == std::string_view::npos) break;
        out.push_back(rest[end]);
        rest.remove_prefix(end + 1);
    }
    if (value.size() > bytes_max) out += "...";
    return out;
}

std::string render_tsv(const ipc::AdminAnswer& answer) {
    std::string out;
    for (const auto& row : answer.rows) {
        for (size_t i = 0; i < row.size(); ++i) {
            if (i > 0) out.push_back('\t');
            out += cell(row[i], 65536);
        }
        out.push_back('\n');
    }
    return out;
}

std::string heading(std::string_view column) {
    std::string text = to_upper(column);
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

// Characters, not bytes, count for the width (combining marks apart).
size_t width_of(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

std::string render_table(const ipc::AdminAnswer& answer) {
    if (answer.rows.empty()) return {};
    std::vector<std::vector<std::string>> cells;
    cells.emplace_back();
    for (const auto& column : answer.columns)
        cells.back().push_back(heading(column));
    for (const auto& row : answer.rows) {
        cells.emplace_back();
        for (const auto& value : row)
            cells.back().push_back(cell(value, 4096));
    }
    std::vector<size_t> widths(answer.columns.size(), 0);
    for (const auto& row : cells) {
        for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(row[i]));
        }
    }
    std::string out;
    for (const auto& row : cells) {
        for (size_t i = 0; i < row.size(); ++i) {
            out += row[i];
            if (i + 1 < row.size()) out.append(widths[i] - width_of(row[i]) + 2, ' ');
        }
        out.push_back('\n');
    }
    return out;
}

} // namespace

std::string render(const ipc::AdminAnswer& answer, Format format) {
    if (answer.columns.empty()) return {};
    switch (format) {
    case Format::json:
        return render_json(answer);
    case Format::tsv:
        return render_tsv(answer);
    case Format::table:
    case Format::automatic:
        return render_table(answer);
    }
    return {};
}

void print_answer(const ipc::AdminAnswer& answer, Format format) {
    if (format == Format::automatic) {
        format = ::isatty(STDOUT_FILENO) ? Format::table : Format::tsv;
    }
    const std::string text = render(answer, format);
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void complain(std::string_view text) {
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    for (const auto line : split(text, '\n'))
        std::fprintf(stderr, "tambo: %.*s\n", static_cast<int>(line.size()), line.data());
}

bool is_for_a_person(Format format) {
    return format == Format::automatic && ::isatty(STDOUT_FILENO);
}

void confirm(std::string_view text, Format format) {
    if (!is_for_a_person(format)) return;
    std::printf("%s\n", escape(text, 4096).c_str());
}

} // namespace tambo::cli
