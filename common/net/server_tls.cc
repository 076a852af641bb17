#include "common/net/server_tls.h"

#include "common/base/text.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <system_error>

namespace tambo::net {

namespace {
constexpr std::string_view kPrefix = "certificate:";
constexpr size_t kChainBytesMax = 256 * 1024;
} // namespace

ServerTls::ServerTls(std::string service, std::vector<std::string> alpn, SignCodec codec)
    : signer_(std::make_shared<DatagramSigner>(std::move(codec))) {
    config_.service = std::move(service);
    config_.alpn = std::move(alpn);
    config_.signer = signer_;
}

void ServerTls::take_signer(UniqueFd socket) {
    signer_->connect(std::move(socket));
}

bool ServerTls::take_file(const std::string& name, const UniqueFd& file) {
    if (!name.starts_with(kPrefix)) return false;
    const auto number = parse_uint(std::string_view(name).substr(kPrefix.size()), UINT32_MAX);
    if (!number) return false;
    try {
        arriving_[static_cast<uint32_t>(*number)] = read_whole(file.get(), kChainBytesMax, name);
    } catch (const std::system_error& e) {
        log::Event("tls.unusable", log::Level::error).with("file", name).with("error", e.what());
    }
    return true;
}

void ServerTls::apply() {
    if (arriving_.empty()) return;
    TlsServerConfig config = config_;
    for (auto& [key_id, chain] : arriving_) {
        config.certificates.push_back(TlsCertificate{std::move(chain), key_id});
    }
    arriving_.clear();
    auto fresh = TlsContext::server(config);
    if (fresh) {
        context_ = std::move(*fresh);
    } else {
        log::Event("tls.unusable", log::Level::error).with("error", fresh.error());
    }
}

} // namespace tambo::net
