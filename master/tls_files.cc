#include "master/tls_files.h"

#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace tambo::master {

namespace {

constexpr size_t kBytesMax = 1u << 20; // as conf::load() reads of them

UniqueFd sealed_copy(const std::string& path) {
    const UniqueFd file = open_or_throw(path, O_RDONLY);
    UniqueFd copy(::memfd_create("tls", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!copy.valid()) throw_errno("memfd_create");
    size_t copied = 0;
    for (;;) {
        const ssize_t n = ::sendfile(copy.get(), file.get(), nullptr, kBytesMax + 1 - copied);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("copy " + path);
        copied += static_cast<size_t>(n);
        if (copied > kBytesMax) throw_error(EFBIG, "copy " + path);
        if (n == 0) break;
    }
    constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) throw_errno("seal the copy of " + path);
    return copy;
}

// To look at a copy without making another one that would have to be cleared.
class View {
  public:
    explicit View(const UniqueFd& fd) {
        struct stat st {};
        if (::fstat(fd.get(), &st) != 0) throw_errno("fstat");
        size_ = static_cast<size_t>(st.st_size);
        if (size_ == 0) return;
        void* at = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
        if (at == MAP_FAILED) throw_errno("mmap");
        bytes_ = static_cast<const char*>(at);
        ::madvise(at, size_, MADV_DONTDUMP);
    }
    ~View() {
        if (size_ > 0) ::munmap(const_cast<char*>(bytes_), size_);
    }
    View(const View&) = delete;
    std::string_view text() const { return {bytes_, size_}; }

  private:
    const char* bytes_ = "";
    size_t size_ = 0;
};

} // namespace

TlsFiles::TlsFiles(const conf::Config& config)
    : certificates_(copies(config.tls.certificate)), keys_(copies(config.tls.key)) {}

std::vector<TlsFiles::Copy> TlsFiles::copies(const std::vector<std::string>& paths) {
    std::vector<Copy> made;
    for (const auto& path : paths)
        made.push_back({path, sealed_copy(path)});
    return made;
}

std::vector<UniqueFd> TlsFiles::descriptors(const std::vector<Copy>& copies) {
    std::vector<UniqueFd> made;
    for (const auto& copy : copies) {
        made.push_back(duplicate(copy.fd.get(), copy.path));
    }
    return made;
}

std::optional<std::string> TlsFiles::problem(const conf::Request& request) const {
    if (!request.check_certificate) return std::nullopt;
    for (size_t i = 0; i < std::min(certificates_.size(), keys_.size()); ++i) {
        const View certificate(certificates_[i].fd), key(keys_[i].fd);
        const auto wrong = request.check_certificate(certificate.text(), key.text());
        if (wrong) return cat("tls.certificate: ", certificates_[i].path, ": ", *wrong);
    }
    return std::nullopt;
}

} // namespace tambo::master
