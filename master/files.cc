#include "master/files.h"

#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace tambo::master {

namespace {

constexpr size_t kPasswordBytesMax = 4096;

void add_numbered(std::vector<NamedFile>& files,
                  std::string_view name,
                  std::vector<UniqueFd> descriptors) {
    for (size_t i = 0; i < descriptors.size(); ++i) {
        files.push_back({cat(name, ':', i + 1), std::move(descriptors[i])});
    }
}

UniqueFd log_directory(const conf::Config& config, const Directories& directories) {
    const auto& target = config.log.target;
    if (!target.starts_with('/')) return openat_or_throw(directories.get("log"), ".", O_RDONLY);
    const auto parent = std::filesystem::path(target).parent_path();
    return open_or_throw(parent, O_RDONLY | O_DIRECTORY);
}

bool is_plain_file(std::string_view word) {
    return word == "aliases" || word == "passwd" || word == "resolv.conf" || word == "ca-bundle";
}

// path "" is no file at all.
UniqueFd open_or_empty(const std::string& path) {
    if (path.empty()) return open_or_throw("/dev/null", O_RDONLY);
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (fd.valid()) return fd;
    if (errno != ENOENT && errno != EACCES && errno != ENOTDIR) throw_errno("open " + path);
    return open_or_throw("/dev/null", O_RDONLY);
}

} // namespace

std::string path_of(std::string_view word, const conf::Config& config) {
    if (word == "aliases") return config.accounts.aliases_file;
    if (word == "passwd") return config.accounts.passwd_file;
    if (word == "resolv.conf") return config.dns.resolv_conf;
    return word == "ca-bundle" ? config.relay.ca_file : "";
}

NamedFile
open_file(std::string_view word, const conf::Config& config, const Directories& directories) {
    const std::string name(word);
    if (is_plain_file(word)) return {name, open_or_empty(path_of(word, config))};
    if (word == "directory") return {name, log_directory(config, directories)};
    return {name, openat_or_throw(directories.get(word), ".", O_RDONLY | O_DIRECTORY)};
}

std::vector<NamedFile> open_files(const Service& service,
                                  const conf::Config& config,
                                  const TlsFiles& tls,
                                  const Directories& directories) {
    std::vector<NamedFile> files;
    for (const auto word : words(service.files)) {
        if (word == "key:*") {
            add_numbered(files, "key", tls.keys());
        } else if (word == "certificate:*") {
            add_numbered(files, "certificate", tls.certificates());
        } else {
            files.push_back(open_file(word, config, directories));
        }
    }
    return files;
}

std::string read_smarthost_password(const conf::Config& config) {
    const auto& path = config.relay.smarthost_password_file;
    if (path.empty()) return "";
    const std::string content = read_file(path, kPasswordBytesMax);
    return std::string(trim(split_once(std::string_view(content), '\n').first));
}

} // namespace tambo::master
