// tambo-events(7) lists every event that the sources can report, and no other.
#include "common/base/text.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <regex>
#include <set>

using namespace tambo;

namespace {

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
    std::set<std::string> found;
    for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
        found.insert((*at)[1]);
    }
    return found;
}

bool is_of_the_suite(const std::filesystem::path& path) {
    const auto relative = path.lexically_relative(TAMBO_SOURCE_DIR).string();
    return path.extension() == ".cc" && !relative.starts_with("build") &&
           !relative.starts_with("tests") && !relative.starts_with(".");
}

} // namespace

TEST_CASE("the manual page of events is complete and current") {
    const std::regex in_code("(?:Event(?:\\s+\\w+)?\\(\\s*|\\.event = |return )"
                             "\"([a-z0-9]+\\.[a-z0-9_-]+)\"");
    std::set<std::string> reported;
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(TAMBO_SOURCE_DIR)) {
        if (!entry.is_regular_file() || !is_of_the_suite(entry.path())) continue;
        const std::string text = read_file(entry.path(), 1 << 20);
        // logd itself makes records without an Event.
        const bool reports = text.find("Event") != std::string::npos ||
                             text.find("log::Record") != std::string::npos;
        if (!reports) continue;
        ++files;
        reported.merge(matches(text, in_code));
    }
    CHECK(files > 20);
    const std::string page = read_file(TAMBO_SOURCE_DIR "/man/tambo-events.7", 1 << 20);
    const auto documented = matches(page, std::regex("\n\\.It Cm ([a-z0-9]+\\.[a-z0-9_-]+)"));
    std::string missing, stale;
    for (const auto& name : reported) {
        if (!documented.contains(name)) missing += name + " ";
    }
    for (const auto& name : documented) {
        if (!reported.contains(name)) stale += name + " ";
    }
    CHECK(missing == "");
    CHECK(stale == "");
}
